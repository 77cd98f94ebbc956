#include <algorithm>
#include <cmath>
#include <cstring>
#include <unordered_map>

#include "t3d/core/error.h"
#include "t3d/export/check_mesh.h"
#include "t3d/export/doubled_area.h"
#include "t3d/export/mesh_edges.h"
#include "t3d/io/weld.h"
#include "t3d/math/disjoint_sets.h"

namespace t3d::export_ {
namespace {

constexpr int kFractionBits = 14;
constexpr int64_t kOne = int64_t{1} << kFractionBits;

/// A corner in texels, in fixed point, so that every texel's centre lies on one side of an edge exactly.
using Fixed = std::array<int64_t, 2>;

int64_t cross(const Fixed& a, const Fixed& b, const Fixed& c) {
  return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
}

/// Of the two faces at an edge through a centre one has it.
bool owns_edge(const Fixed& a, const Fixed& b) {
  return b[1] > a[1] || (b[1] == a[1] && b[0] < a[0]);
}

/// Counts, for each texel, the faces that have its centre, up to 2.
class TexelCount {
 public:
  explicit TexelCount(int size)
      : size_(size), count_(static_cast<size_t>(size) * static_cast<size_t>(size)) {}

  void add(std::array<Fixed, 3> p) {
    const int64_t area = cross(p[0], p[1], p[2]);
    if (area == 0) return;
    if (area < 0) std::swap(p[1], p[2]);
    const auto low = [&](size_t axis) {
      return floor_texel(std::min({p[0][axis], p[1][axis], p[2][axis]}) - kOne / 2);
    };
    const auto high = [&](size_t axis) {
      return floor_texel(std::max({p[0][axis], p[1][axis], p[2][axis]}) - kOne / 2) + 1;
    };
    for (int64_t y = low(1); y <= high(1); ++y)
      for (int64_t x = low(0); x <= high(0); ++x) {
        const Fixed q = {x * kOne + kOne / 2, y * kOne + kOne / 2};
        bool is_inside = true;
        for (size_t c = 0; c < 3 && is_inside; ++c) {
          const Fixed &a = p[c], &b = p[(c + 1) % 3];
          const int64_t side = cross(a, b, q);
          is_inside = side > 0 || (side == 0 && owns_edge(a, b));
        }
        if (is_inside) take(x, y);
      }
  }

  /// A face that is wider than the whole square lies on itself.
  void add_everywhere() { n_everywhere_ += 1; }

  size_t n_taken() const { return n_taken_; }
  size_t n_shared() const { return n_shared_ + n_everywhere_; }

 private:
  static int64_t floor_texel(int64_t v) { return v >> kFractionBits; }

  void take(int64_t x, int64_t y) {
    const int64_t n = size_;
    uint8_t& count = count_[static_cast<size_t>((y % n + n) % n * n + (x % n + n) % n)];
    if (count == 0) ++n_taken_;
    if (count == 1) ++n_shared_;
    if (count < 2) ++count;
  }

