#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "t3d/ops/occupancy.h"

namespace t3d::ops::cpu {
namespace {

constexpr int64_t kGrain = 4096;
constexpr int64_t kSumBlock = 65536;

/// Mean of the positive entries, 0 when there are none. Fixed blocks: the same for any number of threads.
double positive_mean(const float* values, int64_t n) {
  const int64_t n_blocks = (n + kSumBlock - 1) / kSumBlock;
  std::vector<double> sums(n_blocks);
  std::vector<int64_t> counts(n_blocks);
  at::parallel_for(0, n_blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      double sum = 0;
      int64_t count = 0;
      for (int64_t i = block * kSumBlock; i < std::min(n, (block + 1) * kSumBlock); ++i) {
        if (values[i] <= 0.0f) continue;
        sum += values[i];
        ++count;
      }
      sums[block] = sum;
      counts[block] = count;
    }
  });
  double sum = 0;
  int64_t count = 0;
  for (int64_t block = 0; block < n_blocks; ++block) {
    sum += sums[block];
    count += counts[block];
  }
  return count == 0 ? 0.0 : sum / static_cast<double>(count);
}

/// Sets each cell of `coarse` whose eight cells in `fine` hold a set bit. The fine cascade fills the middle
/// half of the coarse one: its cell (x,y,z) lies in coarse cell (x/2 + 32, ...).
void raise_bits(const uint8_t* fine, uint8_t* coarse) {
  at::parallel_for(0, kCellsPerCascade / 64, kGrain / 8, [&](int64_t begin, int64_t end) {
    // A byte of the fine grid is one 2x2x2 block. The eight blocks that share a coarse byte follow each other
    // in Morton order; work is split between such groups, so no two threads write one byte.
    for (int64_t block = 8 * begin; block < 8 * end; ++block) {
      if (fine[block] == 0) continue;
      const uint32_t code = static_cast<uint32_t>(block);
      const uint32_t cell =
          morton_code(morton_gather(code) + 32, morton_gather(code >> 1) + 32, morton_gather(code >> 2) + 32);
      coarse[cell >> 3] |= static_cast<uint8_t>(1u << (cell & 7u));
    }
  });
}

}  // namespace

int64_t list_occupied(const uint8_t* bits, int cascade, uint32_t* occupied) {
  const uint32_t first = static_cast<uint32_t>(cascade) * kCellsPerCascade;
  const uint8_t* cascade_bits = bits + first / 8;
  int64_t n = 0;
  for (uint32_t i = 0; i < kCellsPerCascade / 64; ++i) {
    uint64_t word;
    std::memcpy(&word, cascade_bits + 8 * i, 8);
    for (; word != 0; word &= word - 1)
      occupied[n++] = first + 64 * i + static_cast<uint32_t>(__builtin_ctzll(word));
  }
  return n;
}

void pick_cells(const OccupancyPick& pick, uint64_t seed, uint32_t step, int64_t first, int64_t n,
                const uint32_t* const* occupied, const int64_t* n_occupied, uint32_t* cells, float* points) {
  constexpr int64_t kQuarter = kCellsPerCascade / 4;
  at::parallel_for(0, n, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t index = first + i;
      float* point = points + 3 * i;
      if (pick.is_warmup) {
        cells[i] = pick_all(seed, step, static_cast<uint32_t>(index), point);
        continue;
      }
      const int cascade = static_cast<int>(index / (2 * kQuarter));
      const auto within = static_cast<uint32_t>(index % (2 * kQuarter));
      cells[i] = within < kQuarter ? pick_uniform(seed, step, cascade, within, point)
                                   : pick_occupied(seed, step, cascade, within - kQuarter, occupied[cascade],
                                                   static_cast<uint32_t>(n_occupied[cascade]), point);
    }
  });
}

void decay_density(float* density, int64_t n_cells, float decay) {
  at::parallel_for(0, n_cells, 16 * kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) density[i] *= density[i] >= 0.0f ? decay : 1.0f;
  });
}

void apply_density(float* density, const uint32_t* cells, const float* sigma, int64_t n) {
  // A cell may come twice, so one thread writes; the maximum does not depend on the order.
  for (int64_t i = 0; i < n; ++i) {
    float& cell = density[cells[i]];
    if (cell >= 0.0f && sigma[i] > cell) cell = sigma[i];
  }
}

float update_bits(const float* density, int n_cascades, float density_threshold, uint8_t* bits) {
  const int64_t n_cells = int64_t{n_cascades} * kCellsPerCascade;
  const float threshold = std::min(static_cast<float>(positive_mean(density, n_cells)), density_threshold);
  at::parallel_for(0, n_cells / 8, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t byte = begin; byte < end; ++byte) {
      unsigned value = 0;
      for (int bit = 0; bit < 8; ++bit) value |= (density[8 * byte + bit] > threshold ? 1u : 0u) << bit;
      bits[byte] = static_cast<uint8_t>(value);
    }
  });
  for (int cascade = 1; cascade < n_cascades; ++cascade)
    raise_bits(bits + int64_t{cascade - 1} * (kCellsPerCascade / 8),
               bits + int64_t{cascade} * (kCellsPerCascade / 8));
  return threshold;
}

}  // namespace t3d::ops::cpu
