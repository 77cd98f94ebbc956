#pragma once

#include <cstdint>

namespace t3d::ops::cpu {

/// Numbers in bfloat16, or in single precision.
struct Numbers {
  const void* first;
  bool is_single;
};

/// Group normalisation of pictures whose channels are last; sums in single precision.
struct GroupNormCall {
  int64_t n_items, height, width, n_channels, n_groups;
  float eps;
  bool with_silu;
  Numbers x;                   // [items][height][width][channels]
  const float *weight, *bias;  // [channels]
  /// Of pictures with `border` pixels of zeros around them and pixels of out_channels >= channels numbers.
  int64_t border, out_channels;
  void* out;
  float* statistics;  // [items][groups][2]: mean and 1 / deviation, or null
};
/// To bfloat16. Needs a matrix unit (its CPUs convert bfloat16).
void group_norm(const GroupNormCall& call);
/// From float to float, for any CPU: the error is single precision's.
void float_group_norm(const GroupNormCall& call);

/// The gradients of the above without a border.
struct GroupNormAdjointCall {
  int64_t n_items, n_pixels, n_channels, n_groups;
  bool with_silu;
  Numbers x;                   // [items][pixels][channels]
  Numbers dy;                  // as x
  const float *weight, *bias;  // [channels]
  const float* statistics;     // of the forward call
  void* dx;                    // of x's type; may be dy
  float* sums;                 // [items][2][channels]: what an item adds to the gradients of bias and weight
};
void group_norm_adjoint(const GroupNormAdjointCall& call);
/// x, dy and dx in float.
void float_group_norm_adjoint(const GroupNormAdjointCall& call);

/// x, out [rows][channels]; weight, bias [channels].
void layer_norm(Numbers x, int64_t n_rows, int64_t n_channels, const float* weight, const float* bias,
                float eps, uint16_t* out);

/// The picture alone, in bfloat16: zeros around it and behind its channels.
void add_border(Numbers x, int64_t n_items, int64_t height, int64_t width, int64_t n_channels, int64_t border,
                int64_t out_channels, uint16_t* out);
/// The same in float.
void add_border(const float* x, int64_t n_items, int64_t height, int64_t width, int64_t n_channels,
                int64_t border, int64_t out_channels, float* out);

}  // namespace t3d::ops::cpu
