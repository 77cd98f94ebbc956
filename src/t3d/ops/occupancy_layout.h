#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "t3d/core/rng.h"

/// Geometry and random draws of the occupancy grid of instant-NGP (Müller et al. 2022, arXiv:2201.05989,
/// appendix E.2), shared by the CPU and CUDA code. No torch header.
///
/// Cascade k holds 128^3 cells over the cube ±0.5*2^k, in Morton order; cell c of cascade k has the number
/// k*128^3 + c, its density is density[number], and its bit is bit (number & 7) of bits[number >> 3], so that
/// an aligned 64-bit word holds a block of 4x4x4 cells.
namespace t3d::ops {

constexpr int kGridSide = 128;
constexpr int kCellsPerCascade = kGridSide * kGridSide * kGridSide;
constexpr int kMaxCascades = 8;
constexpr float kSqrt3 = 1.7320508075688772f;
/// The smallest step of the march, scene units.
constexpr float kMinStep = kSqrt3 / 1024.0f;

/// Words 2 and 3 of the Philox counters that the ops of this folder use: (stream << 32) | training step.
enum class DrawStream : uint64_t { OccupancyAll = 0x4f43u, OccupancyUniform, OccupancyOccupied, MarchJitter };

T3D_HOST_DEVICE inline Philox draw(uint64_t seed, DrawStream stream, uint32_t step, uint64_t index) {
  return Philox::at(seed, index, (static_cast<uint64_t>(stream) << 32) | step);
}

T3D_HOST_DEVICE inline uint32_t morton_spread(uint32_t x) {
  x = (x * 0x00010001u) & 0xFF0000FFu;
  x = (x * 0x00000101u) & 0x0F00F00Fu;
  x = (x * 0x00000011u) & 0xC30C30C3u;
  return (x * 0x00000005u) & 0x49249249u;
}

T3D_HOST_DEVICE inline uint32_t morton_gather(uint32_t x) {
  x &= 0x49249249u;
  x = (x | (x >> 2)) & 0xC30C30C3u;
  x = (x | (x >> 4)) & 0x0F00F00Fu;
  x = (x | (x >> 8)) & 0xFF0000FFu;
  return (x | (x >> 16)) & 0x0000FFFFu;
}

/// x, y, z in 0..127; x takes the lowest bit.
T3D_HOST_DEVICE inline uint32_t morton_code(uint32_t x, uint32_t y, uint32_t z) {
  return morton_spread(x) | (morton_spread(y) << 1) | (morton_spread(z) << 2);
}

/// The smaller and the larger of two numbers. fminf and fmaxf are calls on the CPU, for the sake of NaN.
T3D_HOST_DEVICE inline float smaller(float a, float b) {
  return a < b ? a : b;
}
T3D_HOST_DEVICE inline float larger(float a, float b) {
  return a > b ? a : b;
}

/// 2^-k.
T3D_HOST_DEVICE inline float inverse_cascade_side(int cascade) {
  const uint32_t bits = static_cast<uint32_t>(127 - cascade) << 23;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/// 2^k as a float.
T3D_HOST_DEVICE inline float cascade_side(int cascade) {
  return static_cast<float>(1 << cascade);
}

/// Number of cascades for a box of ±0.5*aabb_scale: 1 + ceil(log2(aabb_scale)), at least 1.
T3D_HOST_DEVICE inline int cascade_count(float aabb_scale) {
  int n = 1;
  while (cascade_side(n - 1) < aabb_scale && n < kMaxCascades) ++n;
  return n;
}

/// The point at fraction (u,v,w) in [0,1]^3 of cell `number`, scene units.
T3D_HOST_DEVICE inline void cell_point(uint32_t number, float u, float v, float w, float* point) {
  const uint32_t code = number % kCellsPerCascade;
  const float side = cascade_side(static_cast<int>(number / kCellsPerCascade));
  point[0] = ((static_cast<float>(morton_gather(code)) + u) * (1.0f / kGridSide) - 0.5f) * side;
  point[1] = ((static_cast<float>(morton_gather(code >> 1)) + v) * (1.0f / kGridSide) - 0.5f) * side;
  point[2] = ((static_cast<float>(morton_gather(code >> 2)) + w) * (1.0f / kGridSide) - 0.5f) * side;
}

T3D_HOST_DEVICE inline int grid_coordinate(float x, float inverse_side) {
  const float c = (x * inverse_side + 0.5f) * kGridSide;
  return !(c > 0.0f) ? 0 : c >= kGridSide ? kGridSide - 1 : static_cast<int>(c);
}

/// Number of the cell of `cascade` that holds the point; points outside count to the nearest cell.
T3D_HOST_DEVICE inline uint32_t cell_number(float x, float y, float z, int cascade) {
  const float inverse_side = inverse_cascade_side(cascade);
  return static_cast<uint32_t>(cascade) * kCellsPerCascade +
         morton_code(static_cast<uint32_t>(grid_coordinate(x, inverse_side)),
                     static_cast<uint32_t>(grid_coordinate(y, inverse_side)),
                     static_cast<uint32_t>(grid_coordinate(z, inverse_side)));
}

/// The smallest cascade that holds a point whose largest coordinate is `largest` in absolute value.
T3D_HOST_DEVICE inline int cascade_of_position(float largest, int n_cascades) {
  int cascade = 0;
  while (cascade < n_cascades - 1 && 0.5f * cascade_side(cascade) <= largest) ++cascade;
  return cascade;
}

/// The finest cascade whose cells are at least as wide as the step.
T3D_HOST_DEVICE inline int cascade_of_step(float dt, int n_cascades) {
  int cascade = 0;
  while (cascade < n_cascades - 1 && cascade_side(cascade) < dt * kGridSide) ++cascade;
  return cascade;
}

/// Cell number and random point of draw `index` of the update at `step` (see OccupancyPick).
/// All cells: cell `index` itself. Uniform: any cell of `cascade`. Occupied: entry of the list of the
/// cascade's cells whose bit is set, in rising order; `n_occupied` = 0 gives a uniform cell instead.
T3D_HOST_DEVICE inline uint32_t pick_all(uint64_t seed, uint32_t step, uint32_t index, float* point) {
  const Philox r = draw(seed, DrawStream::OccupancyAll, step, index);
  cell_point(index, r.uniform(0), r.uniform(1), r.uniform(2), point);
  return index;
}

T3D_HOST_DEVICE inline uint32_t pick_uniform(uint64_t seed, uint32_t step, int cascade, uint32_t index,
                                             float* point) {
  const Philox r = draw(seed, DrawStream::OccupancyUniform, step,
                        static_cast<uint64_t>(cascade) * kCellsPerCascade + index);
  const uint32_t number = static_cast<uint32_t>(cascade) * kCellsPerCascade + (r.v[3] >> 11);
  cell_point(number, r.uniform(0), r.uniform(1), r.uniform(2), point);
  return number;
}

T3D_HOST_DEVICE inline uint32_t pick_occupied(uint64_t seed, uint32_t step, int cascade, uint32_t index,
                                              const uint32_t* occupied, uint32_t n_occupied, float* point) {
  const Philox r = draw(seed, DrawStream::OccupancyOccupied, step,
                        static_cast<uint64_t>(cascade) * kCellsPerCascade + index);
  const uint32_t number = n_occupied > 0
                              ? occupied[static_cast<uint32_t>((uint64_t{r.v[3]} * n_occupied) >> 32)]
                              : static_cast<uint32_t>(cascade) * kCellsPerCascade + (r.v[3] >> 11);
  cell_point(number, r.uniform(0), r.uniform(1), r.uniform(2), point);
  return number;
}

}  // namespace t3d::ops
