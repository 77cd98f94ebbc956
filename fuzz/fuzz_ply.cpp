#include <cstdint>
#include <cstdlib>
#include <string>

#include "t3d/core/error.h"
#include "t3d/io/parse_stl_off.h"
#include "t3d/io/ply/read_ply.h"

namespace {

/// What is read points at what is there, and becomes a drawable mesh or an explanation.
void check(t3d::io::PolygonMesh mesh) {
  for (const auto& corner : mesh.corners) {
    if (corner.position >= mesh.positions.size()) std::abort();
    if (corner.uv >= 0 && static_cast<size_t>(corner.uv) >= mesh.uvs.size()) std::abort();
    if (corner.normal >= 0 && static_cast<size_t>(corner.normal) >= mesh.normals.size()) std::abort();
  }
  if (!mesh.ends.empty() && mesh.ends.back() > mesh.corners.size()) std::abort();
  if (mesh.corners.size() > 20000) return;
  const t3d::io::Mesh built = t3d::io::build_mesh(std::move(mesh), "fuzz", {});
  for (const auto& face : built.faces)
    for (const uint32_t v : face)
      if (v >= built.positions.size()) std::abort();
}

}  // namespace

/// The first byte chooses: PLY strict or skipping, STL, OFF.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    int64_t n_skipped = 0;
    switch (data[0] % 4) {
      case 0:
        check(t3d::io::ply::parse_ply(bytes, "fuzz.ply", false).mesh);
        break;
      case 1:
        check(t3d::io::ply::parse_ply(bytes, "fuzz.ply", true).mesh);
        break;
      case 2:
        check(t3d::io::parse_stl(bytes, "fuzz.stl"));
        break;
      default:
        check(t3d::io::parse_off(bytes, "fuzz.off", true, n_skipped));
    }
  } catch (const t3d::UserError&) {
  }
  return 0;
}
