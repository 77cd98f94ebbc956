#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "t3d/core/error.h"
#include "t3d/data/read_transforms.h"

/// What parses has cameras that are rotations, and image paths that stay inside the folder.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto set =
        t3d::data::parse_transforms({reinterpret_cast<const char*>(data), size}, "fuzz.json", "/data");
    for (const auto& frame : set.frames) {
      const Eigen::Matrix3d r = frame.camera_to_world.block<3, 3>(0, 0);
      if (!((r * r.transpose() - Eigen::Matrix3d::Identity()).norm() < 1e-6)) std::abort();
      for (const auto& file : frame.files)
        if (file.rfind("/data", 0) != 0) std::abort();
    }
  } catch (const t3d::UserError&) {
  }
  return 0;
}
