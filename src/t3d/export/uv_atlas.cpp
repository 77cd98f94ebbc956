#include "t3d/export/uv_atlas.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "t3d/core/error.h"
#include "t3d/export/no_index.h"
#include "t3d/export/uv_charts.h"

#define STB_RECT_PACK_IMPLEMENTATION
#define STBRP_STATIC
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb_rect_pack.h>
#pragma GCC diagnostic pop

namespace t3d::export_ {
namespace {

/// A chart's corners in its plane, turned so that their bounding box is small, with its corner at the origin.
struct Flat {
  std::vector<Vec2f> corners;  // three a face
  Vec2f size = Vec2f::Zero();
};

Flat flatten(const io::Mesh& mesh, const Chart& chart) {
  constexpr int kTurns = 16;
  std::vector<Vec2f> points;
  points.reserve(3 * chart.faces.size());
  for (const uint32_t face : chart.faces)
    for (const uint32_t v : mesh.faces[face])
      points.emplace_back(chart.right.dot(mesh.positions[v]), chart.up.dot(mesh.positions[v]));
  const auto turned = [](const Vec2f& p, float c, float s) {
    return Vec2f(c * p.x() - s * p.y(), s * p.x() + c * p.y());
  };
  Flat best;
  float least = std::numeric_limits<float>::max(), cosine = 1, sine = 0;
  Vec2f corner = Vec2f::Zero();
  for (int turn = 0; turn < kTurns; ++turn) {
    const float angle = 1.5707963f * static_cast<float>(turn) / kTurns, c = std::cos(angle),
                s = std::sin(angle);
    Vec2f low = Vec2f::Constant(std::numeric_limits<float>::max()), high = -low;
    for (const Vec2f& p : points) {
      const Vec2f q = turned(p, c, s);
      low = low.cwiseMin(q);
      high = high.cwiseMax(q);
    }
    const Vec2f size = high - low;
    if (size.x() * size.y() >= least) continue;
    least = size.x() * size.y();
    best.size = size;
    corner = low, cosine = c, sine = s;
  }
  for (Vec2f& p : points) p = turned(p, cosine, sine) - corner;
  best.corners = std::move(points);
  return best;
}

/// Lower left corners of all charts at a scale in texels per unit, or nothing when they do not fit.
std::vector<stbrp_rect> packed(const std::vector<Flat>& charts, float scale, const AtlasOptions& o) {
  std::vector<stbrp_rect> rects(charts.size());
  for (size_t i = 0; i < charts.size(); ++i) {
    const Vec2f size = charts[i].size * scale;
    if (size.maxCoeff() > static_cast<float>(o.size)) return {};
    rects[i].id = static_cast<int>(i);
    rects[i].w = static_cast<stbrp_coord>(std::ceil(size.x()) + 1 + 2 * static_cast<float>(o.padding));
    rects[i].h = static_cast<stbrp_coord>(std::ceil(size.y()) + 1 + 2 * static_cast<float>(o.padding));
  }
  std::vector<stbrp_node> nodes(static_cast<size_t>(o.size));
  stbrp_context context;
  stbrp_init_target(&context, o.size, o.size, nodes.data(), o.size);
  if (stbrp_pack_rects(&context, rects.data(), static_cast<int>(rects.size())) == 0) return {};
  std::sort(rects.begin(), rects.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return rects;
}

/// The largest scale that fits, to a percent.
float best_scale(const std::vector<Flat>& charts, const AtlasOptions& o) {
  double area = 0;
  for (const Flat& chart : charts) area += static_cast<double>(chart.size.x()) * chart.size.y();
  const float side = static_cast<float>(o.size);
  float high = area > 0 ? side / static_cast<float>(std::sqrt(area)) : side, low = high;
  constexpr int kMostHalvings = 24;
  int n = 0;
  while (packed(charts, low, o).empty()) {
    if (++n > kMostHalvings)
      throw UserError(cat("a texture of ", o.size, " texels a side cannot hold the ", charts.size(),
                          " pieces of the surface. Use a larger texture_size or fewer faces."));
    high = low;
    low *= 0.7f;
  }
  while (high > 1.01f * low) {
    const float middle = 0.5f * (low + high);
    (packed(charts, middle, o).empty() ? high : low) = middle;
  }
  return low;
}

/// The mesh with vertices of its own for every chart, and texture coordinates.
io::Mesh assembled(const io::Mesh& mesh, const std::vector<Chart>& charts, const std::vector<Flat>& flats,
                   const std::vector<stbrp_rect>& places, float scale, const AtlasOptions& o) {
  io::Mesh out;
  out.materials = mesh.materials;
  out.textures = mesh.textures;
  out.linear_colours = mesh.linear_colours;
  out.faces.reserve(mesh.faces.size());
  std::vector<uint32_t> new_index(mesh.positions.size(), kNone), used;
  for (size_t i = 0; i < charts.size(); ++i) {
    const Vec2f corner = Vec2f(static_cast<float>(places[i].x + o.padding) + 0.5f,
                               static_cast<float>(places[i].y + o.padding) + 0.5f);
    for (size_t f = 0; f < charts[i].faces.size(); ++f) {
      const auto& face = mesh.faces[charts[i].faces[f]];
      std::array<uint32_t, 3> made;
      for (size_t c = 0; c < 3; ++c) {
        uint32_t& index = new_index[face[c]];
        if (index == kNone) {
          index = static_cast<uint32_t>(out.positions.size());
          used.push_back(face[c]);
          out.positions.push_back(mesh.positions[face[c]]);
          if (!mesh.normals.empty()) out.normals.push_back(mesh.normals[face[c]]);
          if (!mesh.colours.empty()) out.colours.push_back(mesh.colours[face[c]]);
          if (!mesh.alphas.empty()) out.alphas.push_back(mesh.alphas[face[c]]);
          out.uvs.push_back((corner + scale * flats[i].corners[3 * f + c]) / static_cast<float>(o.size));
        }
        made[c] = index;
      }
      out.faces.push_back(made);
      if (!mesh.face_material.empty()) out.face_material.push_back(mesh.face_material[charts[i].faces[f]]);
    }
    for (const uint32_t v : used) new_index[v] = kNone;
    used.clear();
  }
  return out;
}

}  // namespace

AtlasInfo make_atlas(io::Mesh& mesh, const AtlasOptions& o) {
  T3D_CHECK(!mesh.faces.empty() && o.size >= 16 && o.padding >= 0, "texture of ", o.size);
  const auto charts = make_charts(mesh, o.least_cosine);
  std::vector<Flat> flats;
  for (const Chart& chart : charts) flats.push_back(flatten(mesh, chart));
  const float scale = best_scale(flats, o);
  const auto places = packed(flats, scale, o);
  mesh = assembled(mesh, charts, flats, places, scale, o);
  AtlasInfo info;
  info.n_charts = static_cast<int>(charts.size());
  info.texels_per_unit = scale;
  for (const auto& place : places) info.used += static_cast<double>(place.w) * place.h;
  info.used /= static_cast<double>(o.size) * o.size;
  return info;
}

}  // namespace t3d::export_
