#include "t3d/io/float8.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

#include "t3d/core/error.h"

namespace t3d::io {
namespace {

struct Name {
  const char* text;
  Float8 type;
};
constexpr Name kNames[] = {{"F8_E4M3", Float8::E4M3},
                           {"F8_E5M2", Float8::E5M2},
                           {"F8_E4M3FNUZ", Float8::E4M3Fnuz},
                           {"F8_E5M2FNUZ", Float8::E5M2Fnuz},
                           {"float8_e4m3fn", Float8::E4M3},
                           {"float8_e5m2", Float8::E5M2},
                           {"float8_e4m3fnuz", Float8::E4M3Fnuz},
                           {"float8_e5m2fnuz", Float8::E5M2Fnuz}};

std::array<float, 256> values_of(Float8 type) {
  const bool is_fnuz = type == Float8::E4M3Fnuz || type == Float8::E5M2Fnuz;
  const bool has_4_bits = type == Float8::E4M3 || type == Float8::E4M3Fnuz;
  const int n_mantissa = has_4_bits ? 3 : 2, bias = (has_4_bits ? 7 : 15) + (is_fnuz ? 1 : 0);
  const int largest = has_4_bits ? 15 : 31, ones = (1 << n_mantissa) - 1;
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  std::array<float, 256> out{};
  for (int byte = 0; byte < 256; ++byte) {
    const int exponent = (byte >> n_mantissa) & largest, mantissa = byte & ones;
    float value = exponent == 0
                      ? std::ldexp(static_cast<float>(mantissa), 1 - bias - n_mantissa)
                      : std::ldexp(static_cast<float>(mantissa + ones + 1), exponent - bias - n_mantissa);
    if (type == Float8::E4M3 && exponent == largest && mantissa == ones) value = kNan;
    if (type == Float8::E5M2 && exponent == largest)
      value = mantissa == 0 ? std::numeric_limits<float>::infinity() : kNan;
    if (is_fnuz && byte == 0x80) value = kNan;
    out[static_cast<size_t>(byte)] = byte >= 0x80 && !(is_fnuz && byte == 0x80) ? -value : value;
  }
  return out;
}

}  // namespace

std::optional<Float8> float8_named(std::string_view name) {
  if (name.substr(0, 6) == "torch.") name.remove_prefix(6);
  for (const Name& known : kNames)
    if (name == known.text) return known.type;
  return std::nullopt;
}

const char* float8_name(Float8 type) {
  for (const Name& known : kNames)
    if (type == known.type) return known.text;
  return "";
}

const std::array<float, 256>& float8_values(Float8 type) {
  static const std::array<std::array<float, 256>, 4> tables = {
      values_of(Float8::E4M3), values_of(Float8::E5M2), values_of(Float8::E4M3Fnuz),
      values_of(Float8::E5M2Fnuz)};
  return tables[static_cast<size_t>(type)];
}

at::Tensor decode_float8(const at::Tensor& bytes, Float8 type) {
  T3D_CHECK(bytes.scalar_type() == at::kByte && bytes.is_cpu(), "bytes are ", bytes.toString());
  std::array<at::Half, 256> table{};
  for (size_t i = 0; i < table.size(); ++i) table[i] = at::Half(float8_values(type)[i]);
  const at::Tensor in = bytes.contiguous();
  at::Tensor out = at::empty(in.sizes(), in.options().dtype(at::kHalf));
  const uint8_t* from = in.data_ptr<uint8_t>();
  at::Half* to = out.data_ptr<at::Half>();
  const int64_t n = in.numel();
#pragma omp parallel for schedule(static) if (n > (1 << 16))
  for (int64_t i = 0; i < n; ++i) to[i] = table[from[i]];
  return out;
}

}  // namespace t3d::io
