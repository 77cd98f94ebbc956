#pragma once

#include <cmath>

namespace t3d::ops {

/// sqrt((2l+1)/(4 pi) * (l-m)!/(l+m)!), times sqrt(2) when m > 0.
inline double sh_factor(int l, int m) {
  double ratio = 1;
  for (int k = l - m + 1; k <= l + m; ++k) ratio /= k;
  return std::sqrt((2 * l + 1) / (4 * M_PI) * ratio) * (m > 0 ? std::sqrt(2.0) : 1.0);
}

/// Real spherical harmonics by recurrence, for whatever T adds and multiplies (numbers, vectors, tensors):
///   Y(l, m)  = factor * Q(l, m)(z) * Re (x+iy)^m
///   Y(l, -m) = factor * Q(l, m)(z) * Im (x+iy)^m
/// with Q the associated Legendre function without its (1-z^2)^(m/2), Condon-Shortley sign included:
///   Q(m,m) = -(2m-1) Q(m-1,m-1);  (l-m) Q(l,m) = (2l-1) z Q(l-1,m) - (l+m-1) Q(l-2,m).
///
/// Calls put(i, y, by_x, by_y, by_z) with i = l*l+l+m; `one` and `zero` are constants of the shape of x. S is
/// the scalar type that T multiplies with. `factor(l, m)` is sh_factor or a table of it.
template <class S, class T, class Factor, class Put>
inline __attribute__((always_inline)) void sh_recurrence(int degree, const T& x, const T& y, const T& z,
                                                         const T& one, const T& zero, const Factor& factor,
                                                         const Put& put) {
  T re = one, im = zero, re_before = zero, im_before = zero;  // of (x+iy)^m and (x+iy)^(m-1)
  S diagonal = 1;
#pragma GCC unroll 8
  for (int m = 0; m < degree; ++m) {
    T q = one * diagonal, dq = zero, q_before = zero, dq_before = zero;
#pragma GCC unroll 8
    for (int l = m; l < degree; ++l) {
      const S k = S(factor(l, m)), km = k * S(m);
      const T value = q * k, slope = dq * k, along = q * km;
      put(l * l + l + m, T(value * re), T(along * re_before), T(zero - along * im_before), T(slope * re));
      if (m > 0) put(l * l + l - m, T(value * im), T(along * im_before), T(along * re_before), T(slope * im));
      const S a = S(2 * l + 1) / S(l - m + 1), b = S(l + m) / S(l - m + 1);
      const T q_next = z * q * a - q_before * b, dq_next = (q + z * dq) * a - dq_before * b;
      q_before = q;
      dq_before = dq;
      q = q_next;
      dq = dq_next;
    }
    re_before = re;
    im_before = im;
    re = x * re_before - y * im_before;
    im = x * im_before + y * re_before;
    diagonal *= -S(2 * m + 1);
  }
}

}  // namespace t3d::ops
