#include "t3d/cli/kernel_family.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "t3d/core/error.h"
#include "t3d/ops/matrix_unit.h"

namespace t3d::cli {
namespace {

using ::testing::HasSubstr;

std::string message_of(const std::string& name) {
  try {
    check_family(name);
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

TEST(KernelFamily, LimitsEveryLibraryAlike) {
  EXPECT_EQ(environment_of("native"), "");
  EXPECT_EQ(environment_of("avx2"),
            "T3D_SIMD=avx2 T3D_MATRIX_UNIT=none ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 "
            "DNNL_MAX_CPU_ISA=AVX2 OPENBLAS_CORETYPE=Haswell ");
  EXPECT_THAT(environment_of("plain"), HasSubstr("T3D_SIMD=portable"));
  EXPECT_THAT(environment_of("plain"), HasSubstr("ATEN_CPU_CAPABILITY=default"));
  EXPECT_THAT(environment_of("avx512"), HasSubstr("T3D_MATRIX_UNIT=none"));
  EXPECT_THAT(environment_of("avx512-bf16"), HasSubstr("T3D_MATRIX_UNIT=avx512"));
}

TEST(KernelFamily, RefusesNamesThatAreNoneAndWhatTheProcessorLacks) {
  EXPECT_EQ(message_of("native"), "");
  EXPECT_EQ(message_of("plain"), "");
  EXPECT_THAT(message_of("avx1024"), HasSubstr("there is no such family; the names are native, amx,"));
  const auto had = ops::simd();
  ops::set_simd(ops::Simd::Portable);
  EXPECT_THAT(message_of("avx2"), HasSubstr("this processor lacks it; it can show native, plain."));
  ops::set_simd(had);
}

}  // namespace
}  // namespace t3d::cli
