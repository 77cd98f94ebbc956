#include "t3d/export/seen_surface.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "t3d/export/sample_field.h"

namespace t3d::export_ {
namespace {

constexpr size_t kRank = 3;          // of the clearest directions
constexpr double kHazeBorder = 0.7;  // share of the border whose density is haze
constexpr float kOpaqueDepth = 16;   // through the middle of a field that is opaque enough
constexpr float kMostDenser = 32;

using Depths = std::array<float, kRank>;  // the smallest so far, in order

void insert(Depths& smallest, float depth) {
  if (depth >= smallest.back()) return;
  size_t place = kRank - 1;
  for (; place > 0 && smallest[place - 1] > depth; --place) smallest[place] = smallest[place - 1];
  smallest[place] = depth;
}

/// Walks one direction through the grid plane by plane.
void sweep(const std::vector<float>& density, const SampleGrid& g, int dx, int dy, int dz,
           std::vector<Depths>& smallest) {
  const auto nx = static_cast<size_t>(g.nx), plane = nx * static_cast<size_t>(g.ny);
  const float half =
      0.5f * Vec3f(static_cast<float>(dx) * g.spacing.x(), static_cast<float>(dy) * g.spacing.y(),
                   static_cast<float>(dz) * g.spacing.z())
                 .norm();
  std::vector<float> before(plane), here(plane);
  for (int step_z = 0; step_z < g.nz; ++step_z) {
    const int k = dz < 0 ? g.nz - 1 - step_z : step_z;
    here.swap(before);
    const float* values = density.data() + static_cast<size_t>(k) * plane;
    const float* earlier = values - dz * static_cast<std::ptrdiff_t>(plane);
    const std::vector<float>& from = dz == 0 ? here : before;
    for (int step_y = 0; step_y < g.ny; ++step_y) {
      const int j = dy < 0 ? g.ny - 1 - step_y : step_y;
      for (int step_x = 0; step_x < g.nx; ++step_x) {
        const int i = dx < 0 ? g.nx - 1 - step_x : step_x;
        const size_t place = static_cast<size_t>(j) * nx + static_cast<size_t>(i);
        const int pi = i - dx, pj = j - dy;
        float depth = 0;
        if (pi >= 0 && pi < g.nx && pj >= 0 && pj < g.ny && (dz == 0 || step_z > 0)) {
          const size_t last = static_cast<size_t>(pj) * nx + static_cast<size_t>(pi);
          depth = from[last] + half * (values[place] + earlier[last]);
        }
        here[place] = depth;
        insert(smallest[static_cast<size_t>(k) * plane + place], depth);
      }
    }
  }
}

std::vector<float> seen_depths(const std::vector<float>& density, const SampleGrid& grid) {
  Depths none;
  none.fill(std::numeric_limits<float>::max());
  std::vector<Depths> smallest(density.size(), none);
  for (int dz = -1; dz <= 1; ++dz)
    for (int dy = -1; dy <= 1; ++dy)
      for (int dx = -1; dx <= 1; ++dx)
        if (dx != 0 || dy != 0 || dz != 0) sweep(density, grid, dx, dy, dz, smallest);
  std::vector<float> out(density.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = smallest[i].back();
  return out;
}

}  // namespace

std::vector<float> seen_opacity(std::vector<float> densities, const SampleGrid& grid) {
  const float haze = 1.05f * border_quantile(densities, grid, kHazeBorder);
  if (haze > 0)
    for (float& v : densities) v = std::max(0.0f, v - haze);
  std::vector<float> depths = seen_depths(densities, grid);
  const float deepest = *std::max_element(depths.begin(), depths.end());
  // Depths are linear in the densities, so a denser field needs no second walk.
  const float denser = deepest > 0 ? std::clamp(0.5f * kOpaqueDepth / deepest, 1.0f, kMostDenser) : 1.0f;
  for (float& depth : depths) depth = -std::expm1(-depth * denser);
  return depths;
}

}  // namespace t3d::export_
