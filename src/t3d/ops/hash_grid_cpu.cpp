#include <algorithm>
#include <memory>
#include <vector>

#include "t3d/core/error.h"
#include "t3d/ops/hash_grid.h"
#include "t3d/ops/hash_grid_kernels.h"
#include "t3d/ops/hash_grid_reference.h"

namespace t3d::ops::cpu {
namespace {

constexpr int64_t kChunk = 2048;  // samples a thread takes at a time
constexpr int64_t kSlack = 32;    // kernels read whole blocks

/// x turned into D arrays, with readable slack behind each.
struct Columns {
  std::unique_ptr<float[]> data;
  int64_t pitch;

  Columns(const float* x, int64_t stride, int64_t n, int n_dims)
      : data(new float[(n + kSlack) * n_dims]), pitch(n + kSlack) {
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < pitch; ++i)
      for (int d = 0; d < n_dims; ++d) data[d * pitch + i] = i < n ? x[i * stride + d] : 0.f;
  }
};

LevelTask level_task(const HashGridLayout& layout, int l, const Columns& x) {
  const HashGridConfig& c = layout.config;
  LevelTask task{};
  task.n_dims = c.n_dims;
  task.n_features = c.n_features;
  task.is_smooth = c.interpolation == Interpolation::Smoothstep;
  task.level = &layout.levels[l];
  task.x = x.data.get();
  task.pitch = x.pitch;
  return task;
}

int64_t first_param(const HashGridLayout& layout, int l) {
  return int64_t{layout.levels[l].first_entry} * layout.config.n_features;
}

int active_levels(const HashGridLayout& layout, int n_active_levels) {
  return n_active_levels < 0 ? layout.config.n_levels : std::min(n_active_levels, layout.config.n_levels);
}

template <class T>
void check_groups(const HashGridLayout& layout, const Rows<T>& r) {
  T3D_CHECK(r.group % layout.config.n_features == 0, "a level's ", layout.config.n_features,
            " features must lie together; the rows are in groups of ", r.group);
}

}  // namespace

void hash_grid_forward(const HashGridLayout& layout, const float* params, const float* x, int64_t x_stride,
                       int64_t n, Rows<float> out, int n_active_levels) {
  if (n == 0) return;
  check_groups(layout, out);
  const int n_active = active_levels(layout, n_active_levels), n_features = layout.config.n_features;
  const Columns columns(x, x_stride, n, layout.config.n_dims);
  const LevelKernel kernel = level_kernels().forward;
  const int64_t n_chunks = (n + kChunk - 1) / kChunk;
#pragma omp parallel for schedule(dynamic, 1)
  for (int64_t job = 0; job < layout.config.n_levels * n_chunks; ++job) {
    const int l = static_cast<int>(job / n_chunks);
    const int64_t begin = job % n_chunks * kChunk, end = std::min(n, begin + kChunk);
    LevelTask task = level_task(layout, l, columns);
    task.table = params + first_param(layout, l);
    task.out = &out.at(0, l * n_features);
    task.out_stride = out.row_stride;
    if (l < n_active) {
      kernel(task, begin, end);
    } else {
      for (int64_t i = begin; i < end; ++i) std::fill_n(task.out + i * task.out_stride, n_features, 0.f);
    }
  }
}

void hash_grid_backward_params(const HashGridLayout& layout, const float* x, int64_t x_stride, int64_t n,
                               Rows<const float> dy, float* dparams, int n_active_levels) {
  if (n == 0) return;
  check_groups(layout, dy);
  const Columns columns(x, x_stride, n, layout.config.n_dims);
  const LevelKernel kernel = level_kernels().scatter;
  // Whole levels to threads: no two threads write one entry, and each entry sums its samples in order.
  // The finest, slowest levels come first.
#pragma omp parallel for schedule(dynamic, 1)
  for (int l = active_levels(layout, n_active_levels) - 1; l >= 0; --l) {
    LevelTask task = level_task(layout, l, columns);
    task.dtable = dparams + first_param(layout, l);
    task.dy = &dy.at(0, l * layout.config.n_features);
    task.dy_stride = dy.row_stride;
    kernel(task, 0, n);
  }
}

