#include "t3d/export/sample_field.h"

#include <algorithm>
#include <cmath>

namespace t3d::export_ {
namespace {

constexpr size_t kChunk = 1 << 17;
constexpr float kMostOpaque = 0.9999f;
constexpr float kEmpty = 1e-3f;  // opacity of the whole box's length: below it there is nothing
void blur_along(std::vector<float>& values, size_t n_lines, size_t n, size_t step,
                const std::function<size_t(size_t line)>& start) {
  for (size_t line = 0; line < n_lines; ++line) {
    float* v = values.data() + start(line);
    float before = v[0];
    for (size_t i = 1; i + 1 < n; ++i) {
      const float here = v[i * step];
      v[i * step] = 0.25f * (before + v[(i + 1) * step]) + 0.5f * here;
      before = here;
    }
  }
}

void blur(std::vector<float>& values, const SampleGrid& grid) {
  const auto nx = static_cast<size_t>(grid.nx), ny = static_cast<size_t>(grid.ny),
             nz = static_cast<size_t>(grid.nz);
  blur_along(values, ny * nz, nx, 1, [&](size_t line) { return line * nx; });
  blur_along(values, nx * nz, ny, nx, [&](size_t line) { return line / nx * nx * ny + line % nx; });
  blur_along(values, nx * ny, nz, nx * ny, [](size_t line) { return line; });
}

}  // namespace

std::vector<float> sample_values(const ValueOf& value_of, const SampleGrid& grid) {
  const auto nx = static_cast<size_t>(grid.nx), ny = static_cast<size_t>(grid.ny);
  const size_t n = nx * ny * static_cast<size_t>(grid.nz);
  std::vector<float> values(n);
  std::vector<Vec3f> points;
  for (size_t first = 0; first < n; first += kChunk) {
    points.resize(std::min(kChunk, n - first));
    for (size_t i = 0; i < points.size(); ++i) {
      const size_t place = first + i;
      points[i] = grid.origin + Vec3f(static_cast<float>(place % nx), static_cast<float>(place / nx % ny),
                                      static_cast<float>(place / (nx * ny)))
                                    .cwiseProduct(grid.spacing);
    }
    value_of(points.size(), points.data(), values.data() + first);
  }
  return values;
}

std::vector<float> sample_field(const FieldSampler& sampler, const SampleGrid& grid, int n_blurs) {
  std::vector<float> values = sample_values(sampler.density, grid);
  const float cell = grid.spacing.maxCoeff();
  for (float& v : values) v = v > 0 ? std::min(-std::expm1(-v * cell), kMostOpaque) : 0;
  for (int pass = 0; pass < n_blurs; ++pass) blur(values, grid);
  for (float& v : values) v = -std::log1p(-v) / cell;
  return values;
}

bool has_matter(const std::vector<float>& densities, const SampleGrid& grid) {
  const float side = grid.spacing.maxCoeff() * static_cast<float>(std::max({grid.nx, grid.ny, grid.nz}));
  return *std::max_element(densities.begin(), densities.end()) * side > kEmpty;
}

float border_quantile(const std::vector<float>& values, const SampleGrid& grid, double share) {
  std::vector<float> border;
  size_t place = 0;
  for (int k = 0; k < grid.nz; ++k)
    for (int j = 0; j < grid.ny; ++j)
      for (int i = 0; i < grid.nx; ++i, ++place)
        if (i == 0 || j == 0 || k == 0 || i + 1 == grid.nx || j + 1 == grid.ny || k + 1 == grid.nz)
          border.push_back(values[place]);
  const auto rank = static_cast<std::ptrdiff_t>(share * static_cast<double>(border.size() - 1));
  std::nth_element(border.begin(), border.begin() + rank, border.end());
  return border[static_cast<size_t>(rank)];
}

}  // namespace t3d::export_
