#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "t3d/ops/composite.h"
#include "t3d/ops/composite_recurrence.h"

namespace t3d::ops::cpu {
namespace {

constexpr int64_t kBlock = 128;  // rays; also the unit of the deterministic sums

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define T3D_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=haswell", "default")))
#else
#define T3D_CLONES
#endif

/// exp(-sigma dt) of one ray: the only costly part, and free of the recurrence.
T3D_CLONES void keeps(const float* sigma, const float* dt, int64_t n, float* keep) {
  for (int64_t i = 0; i < n; ++i) {
    const float e = expf(-sigma[i] * dt[i]);  // the vector form may round exp(0) up
    keep[i] = e < 1.0f ? e : 1.0f;
  }
}

/// Sums of one ray up to its early stop.
struct RaySums {
  float transmittance = 1.0f, colour[3] = {0, 0, 0}, depth = 0.0f;
  int32_t n_used = 0;
};

/// Writes the weights of the samples up to the stop.
RaySums composite_ray(const float* keep, const float* rgb, const float* t, int32_t n, float min_transmittance,
                      float* w) {
  RaySums sums;
  while (sums.n_used < n && sums.transmittance > min_transmittance) {
    const int32_t i = sums.n_used++;
    w[i] = sums.transmittance * (1.0f - keep[i]);
    sums.transmittance *= keep[i];
    sums.depth += w[i] * t[i];
    if (rgb != nullptr)
      for (int c = 0; c < 3; ++c) sums.colour[c] += w[i] * rgb[3 * i + c];
  }
  return sums;
}

float loss_of(const CompositeLossConfig& config, float difference, float* slope) {
  const float size = std::fabs(difference);
  if (config.loss == PixelLoss::L2) {
    *slope = 2.0f * difference;
    return difference * difference;
  }
  if (size < config.huber_delta) {
    *slope = difference / config.huber_delta;
    return 0.5f * difference * difference / config.huber_delta;
  }
  *slope = difference < 0.0f ? -1.0f : 1.0f;
  return size - 0.5f * config.huber_delta;
}

struct LossSums {
  double loss = 0, squared_error = 0, entropy = 0, distortion = 0;
  int64_t n_used = 0;
};

struct Scratch {
  std::vector<float> keep, w, d_w;
  void resize(int64_t n) {
    if (static_cast<int64_t>(keep.size()) >= n) return;
    for (auto* part : {&keep, &w, &d_w}) part->resize(n);
  }
};

}  // namespace

void composite_forward(const int32_t* ray_start, int64_t n_rays, const float* sigma, const float* rgb,
                       const float* t, const float* dt, float min_transmittance, float* weights,
                       const CompositeOutputs& out) {
  at::parallel_for(0, n_rays, kBlock, [&](int64_t begin, int64_t end) {
    Scratch scratch;
    for (int64_t r = begin; r < end; ++r) {
      const int64_t s = ray_start[r], n = ray_start[r + 1] - s;
      scratch.resize(n);
      float* w = weights != nullptr ? weights + s : scratch.w.data();
      keeps(sigma + s, dt + s, n, scratch.keep.data());
      const RaySums sums = composite_ray(scratch.keep.data(), rgb != nullptr ? rgb + 3 * s : nullptr, t + s,
                                         static_cast<int32_t>(n), min_transmittance, w);
      std::fill(w + sums.n_used, w + n, 0.0f);
      if (out.colour != nullptr) std::copy_n(sums.colour, 3, out.colour + 3 * r);
      if (out.opacity != nullptr) out.opacity[r] = 1.0f - sums.transmittance;
      if (out.depth != nullptr) out.depth[r] = sums.depth;
      if (out.n_used != nullptr) out.n_used[r] = sums.n_used;
      if (out.z_variance != nullptr) {
        float variance = 0.0f;
        for (int64_t i = 0; i < sums.n_used; ++i)
          variance += w[i] * (t[s + i] - sums.depth) * (t[s + i] - sums.depth);
        out.z_variance[r] = variance;
      }
    }
  });
}

CompositeLossResult composite_loss(const int32_t* ray_start, int64_t n_rays, const float* sigma,
                                   const float* rgb, const float* t, const float* dt, const float* target,
                                   const float* background, const CompositeLossConfig& config, float* d_sigma,
                                   float* d_rgb, int32_t* n_used, float* colour) {
  const int64_t n_blocks = (n_rays + kBlock - 1) / kBlock;
  std::vector<LossSums> sums(n_blocks);
  const float per_value = config.loss_scale / (3.0f * static_cast<float>(n_rays));
  const float per_ray = config.loss_scale / static_cast<float>(n_rays);
  const auto one_ray = [&](int64_t r, Scratch& scratch, LossSums& total) {
    const int64_t s = ray_start[r], n = ray_start[r + 1] - s;
    scratch.resize(n);
    const float* keep = scratch.keep.data();
    float *w = scratch.w.data(), *d_w = scratch.d_w.data();
    keeps(sigma + s, dt + s, n, scratch.keep.data());
    const RaySums ray =
        composite_ray(keep, rgb + 3 * s, t + s, static_cast<int32_t>(n), config.min_transmittance, w);
    n_used[r] = ray.n_used;
    total.n_used += ray.n_used;
    float d_colour[3], d_opacity = 0.0f;
    const float alpha = target[4 * r + 3], opacity = 1.0f - ray.transmittance;
    for (int c = 0; c < 3; ++c) {
      const float behind = background[3 * r + c];
      const float value = ray.colour[c] + ray.transmittance * behind;
      if (colour != nullptr) colour[3 * r + c] = value;
      const float difference = value - (target[4 * r + c] * alpha + behind * (1.0f - alpha));
      total.squared_error += static_cast<double>(difference) * difference;
      float slope;
      total.loss += loss_of(config, difference, &slope);
      d_colour[c] = slope * per_value;
      d_opacity -= d_colour[c] * behind;
    }
    if (config.opacity_entropy > 0.0f) {
      // 1e-10 would be lost: fast math compares 1 - T with it as T with 1 - 1e-10 = 1.
      const float o = std::max(opacity, 1e-6f), log_o = std::log(o);
      total.entropy -= static_cast<double>(o) * log_o;
      d_opacity -= config.opacity_entropy * per_ray * (log_o + 1.0f);
    }
    for (int32_t i = 0; i < ray.n_used; ++i) {
      const float* c = rgb + 3 * (s + i);
      d_w[i] = d_colour[0] * c[0] + d_colour[1] * c[1] + d_colour[2] * c[2] + d_opacity;
    }
    if (config.distortion > 0.0f && ray.n_used > 0) {
      total.distortion += recurrence::distortion(w, t + s, dt + s, ray.n_used);
      recurrence::distortion_adjoint(w, t + s, dt + s, ray.n_used, config.distortion * per_ray, d_w);
    }
    // dL/d(sigma dt)_i = T_{i+1} dL/dw_i - sum_{j>i} w_j dL/dw_j.
    float behind = 0.0f;
    for (int32_t i = 0; i < ray.n_used; ++i) behind += d_w[i] * w[i];
    float transmittance = 1.0f;
    for (int32_t i = 0; i < ray.n_used; ++i) {
      transmittance *= keep[i];
      behind -= d_w[i] * w[i];
      d_sigma[s + i] = dt[s + i] * (transmittance * d_w[i] - behind);
      for (int c = 0; c < 3; ++c) d_rgb[3 * (s + i) + c] = d_colour[c] * w[i];
    }
    std::fill(d_sigma + s + ray.n_used, d_sigma + s + n, 0.0f);
    std::fill(d_rgb + 3 * (s + ray.n_used), d_rgb + 3 * (s + n), 0.0f);
  };
  at::parallel_for(0, n_blocks, 1, [&](int64_t begin, int64_t end) {
    Scratch scratch;
    for (int64_t block = begin; block < end; ++block)
      for (int64_t r = block * kBlock; r < std::min(n_rays, (block + 1) * kBlock); ++r)
        one_ray(r, scratch, sums[block]);
  });
  CompositeLossResult result;
  if (n_rays == 0) return result;
  LossSums total;
  for (const LossSums& part : sums) {
    total.loss += part.loss;
    total.squared_error += part.squared_error;
    total.entropy += part.entropy;
    total.distortion += part.distortion;
    total.n_used += part.n_used;
  }
  const double rays = static_cast<double>(n_rays);
  result.loss = total.loss / (3 * rays) + config.opacity_entropy * total.entropy / rays +
                config.distortion * total.distortion / rays;
  result.squared_error = total.squared_error / (3 * rays);
  result.n_used = total.n_used;
  return result;
}

int64_t compact_samples(const int32_t* ray_start, const int32_t* n_used, int64_t n_rays, int32_t* new_start,
                        int32_t* source) {
  new_start[0] = 0;
  for (int64_t r = 0; r < n_rays; ++r) new_start[r + 1] = new_start[r] + n_used[r];
  at::parallel_for(0, n_rays, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      for (int32_t i = 0; i < n_used[r]; ++i) source[new_start[r] + i] = ray_start[r] + i;
  });
  return new_start[n_rays];
}

void distortion_forward(const int32_t* ray_start, int64_t n_rays, const float* weights, const float* t,
                        const float* dt, float* loss) {
  at::parallel_for(0, n_rays, kBlock, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t s = ray_start[r], n = ray_start[r + 1] - s;
      loss[r] = n > 0 ? recurrence::distortion(weights + s, t + s, dt + s, n) : 0.0f;
    }
  });
}

void distortion_backward(const int32_t* ray_start, int64_t n_rays, const float* weights, const float* t,
                         const float* dt, const float* d_loss, float* d_weights) {
  at::parallel_for(0, n_rays, kBlock, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t s = ray_start[r], n = ray_start[r + 1] - s;
      std::fill(d_weights + s, d_weights + s + n, 0.0f);
      if (n > 0) recurrence::distortion_adjoint(weights + s, t + s, dt + s, n, d_loss[r], d_weights + s);
    }
  });
}

}  // namespace t3d::ops::cpu
