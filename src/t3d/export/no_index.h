#pragma once

#include <cstdint>
#include <limits>

namespace t3d::export_ {

/// An index of a vertex, face or chart that is not there (yet).
constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();

}  // namespace t3d::export_
