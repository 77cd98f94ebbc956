#pragma once

#include <cmath>
#include <cstdint>

#include "t3d/core/rng.h"  // T3D_HOST_DEVICE

/// Front-to-back recurrences of one ray, for float (fast) and double (reference), and their adjoints.
/// T_{i+1} = T_i keep_i with keep_i = 1 - alpha_i; w_i = T_i alpha_i.
namespace t3d::ops::recurrence {

template <class T>
T3D_HOST_DEVICE void weights(const T* alpha, const T* keep, int64_t n, T* w, T* transmittance) {
  T t = T(1);
  for (int64_t i = 0; i < n; ++i) {
    transmittance[i] = t;
    w[i] = t * alpha[i];
    t *= keep[i];
  }
}

/// d_alpha of L given dL/dw, dL/dT (of the T before each sample). The adjoint of T_{i+1} runs from the back:
/// no quotient by keep, so alpha = 1 is no special case.
template <class T>
T3D_HOST_DEVICE void weights_adjoint(const T* alpha, const T* keep, const T* transmittance, const T* d_w,
                                     const T* d_t, int64_t n, T* d_alpha) {
  T behind = T(0);  // dL/dT_{i+1}
  for (int64_t i = n - 1; i >= 0; --i) {
    d_alpha[i] = transmittance[i] * (d_w[i] - behind);
    behind = d_t[i] + d_w[i] * alpha[i] + behind * keep[i];
  }
}

/// sum_i 2 (A_i W'_i - W_i A'_i) + w_i^2 dt_i / 3: W, A inclusive sums of w and w t, W', A' exclusive ones.
/// t is taken relative to the first sample's, which the loss does not see and rounding does.
template <class T>
T3D_HOST_DEVICE T distortion(const T* w, const T* t, const T* dt, int64_t n) {
  T sum_w = T(0), sum_wt = T(0), between = T(0), within = T(0);
  for (int64_t i = 0; i < n; ++i) {
    const T x = t[i] - t[0];
    // A_i W'_i - W_i A'_i = w_i (t_i W'_i - A'_i).
    between += w[i] * (x * sum_w - sum_wt);
    within += w[i] * w[i] * dt[i];
    sum_w += w[i];
    sum_wt += w[i] * x;
  }
  return T(2) * between + within / T(3);
}

/// dL/dw_i += d_loss (2 sum_j w_j |t_i - t_j| + 2 w_i dt_i / 3).
template <class T>
T3D_HOST_DEVICE void distortion_adjoint(const T* w, const T* t, const T* dt, int64_t n, T d_loss, T* d_w) {
  T all_w = T(0), all_wt = T(0);
  for (int64_t i = 0; i < n; ++i) {
    all_w += w[i];
    all_wt += w[i] * (t[i] - t[0]);
  }
  T sum_w = T(0), sum_wt = T(0);
  for (int64_t i = 0; i < n; ++i) {
    const T x = t[i] - t[0];
    const T before = x * sum_w - sum_wt;
    sum_w += w[i];
    sum_wt += w[i] * x;
    const T after = (all_wt - sum_wt) - x * (all_w - sum_w);
    d_w[i] += d_loss * T(2) * (before + after + w[i] * dt[i] / T(3));
  }
}

}  // namespace t3d::ops::recurrence
