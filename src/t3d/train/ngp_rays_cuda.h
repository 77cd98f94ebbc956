#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "t3d/ops/ray_march_step.h"

/// The per-ray kernels of the instant-NGP training step on CUDA. No torch header.
namespace t3d::train::cuda {

/// A training image and its camera on the device.
struct DeviceCamera {
  float fx, fy, cx, cy, k1, k2, k3, p1, p2, k4, d1, d2, d3;
  bool is_fisheye, has_distortion;
  float pose[12];  ///< camera_to_world, 3x4 row-major
  int width, height;
  uint64_t first_pixel;  ///< of all images' pixels, where this one's begin
};

/// Counters that stay on the device between launches; the host looks at them now and then.
struct StepCounters {
  uint32_t n_samples, n_used;  ///< marched; kept after the early stop
  uint32_t n_dropped;          ///< rays that found no room
  float loss, squared_error;   ///< sums over rays
};

struct RayBatch {
  float *origins, *directions;  ///< [R,3]
  float* jitter;                ///< [R]
  float *target, *background;   ///< [R,4], [R,3]
  uint32_t *start, *count;      ///< [R] marched samples
  uint32_t *used_start, *used_count;
};

struct SampleBatch {
  float *t, *dt, *positions;  ///< [capacity], [capacity], [capacity,3]
  uint32_t* ray;              ///< [capacity]
  uint32_t capacity;
};

/// Samples that count: rows of the marched ones.
struct UsedBatch {
  uint32_t* source;
  float *t, *dt, *positions;
  uint32_t* ray;
  uint32_t capacity;
};

/// What a pixel that does not count is on the device: no colour of a transparent pixel is this one.
constexpr uint32_t kMaskedPixel = 0x00ff00ffu;  // red and blue, alpha 0, little-endian

/// `background`: behind every ray unless it is random.
void draw_rays(const DeviceCamera* cameras, uint32_t n_images, const uchar4* pixels, uint64_t seed,
               uint32_t step, uint32_t n_rays, bool random_background, float3 background,
               const RayBatch& rays, cudaStream_t stream);

/// Rays of pixels first .. first+n-1 of one camera, row by row; jitter 0.5.
void camera_rays(const DeviceCamera& camera, uint64_t first, uint32_t n, const RayBatch& rays,
                 cudaStream_t stream);

/// Batches of at most so many rays are marched once, through scratch memory; larger ones twice.
constexpr uint32_t kScratchRays = 1 << 14;

/// Packed samples of all rays; a ray that finds no room has none and is counted as dropped.
/// scratch: room for kScratchRays * config.max_samples.
void march(const RayBatch& rays, uint32_t n_rays, const uint8_t* bits, int n_cascades,
           const ops::MarchConfig& config, const SampleBatch& samples, float2* scratch,
           StepCounters* counters, cudaStream_t stream);

/// Cuts every ray after the sample at which transmittance falls to `min_transmittance` and packs what stays.
void compact(const RayBatch& rays, uint32_t n_rays, const SampleBatch& samples, const float* sigma,
             float min_transmittance, const UsedBatch& used, StepCounters* counters, cudaStream_t stream);

struct LossSettings {
  bool huber;
  float huber_delta;
  float distortion;  ///< weight of the distortion loss
};

/// Loss of each ray and the gradient of each sample, not divided by the number of rays and channels.
void composite_loss(const RayBatch& rays, uint32_t n_rays, const UsedBatch& used, const float* sigma,
                    const float* rgb, const LossSettings& settings, float* d_sigma, float* d_rgb,
                    StepCounters* counters, cudaStream_t stream);

/// Colour over `background`, opacity and depth of each ray.
void composite(const RayBatch& rays, uint32_t n_rays, const UsedBatch& used, const float* sigma,
               const float* rgb, float3 background, float* colour, float* opacity, float* depth,
               cudaStream_t stream);

}  // namespace t3d::train::cuda
