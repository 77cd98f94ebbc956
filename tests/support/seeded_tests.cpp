#include <ATen/Context.h>
#include <gtest/gtest.h>

namespace {

/// From C++, LibTorch's generator starts from a number that chance gives. Tests start from the same one.
struct SeedEachTest : ::testing::EmptyTestEventListener {
  void OnTestStart(const ::testing::TestInfo&) override { at::manual_seed(20); }
};

const bool is_listening = [] {
  ::testing::UnitTest::GetInstance()->listeners().Append(new SeedEachTest);
  return true;
}();

}  // namespace
