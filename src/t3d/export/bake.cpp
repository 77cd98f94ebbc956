#include "t3d/export/bake.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "t3d/core/error.h"
#include "t3d/io/vertex_tangents.h"

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

/// Texels that have a point of the surface.
struct Texels {
  std::vector<Vec3f> points, normals;
  std::vector<Vec4f> tangents;  ///< where they are asked for
  std::vector<size_t> places;   ///< row * size + column
};

/// Finds the texels of faces and hands them over in batches.
class TexelWalk {
 public:
  TexelWalk(const io::Mesh& mesh, int size, std::function<void(const Texels&)> visit,
            const std::vector<Vec4f>* tangents = nullptr)
      : mesh_(mesh), size_(size), visit_(std::move(visit)), tangents_(tangents) {
    T3D_CHECK(mesh.uvs.size() == mesh.positions.size() && mesh.normals.size() == mesh.positions.size(),
              "a mesh without texture coordinates or normals");
  }

  void run() {
    for (const auto& face : mesh_.faces) add(face);
    flush();
  }

 private:
  void add(const std::array<uint32_t, 3>& face) {
    const auto size = static_cast<float>(size_);
    std::array<Vec2f, 3> p;
    for (size_t c = 0; c < 3; ++c) {
      const Vec2f& uv = mesh_.uvs[face[c]];
      p[c] = Vec2f(uv.x() * size - 0.5f, (1 - uv.y()) * size - 0.5f);  // texel centres at whole numbers
    }
    const auto cross = [](const Vec2f& a, const Vec2f& b) { return a.x() * b.y() - a.y() * b.x(); };
    const float area = cross(p[1] - p[0], p[2] - p[0]);
    if (area == 0 || !std::isfinite(area)) return;
    const Vec2f low = p[0].cwiseMin(p[1]).cwiseMin(p[2]), high = p[0].cwiseMax(p[1]).cwiseMax(p[2]);
    const int x0 = std::max(0, static_cast<int>(std::ceil(low.x()))),
              x1 = std::min(size_ - 1, static_cast<int>(std::floor(high.x()))),
              y0 = std::max(0, static_cast<int>(std::ceil(low.y()))),
              y1 = std::min(size_ - 1, static_cast<int>(std::floor(high.y())));
    for (int y = y0; y <= y1; ++y)
      for (int x = x0; x <= x1; ++x) {
        const Vec2f q(static_cast<float>(x), static_cast<float>(y));
        const float b = cross(q - p[0], p[2] - p[0]) / area, c = cross(p[1] - p[0], q - p[0]) / area,
                    a = 1 - b - c;
        if (a < 0 || b < 0 || c < 0) continue;
        add(face, a, b, c, static_cast<size_t>(y) * static_cast<size_t>(size_) + static_cast<size_t>(x));
      }
  }

  void add(const std::array<uint32_t, 3>& face, float a, float b, float c, size_t place) {
    texels_.points.push_back(a * mesh_.positions[face[0]] + b * mesh_.positions[face[1]] +
                             c * mesh_.positions[face[2]]);
    const Vec3f normal = a * mesh_.normals[face[0]] + b * mesh_.normals[face[1]] + c * mesh_.normals[face[2]];
    const float length = normal.norm();
    texels_.normals.push_back(length > 0 ? Vec3f(normal / length) : mesh_.normals[face[0]]);
    if (tangents_ != nullptr)
      texels_.tangents.push_back(a * (*tangents_)[face[0]] + b * (*tangents_)[face[1]] +
                                 c * (*tangents_)[face[2]]);
    texels_.places.push_back(place);
    if (texels_.places.size() == kBatch) flush();
  }

  void flush() {
    if (!texels_.places.empty()) visit_(texels_);
    texels_.points.clear();
    texels_.normals.clear();
    texels_.tangents.clear();
    texels_.places.clear();
  }

