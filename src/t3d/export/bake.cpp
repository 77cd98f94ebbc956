#include "t3d/export/bake.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "t3d/core/error.h"

namespace t3d::export_ {
namespace {

constexpr size_t kBatch = 1 << 16;

/// Colours times weights, and weights: 0 where nothing is known.
struct Layer {
  int size = 0;
  std::vector<std::array<float, 4>> texels;

  explicit Layer(int n) : size(n), texels(static_cast<size_t>(n) * static_cast<size_t>(n)) {}
  std::array<float, 4>& at(int x, int y) {
    return texels[static_cast<size_t>(y) * static_cast<size_t>(size) + static_cast<size_t>(x)];
  }
  const std::array<float, 4>& at(int x, int y) const { return const_cast<Layer*>(this)->at(x, y); }
};

/// Where texels lie on the surface; asked for in batches.
class Baker {
 public:
  Baker(const ColourOf& colour_of, Layer& layer) : colour_of_(colour_of), layer_(layer) {}

  void face(const io::Mesh& mesh, const std::array<uint32_t, 3>& face) {
    const auto size = static_cast<float>(layer_.size);
    std::array<Vec2f, 3> p;
    for (size_t c = 0; c < 3; ++c) {
      const Vec2f& uv = mesh.uvs[face[c]];
      p[c] = Vec2f(uv.x() * size - 0.5f, (1 - uv.y()) * size - 0.5f);  // texel centres at whole numbers
    }
    const auto cross = [](const Vec2f& a, const Vec2f& b) { return a.x() * b.y() - a.y() * b.x(); };
    const float area = cross(p[1] - p[0], p[2] - p[0]);
    if (area == 0 || !std::isfinite(area)) return;
    const Vec2f low = p[0].cwiseMin(p[1]).cwiseMin(p[2]), high = p[0].cwiseMax(p[1]).cwiseMax(p[2]);
    const int x0 = std::max(0, static_cast<int>(std::ceil(low.x()))),
              x1 = std::min(layer_.size - 1, static_cast<int>(std::floor(high.x()))),
              y0 = std::max(0, static_cast<int>(std::ceil(low.y()))),
              y1 = std::min(layer_.size - 1, static_cast<int>(std::floor(high.y())));
    for (int y = y0; y <= y1; ++y)
      for (int x = x0; x <= x1; ++x) {
        const Vec2f q(static_cast<float>(x), static_cast<float>(y));
        const float b = cross(q - p[0], p[2] - p[0]) / area, c = cross(p[1] - p[0], q - p[0]) / area,
                    a = 1 - b - c;
        if (a < 0 || b < 0 || c < 0) continue;
        points_.push_back(a * mesh.positions[face[0]] + b * mesh.positions[face[1]] +
                          c * mesh.positions[face[2]]);
        const Vec3f normal =
            a * mesh.normals[face[0]] + b * mesh.normals[face[1]] + c * mesh.normals[face[2]];
        const float length = normal.norm();
        normals_.push_back(length > 0 ? Vec3f(normal / length) : mesh.normals[face[0]]);
        places_.push_back(static_cast<size_t>(y) * static_cast<size_t>(layer_.size) + static_cast<size_t>(x));
        if (places_.size() == kBatch) flush();
      }
  }

  void flush() {
    if (places_.empty()) return;
    colours_.resize(places_.size());
    colour_of_(places_.size(), points_.data(), normals_.data(), colours_.data());
    for (size_t i = 0; i < places_.size(); ++i) {
      const Vec3f& c = colours_[i];
      if (c.allFinite()) layer_.texels[places_[i]] = {c.x(), c.y(), c.z(), 1};
    }
    points_.clear();
    normals_.clear();
    places_.clear();
  }

 private:
  const ColourOf& colour_of_;
  Layer& layer_;
  std::vector<Vec3f> points_, normals_, colours_;
  std::vector<size_t> places_;
};

/// One step of growth: an unknown texel becomes the mean of its known neighbours.
void dilate(Layer& layer) {
  const Layer before = layer;
  for (int y = 0; y < layer.size; ++y)
    for (int x = 0; x < layer.size; ++x) {
      if (before.at(x, y)[3] > 0) continue;
      std::array<float, 4> sum{};
      for (int v = std::max(0, y - 1); v <= std::min(layer.size - 1, y + 1); ++v)
        for (int u = std::max(0, x - 1); u <= std::min(layer.size - 1, x + 1); ++u)
          for (size_t c = 0; c < 4; ++c) sum[c] += before.at(u, v)[c];
      if (sum[3] > 0) layer.at(x, y) = {sum[0] / sum[3], sum[1] / sum[3], sum[2] / sum[3], 1};
    }
}

/// Fills every unknown texel from the same place in a layer of half the size.
void fill(Layer& layer) {
  if (layer.size == 1) return;
  Layer half((layer.size + 1) / 2);
  for (int y = 0; y < layer.size; ++y)
    for (int x = 0; x < layer.size; ++x)
      for (size_t c = 0; c < 4; ++c) half.at(x / 2, y / 2)[c] += layer.at(x, y)[c];
  for (auto& t : half.texels)
    if (t[3] > 0) t = {t[0] / t[3], t[1] / t[3], t[2] / t[3], 1};
  fill(half);
  for (int y = 0; y < layer.size; ++y)
    for (int x = 0; x < layer.size; ++x)
      if (!(layer.at(x, y)[3] > 0)) layer.at(x, y) = half.at(x / 2, y / 2);
}

}  // namespace

io::Image8 bake_colours(const io::Mesh& mesh, const ColourOf& colour_of, int size) {
  T3D_CHECK(mesh.uvs.size() == mesh.positions.size() && mesh.normals.size() == mesh.positions.size(),
            "a mesh without texture coordinates or normals");
  Layer layer(size);
  Baker baker(colour_of, layer);
  for (const auto& face : mesh.faces) baker.face(mesh, face);
  baker.flush();
  constexpr int kSharpSteps = 4;  // beyond the padding of charts
  for (int i = 0; i < kSharpSteps; ++i) dilate(layer);
  fill(layer);
  io::Image8 image(size, size, 3);
  for (size_t i = 0; i < layer.texels.size(); ++i)
    for (size_t c = 0; c < 3; ++c)
      image.pixels[3 * i + c] =
          static_cast<uint8_t>(std::lround(255 * std::clamp(layer.texels[i][c], 0.0f, 1.0f)));
  return image;
}

}  // namespace t3d::export_
