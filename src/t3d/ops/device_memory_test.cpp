#include "t3d/ops/device_memory.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

namespace t3d::ops {
namespace {

c10::Error error_of_libtorch(const char* text) {
  return c10::Error({__func__, __FILE__, __LINE__}, text);
}

TEST(OutOfMemory, IsKnownByTypeOrByWords) {
  EXPECT_TRUE(is_out_of_memory(std::bad_alloc()));
  EXPECT_TRUE(
      is_out_of_memory(c10::OutOfMemoryError({__func__, __FILE__, __LINE__}, "Tried to allocate 2 GiB")));
  EXPECT_TRUE(is_out_of_memory(error_of_libtorch("CUDA error: out of memory")));
  EXPECT_TRUE(is_out_of_memory(error_of_libtorch("DefaultCPUAllocator: not enough memory: you tried ...")));
  EXPECT_TRUE(is_out_of_memory(error_of_libtorch("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling ...")));
  EXPECT_FALSE(is_out_of_memory(error_of_libtorch("index 7 is out of bounds")));
  EXPECT_FALSE(is_out_of_memory(std::runtime_error("the moon is out of memory")));
}

TEST(OutOfMemory, IsWhatLibTorchThrowsForATensorOfAPetabyte) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizer ends the process at such a size";
#endif
  try {
    const auto t = at::empty({int64_t{1} << 48}, at::kFloat);
    FAIL() << "there is a petabyte";
  } catch (const std::exception& e) {
    EXPECT_TRUE(is_out_of_memory(e)) << e.what();
  }
}

}  // namespace
}  // namespace t3d::ops
