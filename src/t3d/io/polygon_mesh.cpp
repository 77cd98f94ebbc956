#include "t3d/io/polygon_mesh.h"

#include <cmath>

#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/io/crease_normals.h"
#include "t3d/io/dropped_faces.h"
#include "t3d/io/triangulate.h"

namespace t3d::io {
namespace {

float srgb(float linear) {
  return linear <= 0.0031308f ? 12.92f * linear : 1.055f * std::pow(linear, 1.0f / 2.4f) - 0.055f;
}

bool is_colour(const Vec3f& c) {
  return !std::isnan(c.x());
}

bool all_white(const std::vector<Vec3f>& colours) {
  for (const Vec3f& c : colours)
    if (is_colour(c) && c != Vec3f::Ones()) return false;
  return true;
}

class Builder {
 public:
  Builder(PolygonMesh source, const std::string& path, const ReadMeshOptions& options)
      : in_(std::move(source)), path_(path), options_(options) {}

  Mesh build() {
    const bool has_materials = !in_.materials.empty();
    if (!has_materials) in_.materials.push_back(plain_grey());
    n_materials_ = in_.materials.size();
    has_colours_ = !(in_.colours.empty() && in_.face_colours.empty()) &&
                   !(has_materials && all_white(in_.colours) && all_white(in_.face_colours));
    if (has_colours_) choose_coloured_materials();
    out_.materials = std::move(in_.materials);
    out_.textures = std::move(in_.textures);
    append_faces();
    if (out_.faces.empty())
      throw UserError(cat(path_, ": no face with an area is left", dropped_.text().empty() ? "" : ": ",
                          dropped_.text(), ". Export the mesh again, with faces."));
    if (!dropped_.text().empty()) log::warning(cat(path_, ": left out ", dropped_.text()));
    in_ = {};
    bool has_all_normals = true;
    for (const Vec3f& n : out_.normals) has_all_normals &= n.squaredNorm() > 0;
    has_all_normals ? join_equal_vertices(out_) : make_missing_normals(out_);
    return std::move(out_);
  }

 private:
  size_t material_of(size_t face) const {
    return in_.face_material.empty() ? 0 : std::min<size_t>(in_.face_material[face], n_materials_ - 1);
  }

  Vec3f colour_of(size_t face, const PolygonMesh::Corner& corner) const {
    if (!in_.face_colours.empty() && is_colour(in_.face_colours[face])) return in_.face_colours[face];
    return in_.colours.empty() ? no_colour() : in_.colours[corner.position];
  }

  /// A material without texture that has a coloured corner shows colours alone; its base colour goes to the
  /// corners that have none.
  void choose_coloured_materials() {
    std::vector<char> shows(in_.materials.size(), 0);
    for (size_t f = 0, at = 0; f < in_.n_faces(); ++f)
      for (; at < in_.ends[f]; ++at)
        if (shows[material_of(f)] == 0 && is_colour(colour_of(f, in_.corners[at]))) shows[material_of(f)] = 1;
    for (size_t m = 0; m < in_.materials.size(); ++m) {
      Material& material = in_.materials[m];
      const Vec3f& c = material.base_colour;
      base_.emplace_back(srgb(c.x()), srgb(c.y()), srgb(c.z()));
      material.uses_vertex_colours = shows[m] != 0 && !material.base_texture.is_set();
      if (material.uses_vertex_colours) material.base_colour = Vec3f::Ones();
    }
  }

  Vec3f oriented(const Vec3f& v) const { return options_.up == UpAxis::Y ? Vec3f(v.z(), v.x(), v.y()) : v; }

  void append_faces() {
    const size_t n_triangles =
        in_.corners.size() > 2 * in_.n_faces() ? in_.corners.size() - 2 * in_.n_faces() : 0;
    out_.positions.reserve(3 * n_triangles);
    out_.normals.reserve(3 * n_triangles);
    if (!in_.uvs.empty()) out_.uvs.reserve(3 * n_triangles);
    if (has_colours_) out_.colours.reserve(3 * n_triangles);
    out_.faces.reserve(n_triangles);
    out_.face_material.reserve(n_triangles);
    size_t begin = 0;
    for (size_t f = 0; f < in_.n_faces(); begin = in_.ends[f++]) {
      const size_t n = in_.ends[f] - begin;
      if (n < 3) continue;
      if (n == 3) {
        append_triangle(f, begin, {0, 1, 2});
      } else {
        append_polygon(f, begin, n);
      }
    }
  }

  const Vec3f& position(size_t corner) const { return in_.positions[in_.corners[corner].position]; }

  void append_triangle(size_t face, size_t begin, const std::array<uint32_t, 3>& t) {
    if (dropped_.drops(position(begin + t[0]), position(begin + t[1]), position(begin + t[2]))) return;
    push(face, begin, t);
  }

  /// A polygon is one face to whoever reads the warning; its triangles without area leave no hole.
  void append_polygon(size_t face, size_t begin, size_t n) {
    polygon_.clear();
    bool is_finite = true;
    for (size_t i = 0; i < n; ++i) {
      polygon_.push_back(position(begin + i));
      is_finite &= polygon_.back().allFinite();
    }
    triangles_.clear();
    if (is_finite) triangulate(polygon_, triangles_);
    size_t n_pushed = 0;
    for (const auto& t : triangles_) {
      const Vec3f &a = polygon_[t[0]], &b = polygon_[t[1]], &c = polygon_[t[2]];
      if (!((b - a).cross(c - a).squaredNorm() > 0)) continue;
      push(face, begin, t);
      ++n_pushed;
    }
    if (n_pushed == 0) dropped_.drops(is_finite ? polygon_[0] : no_colour(), polygon_[0], polygon_[0]);
  }

  void push(size_t face, size_t begin, const std::array<uint32_t, 3>& t) {
    const size_t material = material_of(face);
    if (out_.positions.size() > 0xffffffffu - 3)
      throw UserError(cat(path_, ": has more than 4294967295 corners. Use a smaller mesh."));
    const auto first = static_cast<uint32_t>(out_.positions.size());
    for (const uint32_t i : t) {
      const PolygonMesh::Corner& corner = in_.corners[begin + i];
      out_.positions.push_back(oriented(in_.positions[corner.position]));
      Vec3f normal = Vec3f::Zero();
      if (corner.normal >= 0) {
        const Vec3f& n = in_.normals[static_cast<size_t>(corner.normal)];
        if (n.allFinite() && n.squaredNorm() > 0) normal = oriented(n.stableNormalized());
      }
      out_.normals.push_back(normal);
      if (!in_.uvs.empty())
        out_.uvs.push_back(corner.uv >= 0 ? in_.uvs[static_cast<size_t>(corner.uv)] : Vec2f(0, 0));
      if (has_colours_) {
        const Vec3f c = colour_of(face, corner);
        out_.colours.push_back(is_colour(c) ? c : base_[material]);
      }
    }
    out_.faces.push_back({first, first + 1, first + 2});
    out_.face_material.push_back(static_cast<uint16_t>(material));
  }

  PolygonMesh in_;
  const std::string& path_;
  const ReadMeshOptions& options_;
  Mesh out_;
  size_t n_materials_ = 0;
  bool has_colours_ = false;
  std::vector<Vec3f> base_;  // sRGB base colour of each material before it became white
  DroppedFaces dropped_;
  std::vector<Vec3f> polygon_;
  std::vector<std::array<uint32_t, 3>> triangles_;
};

}  // namespace

Mesh build_mesh(PolygonMesh source, const std::string& path, const ReadMeshOptions& options) {
  return Builder(std::move(source), path, options).build();
}

}  // namespace t3d::io