  const io::Mesh& mesh_;
  int size_;
  std::function<void(const Texels&)> visit_;
  const std::vector<Vec4f>* tangents_;
  Texels texels_;
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

void keep(const MapValues& values, const std::vector<size_t>& places, Layer& layer) {
  const auto n = static_cast<size_t>(values.channels);
  T3D_CHECK(n >= 1 && n <= 3 && values.values.size() == n * places.size(), "a map of ", n, " channels");
  for (size_t i = 0; i < places.size(); ++i) {
    std::array<float, 4> texel{0, 0, 0, 1};
    bool is_finite = true;
    for (size_t c = 0; c < n; ++c) {
      texel[c] = values.values[n * i + c];
      is_finite = is_finite && std::isfinite(texel[c]);
    }
    if (is_finite) layer.texels[places[i]] = texel;
  }
}

io::Image8 finished(Layer& layer, int channels) {
  constexpr int kSharpSteps = 4;  // beyond the padding of charts
  for (int i = 0; i < kSharpSteps; ++i) dilate(layer);
  fill(layer);
  io::Image8 image(layer.size, layer.size, channels);
  const auto n = static_cast<size_t>(channels);
  for (size_t i = 0; i < layer.texels.size(); ++i)
    for (size_t c = 0; c < n; ++c)
      image.pixels[n * i + c] =
          static_cast<uint8_t>(std::lround(255 * std::clamp(layer.texels[i][c], 0.0f, 1.0f)));
  return image;
}

}  // namespace

std::map<std::string, io::Image8> bake_maps(const io::Mesh& mesh, const MapsOf& maps_of, int size) {
  std::map<std::string, std::pair<Layer, int>> layers;
  const auto visit = [&](const Texels& texels) {
    const NamedMaps maps = maps_of(texels.places.size(), texels.points.data(), texels.normals.data());
    for (const auto& [name, values] : maps) {
      auto& layer = layers.emplace(name, std::make_pair(Layer(size), values.channels)).first->second;
      keep(values, texels.places, layer.first);
    }
  };
  TexelWalk(mesh, size, visit).run();
  std::map<std::string, io::Image8> out;
  for (auto& [name, layer] : layers) out[name] = finished(layer.first, layer.second);
  return out;
}

io::Image8 bake_colours(const io::Mesh& mesh, const ColourOf& colour_of, int size) {
  auto maps = bake_maps(mesh, albedo_alone(colour_of), size);
  // No texel's centre may lie in any face.
  return maps.empty() ? io::Image8(size, size, 3) : std::move(maps["albedo"]);
}

int add_texture(io::Mesh& mesh, const io::Image8& rgb) {
  io::Image8 image(rgb.width, rgb.height, 4);
  for (size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = i % 4 == 3 ? 255 : rgb.pixels[i / 4 * 3 + i % 4];
  mesh.textures.push_back(std::move(image));
  return static_cast<int>(mesh.textures.size()) - 1;
}

io::Image8 bake_normals(const io::Mesh& mesh, const NormalOf& normal_of, int size) {
  const std::vector<Vec4f> tangents = io::vertex_tangents(mesh, mesh.uvs);
  Layer layer(size);
  const auto visit = [&](const Texels& texels) {
    const size_t n = texels.places.size();
    std::vector<Vec3f> normals(n);
    normal_of(n, texels.points.data(), texels.normals.data(), normals.data());
    MapValues values{3, std::vector<float>(3 * n)};
    for (size_t i = 0; i < n; ++i) {
      const Vec3f& z = texels.normals[i];
      Vec3f x = texels.tangents[i].head<3>();
      x = (x - z * z.dot(x)).normalized();
      const Vec3f y = z.cross(x) * (texels.tangents[i].w() < 0 ? -1.0f : 1.0f);
      const Vec3f local = Vec3f(normals[i].dot(x), normals[i].dot(y), normals[i].dot(z)).normalized();
      for (int c = 0; c < 3; ++c) values.values[3 * i + static_cast<size_t>(c)] = 0.5f * (local[c] + 1);
    }
    keep(values, texels.places, layer);
  };
  TexelWalk(mesh, size, visit, &tangents).run();
  return finished(layer, 3);
}

}  // namespace t3d::export_
