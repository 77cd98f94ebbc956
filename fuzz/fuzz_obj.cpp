#include <cstdint>
#include <cstdlib>
#include <string>

#include "t3d/core/error.h"
#include "t3d/io/obj/parse_obj.h"
#include "t3d/io/text_lines.h"

/// Texts that pass need no skipping, what is read points at what is there, and becomes a mesh or an
/// explanation.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text = t3d::io::as_utf8(std::string(reinterpret_cast<const char*>(data), size));
  try {
    auto file = t3d::io::obj::parse_obj(text, "fuzz.obj", true);
    auto& mesh = file.mesh;
    for (const auto& corner : mesh.corners) {
      if (corner.position >= mesh.positions.size()) std::abort();
      if (corner.uv >= 0 && static_cast<size_t>(corner.uv) >= mesh.uvs.size()) std::abort();
      if (corner.normal >= 0 && static_cast<size_t>(corner.normal) >= mesh.normals.size()) std::abort();
    }
    bool has_passed = true;
    try {
      t3d::io::obj::parse_obj(text, "fuzz.obj", false);
    } catch (const t3d::UserError&) {
      has_passed = false;
    }
    if (has_passed != (file.n_skipped == 0)) std::abort();
    if (mesh.corners.size() < 20000) t3d::io::build_mesh(std::move(mesh), "fuzz.obj", {});
  } catch (const t3d::UserError&) {
  }
  return 0;
}