  int size_;
  std::vector<uint8_t> count_;
  size_t n_taken_ = 0, n_shared_ = 0, n_everywhere_ = 0;
};

/// Faces by vertices that are one where place and texture coordinates are.
Faces faces_on_texture(const io::Mesh& mesh) {
  struct Hash {
    size_t operator()(const std::array<uint32_t, 3>& key) const {
      return ((key[0] * 0x9e3779b97f4a7c15u ^ key[1]) * 0xff51afd7ed558ccdu ^ key[2]) * 0xc4ceb9fe1a85ec53u >>
             16;
    }
  };
  const io::WeldedVertices places = io::weld(mesh.positions);
  std::unordered_map<std::array<uint32_t, 3>, uint32_t, Hash> known;
  known.reserve(mesh.positions.size());
  std::vector<uint32_t> number(mesh.positions.size());
  for (size_t v = 0; v < number.size(); ++v) {
    std::array<uint32_t, 3> key = {places.number[v]};
    std::memcpy(&key[1], mesh.uvs[v].data(), 2 * sizeof(float));
    number[v] = known.emplace(key, static_cast<uint32_t>(known.size())).first->second;
  }
  Faces faces(mesh.faces.size());
  for (size_t f = 0; f < faces.size(); ++f)
    for (size_t c = 0; c < 3; ++c) faces[f][c] = number[mesh.faces[f][c]];
  return faces;
}

/// Whether a face is higher than floats near 1 are apart; a lower one is a line, which rounding turns.
bool is_wider_than_rounding(const io::Mesh& mesh, uint32_t f, double area) {
  const auto& face = mesh.faces[f];
  double longest = 0;
  for (size_t c = 0; c < 3; ++c)
    longest =
        std::max(longest, static_cast<double>((mesh.uvs[face[(c + 1) % 3]] - mesh.uvs[face[c]]).norm()));
  constexpr double kRounding = 2.4e-7;
  return std::abs(area) > kRounding * longest;
}

/// Charts, and what is turned against what.
void count_charts(const io::Mesh& mesh, const std::vector<double>& areas, UvCheck& out) {
  const auto sides = sorted_sides(faces_on_texture(mesh));
  DisjointSets charts(mesh.faces.size());
  for_each_edge(sides, [&](size_t first, size_t end) {
    for (size_t i = first + 1; i < end; ++i) charts.join(sides[first].face, sides[i].face);
  });
  std::vector<double> sums(areas.size(), 0);
  for (uint32_t f = 0; f < areas.size(); ++f) sums[charts.root(f)] += areas[f];
  for (uint32_t f = 0; f < areas.size(); ++f) {
    const uint32_t chart = charts.root(f);
    if (chart == f) ++out.n_charts, out.n_inverted_charts += sums[f] < 0;
    if (areas[f] * sums[chart] < 0) out.n_inverted_faces += is_wider_than_rounding(mesh, f, areas[f]);
  }
}

std::array<double, 3> density_quantiles(const io::Mesh& mesh, const std::vector<double>& uv_areas, int size) {
  std::vector<std::pair<double, double>> faces;  // texels per unit, area
  double whole = 0;
  for (size_t f = 0; f < mesh.faces.size(); ++f) {
    const Vec3f& a = mesh.positions[mesh.faces[f][0]];
    const double area =
        (mesh.positions[mesh.faces[f][1]] - a).cross(mesh.positions[mesh.faces[f][2]] - a).norm();
    if (!(area > 0)) continue;
    faces.emplace_back(size * std::sqrt(std::abs(uv_areas[f]) / area), area);
    whole += area;
  }
  std::sort(faces.begin(), faces.end());
  std::array<double, 3> out{};
  const double marks[] = {0.05, 0.5, 0.95};
  double sum = 0;
  size_t i = 0;
  for (const auto& [density, area] : faces) {
    sum += area;
    while (i < 3 && sum >= marks[i] * whole) out[i++] = density;
  }
  return out;
}

}  // namespace

UvCheck check_uv(const io::Mesh& mesh, int size) {
  T3D_CHECK(mesh.uvs.size() == mesh.positions.size() && size > 0, "texture coordinates of ", mesh.uvs.size());
  UvCheck out;
  out.size = size;
  TexelCount texels(size);
  std::vector<double> areas(mesh.faces.size(), 0);
  for (size_t f = 0; f < mesh.faces.size(); ++f) {
    const auto& face = mesh.faces[f];
    const Vec2f &a = mesh.uvs[face[0]], &b = mesh.uvs[face[1]], &c = mesh.uvs[face[2]];
    if (!a.allFinite() || !b.allFinite() || !c.allFinite()) continue;
    areas[f] = doubled_area(a, b, c);
    const Vec2f low = a.cwiseMin(b).cwiseMin(c), high = a.cwiseMax(b).cwiseMax(c);
    if ((high - low).maxCoeff() > 1) {
      texels.add_everywhere();
      continue;
    }
    // Far from the origin the fixed point would overflow; the square repeats.
    const Vec2f shift(std::floor(low.x()), std::floor(low.y()));
    std::array<Fixed, 3> corners;
    for (size_t i = 0; i < 3; ++i)
      for (int axis = 0; axis < 2; ++axis)
        corners[i][static_cast<size_t>(axis)] = std::llround(
            (static_cast<double>(mesh.uvs[face[i]][axis]) - shift[axis]) * size * static_cast<double>(kOne));
    texels.add(corners);
  }
  out.n_texels = texels.n_taken();
  out.n_shared_texels = texels.n_shared();
  out.used = static_cast<double>(out.n_texels) / (static_cast<double>(size) * size);
  count_charts(mesh, areas, out);
  out.density = density_quantiles(mesh, areas, size);
  return out;
}

}  // namespace t3d::export_
