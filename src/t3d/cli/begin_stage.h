#pragma once

#include <cstddef>

#include "t3d/api/chain.h"

namespace t3d::cli {

/// Makes the run folder of a chain's stage, and says which of how many it is.
void begin_stage(const api::Chain& chain, size_t index, const system::Run& run);

}  // namespace t3d::cli