void hash_grid_backward_input(const HashGridLayout& layout, const float* params, const float* x,
                              int64_t x_stride, int64_t n, Rows<const float> dy, float* dx, int64_t dx_stride,
                              int n_active_levels) {
  if (n == 0) return;
  check_groups(layout, dy);
  const int n_dims = layout.config.n_dims, n_active = active_levels(layout, n_active_levels);
  const Columns columns(x, x_stride, n, n_dims);
  const LevelKernel kernel = level_kernels().input;
  const int64_t n_chunks = (n + kChunk - 1) / kChunk;
#pragma omp parallel
  {
    const int64_t pitch = kChunk + kSlack;
    std::vector<float> sums(n_dims * pitch);
#pragma omp for schedule(dynamic, 1)
    for (int64_t chunk = 0; chunk < n_chunks; ++chunk) {
      const int64_t begin = chunk * kChunk, end = std::min(n, begin + kChunk);
      std::fill(sums.begin(), sums.end(), 0.f);
      for (int l = 0; l < n_active; ++l) {
        LevelTask task = level_task(layout, l, columns);
        task.x += begin;
        task.table = params + first_param(layout, l);
        task.dy = &dy.at(begin, l * layout.config.n_features);
        task.dy_stride = dy.row_stride;
        task.out = sums.data();
        task.out_stride = pitch;
        kernel(task, 0, end - begin);
      }
      for (int64_t i = begin; i < end; ++i)
        for (int d = 0; d < n_dims; ++d) dx[i * dx_stride + d] = sums[d * pitch + i - begin];
    }
  }
}

void hash_grid_backward_backward_input(const HashGridLayout& layout, const float* params, const float* x,
                                       int64_t x_stride, int64_t n, Rows<const float> dy, const float* v,
                                       int64_t v_stride, Rows<float> ddy, float* dparams, float* dx2,
                                       int64_t dx2_stride, int n_active_levels) {
  const int n_dims = layout.config.n_dims, n_features = layout.config.n_features;
  const int n_active = active_levels(layout, n_active_levels), n_corners = 1 << n_dims;
  // Per sample: everything that no other sample writes.
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < n; ++i) {
    std::array<float, 4> sum{};
    for (int l = 0; l < layout.config.n_levels; ++l) {
      std::array<float, 8> out{};
      if (l < n_active) {
        const auto k = reference::corners(layout, layout.levels[l], x + i * x_stride);
        for (int c = 0; c < n_corners; ++c) {
          const float* entry = params + first_param(layout, l) + int64_t{k.entry[c]} * n_features;
          float along = 0, value = 0;
          for (int d = 0; d < n_dims; ++d) along += k.d_weight[c][d] * v[i * v_stride + d];
          for (int f = 0; f < n_features; ++f) {
            out[f] += along * entry[f];
            value += entry[f] * dy.at(i, l * n_features + f);
          }
          for (int d = 0; d < n_dims; ++d)
            for (int e = 0; e < n_dims; ++e) sum[d] += k.d2_weight[c][d][e] * v[i * v_stride + e] * value;
        }
      }
      for (int f = 0; ddy.data != nullptr && f < n_features; ++f) ddy.at(i, l * n_features + f) = out[f];
    }
    for (int d = 0; dx2 != nullptr && d < n_dims; ++d) dx2[i * dx2_stride + d] = sum[d];
  }
  if (dparams == nullptr) return;
#pragma omp parallel for schedule(dynamic, 1)
  for (int l = n_active - 1; l >= 0; --l)
    for (int64_t i = 0; i < n; ++i) {
      const auto k = reference::corners(layout, layout.levels[l], x + i * x_stride);
      for (int c = 0; c < n_corners; ++c) {
        float* entry = dparams + first_param(layout, l) + int64_t{k.entry[c]} * n_features;
        float along = 0;
        for (int d = 0; d < n_dims; ++d) along += k.d_weight[c][d] * v[i * v_stride + d];
        for (int f = 0; f < n_features; ++f) entry[f] += along * dy.at(i, l * n_features + f);
      }
    }
}

}  // namespace t3d::ops::cpu
