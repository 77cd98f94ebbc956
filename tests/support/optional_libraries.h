#pragma once

#include <gtest/gtest.h>

/// What a build without an optional library cannot do is skipped, visibly. The test program links the target
/// of that library (t3d_embree, t3d_ffmpeg), which defines its T3D_HAS_.
namespace t3d::testing {

#ifdef T3D_HAS_EMBREE
constexpr bool kHasEmbree = true;
#else
constexpr bool kHasEmbree = false;
#endif
#ifdef T3D_HAS_FFMPEG
constexpr bool kHasFfmpeg = true;
#else
constexpr bool kHasFfmpeg = false;
#endif

}  // namespace t3d::testing

/// Use inside a TEST body or a fixture's SetUp.
#define T3D_NEED_EMBREE()                                                \
  if (!t3d::testing::kHasEmbree) {                                       \
    GTEST_SKIP() << "this build has no Embree, so it cannot trace rays"; \
  }                                                                      \
  (void)0
