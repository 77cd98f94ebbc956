#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <optional>
#include <string_view>

namespace t3d::io {

/// The 8-bit floating types of checkpoints, which LibTorch 1.13 lacks. The first two are those of
/// Micikevicius et al. 2022, arXiv:2209.05433; FNUZ ("finite, no negative zero", AMD's) moves the exponent's
/// bias by one and has one NaN, where the others have minus zero.
enum class Float8 { E4M3, E5M2, E4M3Fnuz, E5M2Fnuz };

/// By a name of safetensors (F8_E4M3) or PyTorch (float8_e4m3fn, torch.float8_e4m3fn).
std::optional<Float8> float8_named(std::string_view name);
const char* float8_name(Float8 type);

/// The numbers that the 256 bytes stand for. Each is one of float16 as well, exactly.
const std::array<float, 256>& float8_values(Float8 type);

/// Bytes [...] uint8 of any strides -> [...] float16, contiguous, of the same values.
at::Tensor decode_float8(const at::Tensor& bytes, Float8 type);

}  // namespace t3d::io
