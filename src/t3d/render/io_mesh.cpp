#include "t3d/render/io_mesh.h"

#include <ATen/ATen.h>

#include <map>

namespace t3d::render {
namespace {

/// Rows of a tensor [N,C] on the CPU.
template <class T>
at::Tensor rows_of(const at::Tensor& tensor) {
  return tensor.detach().to(at::kCPU, c10::CppTypeToScalarType<T>::value).contiguous();
}

/// A vertex for every pair of a position and a texture coordinate that a face has.
io::Mesh with_doubled_seams(const io::Mesh& plain, const mesh::SurfaceMesh& surface) {
  const at::Tensor uv = rows_of<float>(surface.uv), uv_faces = rows_of<int64_t>(surface.uv_faces);
  const float* coordinates = uv.data_ptr<float>();
  const int64_t* corner = uv_faces.data_ptr<int64_t>();
  io::Mesh out;
  std::map<std::pair<uint32_t, int64_t>, uint32_t> known;
  for (const auto& face : plain.faces) {
    std::array<uint32_t, 3> own{};
    for (size_t k = 0; k < 3; ++k, ++corner) {
      const auto [at, is_new] =
          known.emplace(std::pair(face[k], *corner), static_cast<uint32_t>(out.positions.size()));
      own[k] = at->second;
      if (!is_new) continue;
      out.positions.push_back(plain.positions[face[k]]);
      out.uvs.emplace_back(coordinates[2 * *corner], coordinates[2 * *corner + 1]);
    }
    out.faces.push_back(own);
  }
  return out;
}

}  // namespace

io::Mesh io_mesh(const mesh::SurfaceMesh& surface) {
  const at::Tensor vertices = rows_of<float>(surface.vertices), faces = rows_of<int64_t>(surface.faces);
  io::Mesh mesh;
  const float* v = vertices.data_ptr<float>();
  for (int64_t i = 0; i < vertices.size(0); ++i, v += 3) mesh.positions.emplace_back(v[0], v[1], v[2]);
  const int64_t* f = faces.data_ptr<int64_t>();
  for (int64_t i = 0; i < faces.size(0); ++i, f += 3)
    mesh.faces.push_back(
        {static_cast<uint32_t>(f[0]), static_cast<uint32_t>(f[1]), static_cast<uint32_t>(f[2])});
  return surface.uv.defined() ? with_doubled_seams(mesh, surface) : mesh;
}

}  // namespace t3d::render
