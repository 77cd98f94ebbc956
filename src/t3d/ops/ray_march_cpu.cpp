#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "t3d/ops/ray_march.h"

namespace t3d::ops::cpu {
namespace {

constexpr int64_t kBlock = 64;  // rays that one thread takes at a time

float jitter_of(const float* jitter, int64_t ray) {
  return jitter == nullptr ? 0.5f : jitter[ray];
}

template <class Visit>
int32_t visit_samples(const float* o, const float* d, float jitter, const uint8_t* bits, int n_cascades,
                      const MarchConfig& config, int32_t limit, const Visit& visit) {
  RayMarcher ray(o, d, jitter, config, n_cascades);
  int32_t n = 0;
  for (float t, dt; n < limit && ray.next(bits, &t, &dt); ++n) visit(n, t, dt);
  return n;
}

void write_positions(const float* o, const float* d, const float* t, int32_t n, float* positions) {
  for (int32_t i = 0; i < n; ++i)
    for (int axis = 0; axis < 3; ++axis) positions[3 * i + axis] = o[axis] + t[i] * d[axis];
}

}  // namespace

void march_count(const float* origins, const float* directions, const float* jitter, int64_t n_rays,
                 const uint8_t* bits, int n_cascades, const MarchConfig& config, int32_t* counts) {
  at::parallel_for(0, n_rays, kBlock, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      counts[r] = visit_samples(origins + 3 * r, directions + 3 * r, jitter_of(jitter, r), bits, n_cascades,
                                config, config.max_samples, [](int32_t, float, float) {});
  });
}

int64_t exclusive_scan(const int32_t* counts, int64_t n_rays, int64_t capacity, int32_t* ray_start) {
  int64_t total = 0, r = 0;
  ray_start[0] = 0;
  for (; r < n_rays && total + counts[r] <= capacity; ++r) {
    total += counts[r];
    ray_start[r + 1] = static_cast<int32_t>(total);
  }
  const int64_t n_fitting = r;
  for (; r < n_rays; ++r) ray_start[r + 1] = static_cast<int32_t>(total);
  return n_fitting;
}

void march_write(const float* origins, const float* directions, const float* jitter, int64_t n_rays,
                 const uint8_t* bits, int n_cascades, const MarchConfig& config, const int32_t* ray_start,
                 float* t, float* dt, float* positions, int32_t* ray_indices) {
  at::parallel_for(0, n_rays, kBlock, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int32_t start = ray_start[r], n = ray_start[r + 1] - start;
      visit_samples(origins + 3 * r, directions + 3 * r, jitter_of(jitter, r), bits, n_cascades, config, n,
                    [&](int32_t i, float t_sample, float dt_sample) {
                      t[start + i] = t_sample;
                      dt[start + i] = dt_sample;
                    });
      if (positions != nullptr)
        write_positions(origins + 3 * r, directions + 3 * r, t + start, n, positions + 3 * int64_t{start});
      if (ray_indices != nullptr) std::fill_n(ray_indices + start, n, static_cast<int32_t>(r));
    }
  });
}

int64_t march_rays(const float* origins, const float* directions, const float* jitter, int64_t n_rays,
                   const uint8_t* bits, int n_cascades, const MarchConfig& config, int64_t capacity,
                   int32_t* ray_start, float* t, float* dt, float* positions, int32_t* ray_indices) {
  const int64_t n_blocks = (n_rays + kBlock - 1) / kBlock;
  std::vector<std::vector<float>> kept(n_blocks);  // t and dt in turn, per block
  std::vector<int32_t> counts(n_rays);
  at::parallel_for(0, n_blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      std::vector<float>& own = kept[block];
      own.reserve(2 * 32 * kBlock);
      for (int64_t r = block * kBlock; r < std::min(n_rays, (block + 1) * kBlock); ++r)
        counts[r] = visit_samples(origins + 3 * r, directions + 3 * r, jitter_of(jitter, r), bits, n_cascades,
                                  config, config.max_samples, [&](int32_t, float t_sample, float dt_sample) {
                                    own.push_back(t_sample);
                                    own.push_back(dt_sample);
                                  });
    }
  });
  const int64_t n_fitting = exclusive_scan(counts.data(), n_rays, capacity, ray_start);
  at::parallel_for(0, n_blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const float* source = kept[block].data();
      for (int64_t r = block * kBlock; r < std::min(n_fitting, (block + 1) * kBlock); ++r) {
        const int64_t start = ray_start[r];
        for (int32_t i = 0; i < counts[r]; ++i, source += 2) {
          t[start + i] = source[0];
          dt[start + i] = source[1];
        }
        if (positions != nullptr)
          write_positions(origins + 3 * r, directions + 3 * r, t + start, counts[r], positions + 3 * start);
        if (ray_indices != nullptr) std::fill_n(ray_indices + start, counts[r], static_cast<int32_t>(r));
      }
    }
  });
  return n_fitting;
}

}  // namespace t3d::ops::cpu
