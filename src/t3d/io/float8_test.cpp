#include "t3d/io/float8.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "t3d/core/error.h"
#include "t3d/io/safetensors.h"
#include "tests/support/temporary_folder.h"

namespace t3d::io {
namespace {

using ::testing::HasSubstr;

/// The value of a byte by the definition: sign, exponent of `n_exponent` bits, mantissa, and what is not
/// finite.
float by_formula(int byte, int n_exponent, int bias, bool is_fnuz, bool has_infinity) {
  const int n_mantissa = 7 - n_exponent;
  const double sign = (byte & 0x80) != 0 ? -1 : 1;
  const int exponent = (byte & 0x7f) >> n_mantissa, mantissa = byte & ((1 << n_mantissa) - 1);
  if (is_fnuz) {
    if (byte == 0x80) return NAN;
  } else if (has_infinity && exponent == (1 << n_exponent) - 1) {
    return mantissa == 0 ? static_cast<float>(sign * INFINITY) : NAN;
  } else if (!has_infinity && (byte & 0x7f) == 0x7f) {
    return NAN;
  }
  const double fraction = static_cast<double>(mantissa) / (1 << n_mantissa);
  return static_cast<float>(exponent == 0 ? sign * std::pow(2.0, 1 - bias) * fraction
                                          : sign * std::pow(2.0, exponent - bias) * (1 + fraction));
}

struct Case {
  Float8 type;
  int n_exponent, bias;
  bool is_fnuz, has_infinity;
};
const Case kCases[] = {{Float8::E4M3, 4, 7, false, false},
                       {Float8::E5M2, 5, 15, false, true},
                       {Float8::E4M3Fnuz, 4, 8, true, false},
                       {Float8::E5M2Fnuz, 5, 16, true, false}};

TEST(Float8, EveryByteIsTheNumberOfTheDefinition) {
  for (const Case& c : kCases)
    for (int byte = 0; byte < 256; ++byte) {
      const float expected = by_formula(byte, c.n_exponent, c.bias, c.is_fnuz, c.has_infinity);
      const float found = float8_values(c.type)[static_cast<size_t>(byte)];
      if (std::isnan(expected)) {
        EXPECT_TRUE(std::isnan(found)) << float8_name(c.type) << " " << byte;
      } else {
        EXPECT_EQ(found, expected) << float8_name(c.type) << " " << byte;
        EXPECT_EQ(std::signbit(found), std::signbit(expected)) << float8_name(c.type) << " " << byte;
        EXPECT_EQ(static_cast<float>(at::Half(found)), found) << "is one of float16 as well: " << byte;
      }
    }
}

TEST(Float8, KnownNumbers) {
  EXPECT_EQ(float8_values(Float8::E4M3)[0x7e], 448.f);  // the largest
  EXPECT_EQ(float8_values(Float8::E4M3)[0x01], std::ldexp(1.f, -9));
  EXPECT_EQ(float8_values(Float8::E5M2)[0x7b], 57344.f);
  EXPECT_EQ(float8_values(Float8::E5M2)[0x01], std::ldexp(1.f, -16));
  EXPECT_EQ(float8_values(Float8::E4M3Fnuz)[0x7f], 240.f);
  EXPECT_EQ(float8_named("torch.float8_e4m3fn"), Float8::E4M3);
  EXPECT_EQ(float8_named("F8_E5M2FNUZ"), Float8::E5M2Fnuz);
  EXPECT_EQ(float8_named("F8_E8M0"), std::nullopt);
}

TEST(Float8, SafetensorsAreConverted) {
  const testing::TemporaryFolder folder;
  std::string header = R"({"w":{"dtype":"F8_E4M3","shape":[16,16],"data_offsets":[0,256]},)"
                       R"("e":{"dtype":"F8_E5M2","shape":[0,3],"data_offsets":[256,256]},)"
                       R"("s":{"dtype":"F8_E8M0","shape":[1],"data_offsets":[256,257]}})";
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size());
  bytes += header;
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  testing::write_text(folder / "f8.safetensors", bytes + "x");
  const SafetensorsFile file(folder / "f8.safetensors");
  const at::Tensor w = file.tensor("w");
  EXPECT_EQ(w.scalar_type(), at::kHalf);
  EXPECT_EQ(w.sizes(), (std::vector<int64_t>{16, 16}));
  EXPECT_EQ(w[0][1].item<float>(), std::ldexp(1.f, -9));
  EXPECT_EQ(w[15][14].item<float>(), -448.f);
  EXPECT_TRUE(std::isnan(w[7][15].item<float>()));
  EXPECT_EQ(file.tensor("e").numel(), 0);
  try {
    file.tensor("s");
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("of type F8_E8M0, which is not read"));
  }
}

TEST(Float8, ViewsWithStridesAreDecodedInTheirOrder) {
  const at::Tensor bytes = at::arange(0, 6, at::kByte).reshape({2, 3}).t();  // [3,2]
  const at::Tensor values = decode_float8(bytes, Float8::E4M3);
  EXPECT_TRUE(values.is_contiguous());
  EXPECT_EQ(values[1][1].item<float>(), float8_values(Float8::E4M3)[4]);
}

}  // namespace
}  // namespace t3d::io
