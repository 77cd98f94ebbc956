#pragma once

#include <torch/version.h>

/// What differs between the LibTorch versions that we build with (1.13 and 2.x).
#if TORCH_VERSION_MAJOR >= 2
#define T3D_HAS_FUSED_ATTENTION 1
#else
#define T3D_HAS_FUSED_ATTENTION 0
#endif
