#pragma once

#include <cstdint>

/// Sizes of AMX's tiles, for those who lay matrices out for the kernels of bfloat16_tiles.h.
namespace t3d::ops::cpu {

constexpr int kTile = 16;              ///< rows of every tile; columns of a right tile and of sums
constexpr int kTileDepth = 32;         ///< rows of B that one product sums over
constexpr int kTileNumbers = 16 * 32;  ///< bfloat16 in a left or right tile
constexpr int kTileSums = 16 * 16;     ///< floats in a tile of sums

inline int in_16s(int n) {
  return (n + 15) / 16;
}
inline int in_32s(int n) {
  return (n + 31) / 32;
}

}  // namespace t3d::ops::cpu
