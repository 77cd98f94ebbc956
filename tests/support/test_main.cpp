#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/support/golden_report.h"

/// Each test program: one thread at a time keeps its hands off a busy machine (spinning OpenMP workers would
/// take five times as long), and the golden report comes last.
int main(int argc, char** argv) {
  setenv("OMP_WAIT_POLICY", "passive", 0);
  ::testing::InitGoogleTest(&argc, argv);
  const int result = RUN_ALL_TESTS();
  t3d::testing::print_golden_report();
  return result;
}
