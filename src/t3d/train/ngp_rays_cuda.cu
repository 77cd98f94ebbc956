#include "t3d/ops/composite_ray.h"
#include "t3d/ops/cuda_check.h"
#include "t3d/train/ngp_draw.h"
#include "t3d/train/ngp_rays_cuda.h"

namespace t3d::train::cuda {
namespace {

constexpr int kThreads = 128;
constexpr float kFarAway = 1e4f;  // of every box
int blocks_for(uint32_t n) {
  return static_cast<int>((n + kThreads - 1) / kThreads);
}

/// Undoes the lens distortion by Newton's method; see Lens::undistort.
__device__ void undistort(const DeviceCamera& c, float u, float v, float* x, float* y) {
  const float tx = (u - c.cx) / c.fx, ty = (v - c.cy) / c.fy;
  *x = tx;
  *y = ty;
  if (!c.has_distortion) return;
  for (int i = 0; i < 8; ++i) {
    const float px = *x, py = *y, x2 = px * px, y2 = py * py, xy = px * py, r2 = x2 + y2;
    const float below = 1 + r2 * (c.d1 + r2 * (c.d2 + r2 * c.d3));
    const float radial = (1 + r2 * (c.k1 + r2 * (c.k2 + r2 * (c.k3 + r2 * c.k4)))) / below;
    const float below_slope = c.d1 + r2 * (2 * c.d2 + r2 * 3 * c.d3);
    const float slope =
        (c.k1 + r2 * (2 * c.k2 + r2 * (3 * c.k3 + r2 * 4 * c.k4)) - radial * below_slope) / below;
    const float ex = px * radial + 2 * c.p1 * xy + c.p2 * (r2 + 2 * x2) - tx;
    const float ey = py * radial + c.p1 * (r2 + 2 * y2) + 2 * c.p2 * xy - ty;
    const float a = radial + 2 * x2 * slope + 2 * c.p1 * py + 6 * c.p2 * px;
    const float b = 2 * xy * slope + 2 * c.p1 * px + 2 * c.p2 * py;
    const float d = radial + 2 * y2 * slope + 6 * c.p1 * py + 2 * c.p2 * px;
    const float determinant = a * d - b * b;
    if (fabsf(determinant) < 1e-9f) return;
    *x -= (d * ex - b * ey) / determinant;
    *y -= (a * ey - b * ex) / determinant;
  }
}

__device__ void pixel_ray(const DeviceCamera& c, float u, float v, float* origin, float* direction) {
  float x, y, z = 1.0f;
  undistort(c, u, v, &x, &y);
  if (c.is_fisheye) {  // see Lens::direction
    const float angle = sqrtf(x * x + y * y), across = angle > 1e-6f ? sinf(angle) / angle : 1.0f;
    x *= across;
    y *= across;
    z = cosf(angle);
  }
  float d[3], length = 0;
  for (int i = 0; i < 3; ++i) {
    d[i] = c.pose[4 * i] * x - c.pose[4 * i + 1] * y - c.pose[4 * i + 2] * z;
    length += d[i] * d[i];
    origin[i] = c.pose[4 * i + 3];
  }
  length = rsqrtf(length);
  for (int i = 0; i < 3; ++i) direction[i] = d[i] * length;
}

__device__ bool is_masked(uchar4 p) {
  return p.w == 0 && p.x == 255 && p.y == 0 && p.z == 255;
}

struct Size {
  int width, height;
};

__global__ void draw_kernel(const DeviceCamera* cameras, uint32_t n_images, const uchar4* pixels,
                            uint64_t seed, uint32_t step, uint32_t n_rays, bool random_background,
                            float3 background, RayBatch rays) {
  const uint32_t r = blockIdx.x * kThreads + threadIdx.x;
  if (r >= n_rays) return;
  const auto size_of = [cameras](uint32_t i) { return Size{cameras[i].width, cameras[i].height}; };
  const auto pixel_of = [cameras, pixels](const NgpDraw& draw) {
    const DeviceCamera& camera = cameras[draw.image];
    return pixels[camera.first_pixel + static_cast<uint64_t>(draw.y) * camera.width + draw.x];
  };
  NgpDraw draw = NgpDraw::at(seed, step, r, n_images, size_of);
  for (uint32_t attempt = 1; attempt <= NgpDraw::kRedraws && is_masked(pixel_of(draw)); ++attempt)
    draw.redraw(seed, step, r, attempt, n_images, size_of);
  const uchar4 p = pixel_of(draw);
  pixel_ray(cameras[draw.image], draw.x + 0.5f, draw.y + 0.5f, rays.origins + 3 * r, rays.directions + 3 * r);
  // No pixel that counts was found: a ray that meets nothing, in front of its own background, has no loss.
  if (is_masked(p))
    for (int i = 0; i < 3; ++i) rays.origins[3 * r + i] = kFarAway, rays.directions[3 * r + i] = i == 0;
  rays.jitter[r] = draw.jitter;
  float* target = rays.target + 4 * static_cast<size_t>(r);
  target[0] = p.x * (1.0f / 255.0f);
  target[1] = p.y * (1.0f / 255.0f);
  target[2] = p.z * (1.0f / 255.0f);
  target[3] = p.w * (1.0f / 255.0f);
  const float fixed[3] = {background.x, background.y, background.z};
  for (int i = 0; i < 3; ++i) rays.background[3 * r + i] = random_background ? draw.background[i] : fixed[i];
}

__global__ void camera_kernel(DeviceCamera camera, uint64_t first, uint32_t n, RayBatch rays) {
  const uint32_t r = blockIdx.x * kThreads + threadIdx.x;
  if (r >= n) return;
  const uint64_t pixel = first + r;
  pixel_ray(camera, pixel % camera.width + 0.5f, pixel / camera.width + 0.5f, rays.origins + 3 * r,
            rays.directions + 3 * r);
  rays.jitter[r] = 0.5f;
}

__global__ void march_kernel(RayBatch rays, uint32_t n_rays, const uint8_t* __restrict__ bits, int n_cascades,
                             ops::MarchConfig config, SampleBatch samples, StepCounters* counters) {
  const uint32_t r = blockIdx.x * kThreads + threadIdx.x;
  if (r >= n_rays) return;
  const float *o = rays.origins + 3 * r, *d = rays.directions + 3 * r;
  float t, dt;
  uint32_t n = 0;
  {
    ops::RayMarcher ray(o, d, rays.jitter[r], config, n_cascades);
    while (n < static_cast<uint32_t>(config.max_samples) && ray.next(bits, &t, &dt)) ++n;
  }
  uint32_t start = n > 0 ? atomicAdd(&counters->n_samples, n) : 0;
  if (n > 0 && start + n > samples.capacity) {
    atomicAdd(&counters->n_dropped, 1u);
    // What this ray took past the end stays counted; the kernels that follow stop at the capacity.
    for (uint32_t i = start; i < samples.capacity && i < start + n; ++i) {
      samples.ray[i] = r;
      samples.t[i] = samples.dt[i] = 0.0f;
      for (int axis = 0; axis < 3; ++axis) samples.positions[3 * static_cast<size_t>(i) + axis] = 0.0f;
    }
    n = 0;
  }
  rays.start[r] = start;
  rays.count[r] = n;
  if (n == 0) return;
  ops::RayMarcher ray(o, d, rays.jitter[r], config, n_cascades);
  for (uint32_t i = start; i < start + n && ray.next(bits, &t, &dt); ++i) {
    samples.t[i] = t;
    samples.dt[i] = dt;
    samples.ray[i] = r;
    for (int axis = 0; axis < 3; ++axis)
      samples.positions[3 * static_cast<size_t>(i) + axis] = o[axis] + t * d[axis];
  }
}

/// One march per ray: its samples go to scratch [n_rays][max_samples], and room for them is reserved.
__global__ void march_to_scratch_kernel(RayBatch rays, uint32_t n_rays, const uint8_t* __restrict__ bits,
                                        int n_cascades, ops::MarchConfig config, float2* __restrict__ scratch,
                                        uint32_t capacity, StepCounters* counters) {
  const uint32_t r = blockIdx.x * blockDim.x + threadIdx.x;
  if (r >= n_rays) return;
  ops::RayMarcher ray(rays.origins + 3 * r, rays.directions + 3 * r, rays.jitter[r], config, n_cascades);
  float2* to = scratch + static_cast<size_t>(r) * config.max_samples;
  float t, dt;
  uint32_t n = 0;
  while (n < static_cast<uint32_t>(config.max_samples) && ray.next(bits, &t, &dt))
    to[n++] = make_float2(t, dt);
  const uint32_t start = n > 0 ? atomicAdd(&counters->n_samples, n) : 0;
  if (start + n > capacity) atomicAdd(&counters->n_dropped, 1u);
  rays.start[r] = start;
  rays.count[r] = n;
}

/// A warp packs the samples of one ray. A ray that found no room keeps none, and what it reserved is blank.
__global__ void pack_kernel(RayBatch rays, uint32_t n_rays, const float2* __restrict__ scratch,
                            int max_samples, SampleBatch samples) {
  const uint32_t r = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
  const uint32_t lane = threadIdx.x & 31u;
  if (r >= n_rays) return;
  const uint32_t start = rays.start[r], n = rays.count[r];
  const bool fits = start + n <= samples.capacity;
  const float *o = rays.origins + 3 * r, *d = rays.directions + 3 * r;
  const float2* from = scratch + static_cast<size_t>(r) * max_samples;
  for (uint32_t i = lane; i < n && start + i < samples.capacity; i += 32) {
    const float2 v = fits ? from[i] : make_float2(0.0f, 0.0f);
    samples.t[start + i] = v.x;
    samples.dt[start + i] = v.y;
    samples.ray[start + i] = r;
    for (int axis = 0; axis < 3; ++axis)
      samples.positions[3 * static_cast<size_t>(start + i) + axis] = fits ? o[axis] + v.x * d[axis] : 0.0f;
  }
  if (lane == 0 && !fits) rays.count[r] = 0;
}

/// n_samples counts what was asked for; what fits is what the next kernels work on.
__global__ void clamp_kernel(uint32_t* value, uint32_t capacity) {
  if (*value > capacity) *value = capacity;
}

/// Sum over this lane and the lanes before it.
__device__ __forceinline__ float inclusive_sum(float value) {
  const uint32_t lane = threadIdx.x & 31u;
  for (uint32_t offset = 1; offset < 32; offset *= 2) {
    const float before = __shfl_up_sync(0xffffffffu, value, offset);
    if (lane >= offset) value += before;
  }
  return value;
}

__device__ __forceinline__ float last_lane(float value) {
  return __shfl_sync(0xffffffffu, value, 31);
}

/// A warp per ray: optical depths are summed 32 samples at a time.
__global__ void compact_kernel(RayBatch rays, uint32_t n_rays, SampleBatch samples,
                               const float* __restrict__ sigma, float min_transmittance, UsedBatch used,
                               StepCounters* counters) {
  const uint32_t r = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
  const uint32_t lane = threadIdx.x & 31u;
  if (r >= n_rays) return;
  const uint32_t start = rays.start[r], count = rays.count[r];
  const float limit = -logf(min_transmittance);
  float before = 0;  // optical depth of the samples of earlier rounds
  uint32_t n = count;
  for (uint32_t first = 0; first < count; first += 32) {
    const uint32_t i = first + lane;
    const float depth = before + inclusive_sum(i < count ? sigma[start + i] * samples.dt[start + i] : 0.0f);
    const unsigned opaque = __ballot_sync(0xffffffffu, depth >= limit);
    if (opaque != 0) {
      n = min(count, first + static_cast<uint32_t>(__ffs(static_cast<int>(opaque))));
      break;
    }
    before = last_lane(depth);
  }
  uint32_t to = 0;
  if (lane == 0 && n > 0) to = atomicAdd(&counters->n_used, n);
  to = __shfl_sync(0xffffffffu, to, 0);
  const bool fits = to + n <= used.capacity;
  if (lane == 0) {
    if (!fits) atomicAdd(&counters->n_dropped, 1u);
    rays.used_start[r] = to;
    rays.used_count[r] = fits ? n : 0;
  }
  for (uint32_t i = lane; i < n && to + i < used.capacity; i += 32) {
    used.source[to + i] = start + i;
    used.t[to + i] = fits ? samples.t[start + i] : 0.0f;
    used.dt[to + i] = fits ? samples.dt[start + i] : 0.0f;
    used.ray[to + i] = r;
    for (int axis = 0; axis < 3; ++axis)
      used.positions[3 * static_cast<size_t>(to + i) + axis] =
          samples.positions[3 * static_cast<size_t>(start + i) + axis];
  }
}

/// A value summed over the warp and added once.
__device__ void add_over_warp(float* to, float value) {
  for (int offset = 16; offset > 0; offset /= 2) value += __shfl_down_sync(0xffffffffu, value, offset);
  if ((threadIdx.x & 31) == 0) atomicAdd(to, value);
}

__global__ void clear_used_kernel(const uint32_t* n_used, float* d_sigma, float* d_rgb) {
  const uint32_t n = *n_used;
  for (uint32_t i = blockIdx.x * kThreads + threadIdx.x; i < n; i += gridDim.x * kThreads) {
    d_sigma[i] = 0.0f;
    d_rgb[3 * i] = d_rgb[3 * i + 1] = d_rgb[3 * i + 2] = 0.0f;
  }
}

__global__ void loss_kernel(RayBatch rays, uint32_t n_rays, UsedBatch used, const float* __restrict__ sigma,
                            const float* __restrict__ rgb, LossSettings settings, float* __restrict__ d_sigma,
                            float* __restrict__ d_rgb, StepCounters* counters) {
  const uint32_t r = blockIdx.x * kThreads + threadIdx.x;
  float loss = 0, squared = 0;
  if (r < n_rays) {
    const uint32_t start = rays.used_start[r], n = rays.used_count[r];
    ops::RayAccumulator ray;
    float wt_sum = 0, w_sum = 0;
    for (uint32_t i = start; i < start + n; ++i) {
      const float before = ray.transmittance;
      ray.add(sigma[i], rgb + 3 * static_cast<size_t>(i), used.t[i], used.dt[i]);
      const float w = before - ray.transmittance;
      w_sum += w;
      wt_sum += w * used.t[i];
    }
    float d_colour[3], background[3];
    const float* target = rays.target + 4 * static_cast<size_t>(r);
    for (int c = 0; c < 3; ++c) {
      background[c] = rays.background[3 * r + c];
      const float truth = target[c] * target[3] + background[c] * (1.0f - target[3]);
      const float d = ray.colour[c] + background[c] * ray.transmittance - truth;
      squared += d * d;
      if (settings.huber) {
        const float delta = settings.huber_delta, magnitude = fabsf(d);
        loss += (magnitude <= delta ? 0.5f * d * d : delta * (magnitude - 0.5f * delta)) / delta;
        d_colour[c] = fminf(fmaxf(d, -delta), delta) / delta;
      } else {
        loss += d * d;
        d_colour[c] = 2.0f * d;
      }
    }
    // Front to back once more: dL/dsigma_i = dt_i (T_{i+1} <c_i, g> - <what lies behind i, g>).
    float transmittance = 1.0f, sum[3] = {0, 0, 0}, w_before = 0, wt_before = 0, distortion = 0;
    float d_weights_behind = 0;
    const float scale =
        3.0f * settings.distortion;  // the caller divides by 3 R; the distortion loss is a mean over R
    if (settings.distortion > 0) {
      // Sum over later samples of w_j dL/dw_j, from which each step takes its own off.
      float t = 1.0f, a = 0, b = 0;
      for (uint32_t i = start; i < start + n; ++i) {
        const float next = t * expf(-sigma[i] * used.dt[i]), w = t - next, m = used.t[i];
        const float g =
            2.0f * (m * a - b + (wt_sum - b - w * m) - m * (w_sum - a - w)) + 2.0f * w * used.dt[i] / 3.0f;
        distortion += w * (m * a - b) * 2.0f + w * w * used.dt[i] / 3.0f;
        d_weights_behind += w * g;
        a += w;
        b += w * m;
        t = next;
      }
      loss += scale * distortion;
    }
    for (uint32_t i = start; i < start + n; ++i) {
      const float keep = expf(-sigma[i] * used.dt[i]), w = transmittance * (1.0f - keep);
      transmittance *= keep;
      const float* colour = rgb + 3 * static_cast<size_t>(i);
      float gradient = 0;
      for (int c = 0; c < 3; ++c) {
        sum[c] += w * colour[c];
        d_rgb[3 * static_cast<size_t>(i) + c] = w * d_colour[c];
        const float behind = ray.colour[c] - sum[c] + background[c] * ray.transmittance;
        gradient += d_colour[c] * (transmittance * colour[c] - behind);
      }
      if (settings.distortion > 0) {
        const float m = used.t[i];
        const float g =
            2.0f * (m * w_before - wt_before + (wt_sum - wt_before - w * m) - m * (w_sum - w_before - w)) +
            2.0f * w * used.dt[i] / 3.0f;
        d_weights_behind -= w * g;
        gradient += scale * (transmittance * g - d_weights_behind);
        w_before += w;
        wt_before += w * m;
      }
      d_sigma[i] = used.dt[i] * gradient;
    }
  }
  add_over_warp(&counters->loss, loss);
  add_over_warp(&counters->squared_error, squared);
}

/// The loss without the distortion term, a warp per ray. With d the gradient by the ray's colour C, b the
/// background and S_i = sum_{j<=i} w_j <c_j, d>:
///   dL/dsigma_i = dt_i (T_{i+1} <c_i, d> - (S_n - S_i) - T_{n+1} <b, d>)
__global__ void warp_loss_kernel(RayBatch rays, uint32_t n_rays, UsedBatch used,
                                 const float* __restrict__ sigma, const float* __restrict__ rgb,
                                 LossSettings settings, float* __restrict__ d_sigma,
                                 float* __restrict__ d_rgb, StepCounters* counters) {
  const uint32_t r = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
  const uint32_t lane = threadIdx.x & 31u;
  if (r >= n_rays) return;
  const uint32_t start = rays.used_start[r], n = rays.used_count[r];
  float colour[3] = {0, 0, 0}, optical = 0;
  for (uint32_t first = 0; first < n; first += 32) {
    const uint32_t i = start + first + lane;
    const bool mine = first + lane < n;
    const float x = mine ? sigma[i] * used.dt[i] : 0.0f;
    const float depth = optical + inclusive_sum(x);
    const float w = mine ? expf(-(depth - x)) * (1.0f - expf(-x)) : 0.0f;
    if (mine)
      for (int c = 0; c < 3; ++c) colour[c] += w * rgb[3 * static_cast<size_t>(i) + c];
    optical = last_lane(depth);
  }
  for (int c = 0; c < 3; ++c) colour[c] = last_lane(inclusive_sum(colour[c]));
  const float end = expf(-optical);
  const float* target = rays.target + 4 * static_cast<size_t>(r);
  float d[3], loss = 0, squared = 0, background_d = 0, total = 0;
  for (int c = 0; c < 3; ++c) {
    const float background = rays.background[3 * r + c];
    const float truth = target[c] * target[3] + background * (1.0f - target[3]);
    const float error = colour[c] + background * end - truth;
    squared += error * error;
    if (settings.huber) {
      const float delta = settings.huber_delta, size = fabsf(error);
      loss += (size <= delta ? 0.5f * error * error : delta * (size - 0.5f * delta)) / delta;
      d[c] = fminf(fmaxf(error, -delta), delta) / delta;
    } else {
      loss += error * error;
      d[c] = 2.0f * error;
    }
    background_d += background * d[c];
    total += colour[c] * d[c];
  }
  float so_far = 0;
  optical = 0;
  for (uint32_t first = 0; first < n; first += 32) {
    const uint32_t i = start + first + lane;
    const bool mine = first + lane < n;
    const float dt = mine ? used.dt[i] : 0.0f, x = mine ? sigma[i] * dt : 0.0f;
    const float depth = optical + inclusive_sum(x);
    const float w = expf(-(depth - x)) * (1.0f - expf(-x));
    float along = 0;
    if (mine)
      for (int c = 0; c < 3; ++c) {
        along += rgb[3 * static_cast<size_t>(i) + c] * d[c];
        d_rgb[3 * static_cast<size_t>(i) + c] = w * d[c];
      }
    const float sum = so_far + inclusive_sum(w * along);
    if (mine) d_sigma[i] = dt * (expf(-depth) * along - (total - sum) - end * background_d);
    so_far = last_lane(sum);
    optical = last_lane(depth);
  }
  if (lane == 0) {
    atomicAdd(&counters->loss, loss);
    atomicAdd(&counters->squared_error, squared);
  }
}

__global__ void composite_kernel(RayBatch rays, uint32_t n_rays, UsedBatch used,
                                 const float* __restrict__ sigma, const float* __restrict__ rgb,
                                 float3 background, float* colour, float* opacity, float* depth) {
  const uint32_t r = blockIdx.x * kThreads + threadIdx.x;
  if (r >= n_rays) return;
  ops::RayAccumulator ray;
  const uint32_t start = rays.used_start[r], n = rays.used_count[r];
  for (uint32_t i = start; i < start + n; ++i)
    ray.add(sigma[i], rgb + 3 * static_cast<size_t>(i), used.t[i], used.dt[i]);
  colour[3 * r] = ray.colour[0] + background.x * ray.transmittance;
  colour[3 * r + 1] = ray.colour[1] + background.y * ray.transmittance;
  colour[3 * r + 2] = ray.colour[2] + background.z * ray.transmittance;
  opacity[r] = ray.opacity();
  depth[r] = ray.depth;
}

}  // namespace

void draw_rays(const DeviceCamera* cameras, uint32_t n_images, const uchar4* pixels, uint64_t seed,
               uint32_t step, uint32_t n_rays, bool random_background, float3 background,
               const RayBatch& rays, cudaStream_t stream) {
  draw_kernel<<<blocks_for(n_rays), kThreads, 0, stream>>>(cameras, n_images, pixels, seed, step, n_rays,
                                                           random_background, background, rays);
  T3D_CUDA(cudaGetLastError());
}

void camera_rays(const DeviceCamera& camera, uint64_t first, uint32_t n, const RayBatch& rays,
                 cudaStream_t stream) {
  camera_kernel<<<blocks_for(n), kThreads, 0, stream>>>(camera, first, n, rays);
  T3D_CUDA(cudaGetLastError());
}

void march(const RayBatch& rays, uint32_t n_rays, const uint8_t* bits, int n_cascades,
           const ops::MarchConfig& config, const SampleBatch& samples, float2* scratch,
           StepCounters* counters, cudaStream_t stream) {
  if (n_rays <= kScratchRays) {
    march_to_scratch_kernel<<<static_cast<int>((n_rays + 31) / 32), 32, 0, stream>>>(
        rays, n_rays, bits, n_cascades, config, scratch, samples.capacity, counters);
    pack_kernel<<<blocks_for(32 * n_rays), kThreads, 0, stream>>>(rays, n_rays, scratch, config.max_samples,
                                                                  samples);
  } else {
    march_kernel<<<blocks_for(n_rays), kThreads, 0, stream>>>(rays, n_rays, bits, n_cascades, config, samples,
                                                              counters);
  }
  clamp_kernel<<<1, 1, 0, stream>>>(&counters->n_samples, samples.capacity);
  T3D_CUDA(cudaGetLastError());
}

void compact(const RayBatch& rays, uint32_t n_rays, const SampleBatch& samples, const float* sigma,
             float min_transmittance, const UsedBatch& used, StepCounters* counters, cudaStream_t stream) {
  compact_kernel<<<blocks_for(32 * n_rays), kThreads, 0, stream>>>(rays, n_rays, samples, sigma,
                                                                   min_transmittance, used, counters);
  clamp_kernel<<<1, 1, 0, stream>>>(&counters->n_used, used.capacity);
  T3D_CUDA(cudaGetLastError());
}

void composite_loss(const RayBatch& rays, uint32_t n_rays, const UsedBatch& used, const float* sigma,
                    const float* rgb, const LossSettings& settings, float* d_sigma, float* d_rgb,
                    StepCounters* counters, cudaStream_t stream) {
  clear_used_kernel<<<264, kThreads, 0, stream>>>(&counters->n_used, d_sigma, d_rgb);
  if (settings.distortion > 0) {
    loss_kernel<<<blocks_for(n_rays), kThreads, 0, stream>>>(rays, n_rays, used, sigma, rgb, settings,
                                                             d_sigma, d_rgb, counters);
  } else {
    warp_loss_kernel<<<blocks_for(32 * n_rays), kThreads, 0, stream>>>(rays, n_rays, used, sigma, rgb,
                                                                       settings, d_sigma, d_rgb, counters);
  }
  T3D_CUDA(cudaGetLastError());
}

void composite(const RayBatch& rays, uint32_t n_rays, const UsedBatch& used, const float* sigma,
               const float* rgb, float3 background, float* colour, float* opacity, float* depth,
               cudaStream_t stream) {
  composite_kernel<<<blocks_for(n_rays), kThreads, 0, stream>>>(rays, n_rays, used, sigma, rgb, background,
                                                                colour, opacity, depth);
  T3D_CUDA(cudaGetLastError());
}

}  // namespace t3d::train::cuda
