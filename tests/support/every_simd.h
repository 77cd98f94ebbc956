#pragma once

#include <gtest/gtest.h>

#include "t3d/ops/simd.h"

namespace t3d::testing {

/// Runs the test with the instruction set that is its parameter; skips on a CPU that has none.
class EverySimd : public ::testing::TestWithParam<ops::Simd> {
 protected:
  void SetUp() override {
    before_ = ops::simd();
    ops::set_simd(GetParam());
    if (ops::simd() != GetParam()) GTEST_SKIP() << "this CPU has no " << ops::simd_name(GetParam());
  }
  void TearDown() override { ops::set_simd(before_); }

 private:
  ops::Simd before_;
};

}  // namespace t3d::testing
