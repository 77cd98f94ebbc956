#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace t3d::ops {

/// Sinusoidal encoding in tiny-cuda-nn's order. Mildenhall et al. 2020, NeRF, arXiv:2003.08934, eq. 4.
///
///   x       [N,D]                    any floating type, CPU or CUDA
///   returns [N,D*2*n_frequencies]    per dimension, per k: sin(2^k pi x), cos(2^k pi x)
///
/// Differentiable any number of times.
at::Tensor frequency_encode(const at::Tensor& x, int n_frequencies);

/// threestudio's ProgressiveBandFrequency: per k: sin(2^k x) of all dimensions, then cos(2^k x) of all
/// dimensions (no pi), each times band_weight(k).
///   returns [N,D*2*n_frequencies]
at::Tensor progressive_frequency_encode(const at::Tensor& x, int n_frequencies, int64_t step,
                                        int64_t n_masking_step);

/// 1 when n_masking_step <= 0, otherwise (1 - cos(pi * clamp(step / n_masking_step * n - k, 0, 1))) / 2.
double band_weight(int k, int n_frequencies, int64_t step, int64_t n_masking_step);

}  // namespace t3d::ops
