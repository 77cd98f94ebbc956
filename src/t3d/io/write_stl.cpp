#include "t3d/io/write_stl.h"

#include <cstdint>

#include "t3d/core/error.h"

namespace t3d::io {

std::string stl_bytes(const Mesh& mesh, const std::string& path) {
  constexpr size_t kHeaderBytes = 80, kFacetBytes = 50;
  if (mesh.faces.size() > 0xffffffffu)
    throw UserError(cat(path, ": an STL holds at most 4294967295 triangles, and the mesh has ",
                        mesh.faces.size(), ". Decimate it."));
  std::string out = "binary STL by t3d, z up";  // "solid" would be the start of one in text
  out.resize(kHeaderBytes, ' ');
  out.reserve(kHeaderBytes + 4 + mesh.faces.size() * kFacetBytes);
  const auto put = [&out](const auto& value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  put(static_cast<uint32_t>(mesh.faces.size()));
  for (const auto& face : mesh.faces) {
    const Vec3f &a = mesh.positions[face[0]], &b = mesh.positions[face[1]], &c = mesh.positions[face[2]];
    const Vec3f cross = (b - a).cross(c - a);
    const float length = cross.norm();
    const Vec3f normal = length > 0 ? Vec3f(cross / length) : Vec3f(Vec3f::Zero());
    for (const Vec3f& v : {normal, a, b, c})
      for (int axis = 0; axis < 3; ++axis) put(v[axis] + 0.0f);  // no -0: corners are compared by their bytes
    put(uint16_t{0});
  }
  return out;
}

}  // namespace t3d::io
