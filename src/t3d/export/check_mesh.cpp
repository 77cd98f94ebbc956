#include "t3d/export/check_mesh.h"

#include <algorithm>
#include <cstdio>

#include "t3d/core/error.h"
#include "t3d/export/mesh_edges.h"
#include "t3d/io/weld.h"
#include "t3d/math/disjoint_sets.h"

namespace t3d::export_ {
namespace {

constexpr int kSizeWithoutTexture = 1024, kMostTexels = 4096;

double area_of(const io::Mesh& mesh, const std::array<uint32_t, 3>& face) {
  const Eigen::Vector3d a = mesh.positions[face[0]].cast<double>();
  return 0.5 * (mesh.positions[face[1]].cast<double>() - a)
                   .cross(mesh.positions[face[2]].cast<double>() - a)
                   .norm();
}

std::string line(const char* name, const std::string& value, bool is_wrong) {
  char text[160];
  std::snprintf(text, sizeof text, "%-28s %-28s%s\n", name, value.c_str(), is_wrong ? " wrong" : "");
  std::string out = text;
  const size_t end = out.find_last_not_of(" \n");
  return out.substr(0, end + 1) + "\n";
}

std::string rounded(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

}  // namespace

ShapeCheck check_shape(const io::Mesh& mesh) {
  ShapeCheck out;
  const io::WeldedVertices places = io::weld(mesh.positions);
  Faces faces(mesh.faces.size());
  std::vector<bool> is_used(places.first.size());
  for (size_t f = 0; f < faces.size(); ++f) {
    for (size_t c = 0; c < 3; ++c) is_used[faces[f][c] = places.number[mesh.faces[f][c]]] = true;
    if (!(area_of(mesh, mesh.faces[f]) > 0)) ++out.n_degenerate_faces;
  }
  out.n_vertices = static_cast<size_t>(std::count(is_used.begin(), is_used.end(), true));
  out.n_faces = faces.size();
  const auto sides = sorted_sides(faces);
  DisjointSets parts(faces.size());
  for_each_edge(sides, [&](size_t first, size_t end) {
    for (size_t i = first + 1; i < end; ++i) parts.join(sides[first].face, sides[i].face);
    if (end == first + 1) ++out.n_boundary_edges;
    if (end > first + 2) ++out.n_crowded_edges;
    if (end == first + 2 && sides[first].is_forward == sides[first + 1].is_forward) ++out.n_turned_edges;
  });
  std::vector<bool> is_edged(faces.size());
  for (const Side& side : sides) is_edged[side.face] = true;
  for (uint32_t f = 0; f < faces.size(); ++f)
    if (is_edged[f] && parts.root(f) == f) ++out.n_components;
  return out;
}

bool MeshCheck::is_fine() const {
  return shape.is_watertight() && shape.n_degenerate_faces == 0 &&
         (!has_uv || (uv.n_shared_texels == 0 && uv.n_inverted_charts + uv.n_inverted_faces == 0));
}

MeshCheck check_mesh(const io::Mesh& mesh) {
  MeshCheck out;
  out.shape = check_shape(mesh);
  int side = 0;
  for (const io::Image8& image : mesh.textures) {
    out.textures.push_back({image.width, image.height, io::without_alpha(image).channels});
    side = std::max({side, image.width, image.height});
  }
  out.has_uv = !mesh.uvs.empty();
  if (out.has_uv) out.uv = check_uv(mesh, side > 0 ? std::min(side, kMostTexels) : kSizeWithoutTexture);
  return out;
}

std::string check_table(const MeshCheck& check) {
  const ShapeCheck& s = check.shape;
  const auto zero = [](const char* name, size_t n) { return line(name, cat(n), n > 0); };
  std::string out =
      line("vertices", cat(s.n_vertices), false) + line("faces", cat(s.n_faces), false) +
      line("components", cat(s.n_components), false) +
      line("watertight", s.is_watertight() ? "yes" : "no", !s.is_watertight()) +
      zero("boundary edges", s.n_boundary_edges) + zero("non-manifold edges", s.n_crowded_edges) +
      zero("inconsistently turned edges", s.n_turned_edges) + zero("degenerate faces", s.n_degenerate_faces);
  if (!check.has_uv) return out + line("texture coordinates", "none", false);
  const UvCheck& u = check.uv;
  const std::string share =
      u.n_texels == 0
          ? ""
          : cat(" (",
                rounded(100.0 * static_cast<double>(u.n_shared_texels) / static_cast<double>(u.n_texels)),
                " %)");
  out += line("charts", cat(u.n_charts), false) + zero("inverted charts", u.n_inverted_charts) +
         zero("inverted faces in charts", u.n_inverted_faces) +
         line("overlapping texels", cat(u.n_shared_texels, u.n_shared_texels > 0 ? share : ""),
              u.n_shared_texels > 0) +
         line("texture in use", cat(rounded(100 * u.used), " % of ", u.size, " x ", u.size), false) +
         line("texels per unit",
              cat(rounded(u.density[1]), " (5 %: ", rounded(u.density[0]), ", 95 %: ", rounded(u.density[2]),
                  ")"),
              false);
  for (size_t i = 0; i < check.textures.size(); ++i)
    out += line(cat("texture ", i).c_str(),
                cat(check.textures[i][0], " x ", check.textures[i][1], ", ", check.textures[i][2],
                    check.textures[i][2] == 1 ? " channel" : " channels"),
                false);
  return out;
}

}  // namespace t3d::export_
