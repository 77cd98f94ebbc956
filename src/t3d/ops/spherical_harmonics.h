#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "t3d/ops/rows.h"

namespace t3d::ops {

constexpr int kMaxShDegree = 8;

/// Real spherical harmonics with Condon-Shortley signs, the directional encoding of instant-ngp (degree 4).
///
///   directions [N,3]        float or double, unit length (the polynomials assume x^2+y^2+z^2 = 1)
///   degree                  1..8
///   returns    [N,degree^2] order l*l + l + m; index 1 is -0.4886 y, 2 is 0.4886 z, 3 is -0.4886 x
///
/// Differentiable any number of times, as polynomials in x, y and z that treat the three as independent.
/// tiny-cuda-nn takes u = (d+1)/2 in [0,1]: pass 2u-1.
at::Tensor spherical_harmonics(const at::Tensor& directions, int degree);

}  // namespace t3d::ops

namespace t3d::ops::cpu {

/// Rows of 3 floats in, degree^2 components per row out. All cores, vectorised over directions.
void sh_forward(int degree, const float* directions, int64_t stride, int64_t n, Rows<float> out);

/// ddirections (rows of 3 floats, overwritten) = d(sum(out * dy)) / d directions.
void sh_backward(int degree, const float* directions, int64_t stride, int64_t n, Rows<const float> dy,
                 float* ddirections, int64_t dstride);

}  // namespace t3d::ops::cpu
