#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "t3d/core/error.h"
#include "t3d/data/read_transforms.h"

/// What parses has cameras that are rotations, names of images, and lenses with a focal length or an angle.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto set =
        t3d::data::parse_transforms({reinterpret_cast<const char*>(data), size}, "fuzz.json", "/data");
    for (const auto& frame : set.frames) {
      const Eigen::Matrix3d r = frame.camera_to_world.block<3, 3>(0, 0);
      if (!((r * r.transpose() - Eigen::Matrix3d::Identity()).norm() < 1e-6)) std::abort();
      if (frame.written.empty() || frame.written.find('\0') != std::string::npos) std::abort();
      const bool has_focal = frame.lens.fx > 0 || frame.lens.fy > 0,
                 has_angle = frame.fov_x > 0 || frame.fov_y > 0;
      if (!has_focal && !has_angle) std::abort();
    }
  } catch (const t3d::UserError&) {
  }
  return 0;
}
