#include <algorithm>
#include <cstring>
#include <memory>

#include "t3d/core/error.h"
#include "t3d/ops/hash_grid_kernels.h"
#include "t3d/ops/hash_grid_reference.h"
#include "t3d/ops/simd.h"

// One level at a time over the whole batch: a table of 2^19 entries of two floats fills 4 MB, which stays in
// the last-level cache while a batch passes through it; all levels together would not. Within a level, the
// vertices of 32 samples are found 8 at a time and their cache lines requested, while the 32 before them are
// blended.
namespace t3d::ops::cpu {
namespace {

constexpr int kLanes = 8, kBlock = 32;
constexpr uint32_t kPrimes[4] = {1u, 2654435761u, 805459861u, 3674653429u};

typedef float VecF __attribute__((vector_size(32)));
typedef int32_t VecI __attribute__((vector_size(32)));
typedef uint32_t VecU __attribute__((vector_size(32)));

/// The registers that hold one entry.
template <int F>
struct Features {
  typedef float type __attribute__((vector_size(F * 4)));
};
template <>
struct Features<1> {
  using type = float;
};
template <>
struct Features<2> {
  typedef float type __attribute__((vector_size(16)));  // the upper half idle
};

typedef double Pair __attribute__((may_alias, aligned(4)));  // two floats moved as one
typedef double Pairs2 __attribute__((vector_size(16)));
typedef double Pairs4 __attribute__((vector_size(32)));
typedef VecF VecAlias __attribute__((may_alias));

template <class V>
T3D_INLINE void load(V& v, const void* from) {
  std::memcpy(&v, from, sizeof(V));
}
template <class V>
T3D_INLINE void store(void* to, const V& v) {
  std::memcpy(to, &v, sizeof(V));
}
T3D_INLINE const VecF& as_floats(const Pairs4& pairs) {
  return *reinterpret_cast<const VecAlias*>(&pairs);
}
template <int F>
T3D_INLINE void load_entry(typename Features<F>::type& v, const float* from) {
  if constexpr (F == 2) {
    const Pairs2 pair = {*reinterpret_cast<const Pair*>(from), 0.0};
    load(v, &pair);
  } else {
    load(v, from);
  }
}
template <int F>
T3D_INLINE void store_entry(float* to, const typename Features<F>::type& v) {
  if constexpr (F == 2) {
    Pairs2 pair;
    load(pair, &v);
    *reinterpret_cast<Pair*>(to) = pair[0];
  } else {
    store(to, v);
  }
}

/// What is known about 32 samples in one level.
template <int D>
struct Block {
  alignas(64) uint32_t entry[1 << D][kBlock];
  alignas(64) float weight[1 << D][kBlock];
  alignas(64) float fraction[D][kBlock], slope[D][kBlock];  // blending fraction, its derivative by x
};

/// Keeps fractions and slopes only when WithSlope; the blending weights otherwise.
template <int D, bool WithSlope>
T3D_INLINE void locate(const LevelTask& t, int64_t begin, Block<D>& block) {
  const uint32_t resolution = t.level->resolution, n_entries = t.level->n_entries;
  for (int g = 0; g < kBlock; g += kLanes) {
    VecF low[D], high[D];  // weight of the lower and of the upper vertex
    VecU cell_low[D], cell_high[D];
    VecI outside = {};
    uint32_t stride = 1;
    for (int d = 0; d < D; ++d) {
      VecF x;
      load(x, t.x + d * t.pitch + begin + g);
      const VecF position = x * t.level->scale + 0.5f;
      VecI cell = __builtin_convertvector(position, VecI);
      cell += __builtin_convertvector(cell, VecF) > position;  // a true lane is -1
      const VecF u = position - __builtin_convertvector(cell, VecF);
      high[d] = t.is_smooth ? u * u * (3.f - 2.f * u) : u;
      low[d] = 1.f - high[d];
      if (WithSlope) {
        const VecF slope = t.is_smooth ? 6.f * t.level->scale * u * (1.f - u) : u * 0.f + t.level->scale;
        store(&block.fraction[d][g], high[d]);
        store(&block.slope[d][g], slope);
      }
      outside |= (cell < 0) | (cell > static_cast<int32_t>(resolution) - 2);
      const uint32_t factor = t.level->is_dense ? stride : kPrimes[d];
      cell_low[d] = reinterpret_cast<VecU&>(cell) * factor;
      cell_high[d] = cell_low[d] + factor;
      stride *= resolution;
    }
    for (int c = 0; c < 1 << D; ++c) {
      VecU index = c & 1 ? cell_high[0] : cell_low[0];
      VecF weight = c & 1 ? high[0] : low[0];
      for (int d = 1; d < D; ++d) {
        const VecU& part = c >> d & 1 ? cell_high[d] : cell_low[d];
        index = t.level->is_dense ? index + part : index ^ part;
        weight *= c >> d & 1 ? high[d] : low[d];
      }
      if (!t.level->is_dense) index &= n_entries - 1;  // a hashed level's size is a power of two
      store(&block.entry[c][g], index);
      if (!WithSlope) store(&block.weight[c][g], weight);
    }
    if (t.level->is_dense) {
      uint64_t any[4];
      store(any, outside);
      if ((any[0] | any[1] | any[2] | any[3]) != 0)
        for (int c = 0; c < 1 << D; ++c)
          for (int i = 0; i < kLanes; ++i) block.entry[c][g + i] %= n_entries;
    }
  }
}

/// Neighbours in x mostly share a cache line, so the lower one stands for both unless entries are long.
template <int D, int F, int kWrite>
T3D_INLINE void request(const float* table, const Block<D>& block) {
  for (int c = 0; c < 1 << D; c += F >= 8 ? 1 : 2)
#pragma GCC unroll 16
    for (int i = 0; i < kBlock; ++i) __builtin_prefetch(table + uint64_t{block.entry[c][i]} * F, kWrite, 3);
}

/// use(block, first sample, number of samples) for the samples begin..end, with the next block on its way.
template <int D, int F, bool WithSlope, int kWrite, class Use>
T3D_INLINE void for_each_block(const LevelTask& t, const float* table, int64_t begin, int64_t end, Use use) {
  const bool far = uint64_t{t.level->n_entries} * F * sizeof(float) > 24 * 1024;
  Block<D> blocks[2];
  locate<D, WithSlope>(t, begin, blocks[0]);
  if (far) request<D, F, kWrite>(table, blocks[0]);
  int current = 0;
  for (int64_t first = begin; first < end; first += kBlock, current ^= 1) {
    if (first + kBlock < end) {
      locate<D, WithSlope>(t, first + kBlock, blocks[current ^ 1]);
      if (far) request<D, F, kWrite>(table, blocks[current ^ 1]);
    }
    use(blocks[current], first, static_cast<int>(std::min<int64_t>(kBlock, end - first)));
  }
}

template <int D, int F>
struct ForwardUse {
  const float* table;
  float* out;
  int64_t stride;

  T3D_INLINE void operator()(const Block<D>& block, int64_t first, int n) const {
    if constexpr (F == 2) {
      pairs(block, first, n);
    } else {
      using V = typename Features<F>::type;
      for (int i = 0; i < n; ++i) {
        V sum = {};
        for (int c = 0; c < 1 << D; ++c) {
          V entry;
          load_entry<F>(entry, table + uint64_t{block.entry[c][i]} * F);
          sum += block.weight[c][i] * entry;
        }
        store_entry<F>(out + (first + i) * stride, sum);
      }
    }
  }

  /// Two features: four samples to a register, each weight twice.
  T3D_INLINE void pairs(const Block<D>& block, int64_t first, int n) const {
    const Pair* entries = reinterpret_cast<const Pair*>(table);
    for (int g = 0; g < n; g += kLanes) {
      VecF low = {}, high = {};  // samples 0 1 4 5 and 2 3 6 7
      for (int c = 0; c < 1 << D; ++c) {
        VecF w;
        load(w, &block.weight[c][g]);
        const uint32_t* e = &block.entry[c][g];
        const Pairs4 a = {entries[e[0]], entries[e[1]], entries[e[4]], entries[e[5]]};
        const Pairs4 b = {entries[e[2]], entries[e[3]], entries[e[6]], entries[e[7]]};
        low += __builtin_shufflevector(w, w, 0, 0, 1, 1, 4, 4, 5, 5) * as_floats(a);
        high += __builtin_shufflevector(w, w, 2, 2, 3, 3, 6, 6, 7, 7) * as_floats(b);
      }
      const VecF front = __builtin_shufflevector(low, high, 0, 1, 2, 3, 8, 9, 10, 11);
      const VecF back = __builtin_shufflevector(low, high, 4, 5, 6, 7, 12, 13, 14, 15);
      float* to = out + (first + g) * stride;
      if (stride == 2 && g + kLanes <= n) {
        store(to, front);
        store(to + kLanes, back);
      } else {
        Pair values[kLanes];
        store(values, front);
        store(values + 4, back);
        for (int i = 0; i < std::min(kLanes, n - g); ++i)
          *reinterpret_cast<Pair*>(to + i * stride) = values[i];
      }
    }
  }
};

template <int D, int F>
struct ScatterUse {
  float* dtable;
  const float* dy;
  int64_t stride;

  T3D_INLINE void operator()(const Block<D>& block, int64_t first, int n) const {
    using V = typename Features<F>::type;
    for (int i = 0; i < n; ++i) {
      V gradient;
      load_entry<F>(gradient, dy + (first + i) * stride);
      for (int c = 0; c < 1 << D; ++c) {
        float* entry = dtable + uint64_t{block.entry[c][i]} * F;
        V sum;
        load_entry<F>(sum, entry);
        sum += block.weight[c][i] * gradient;
        store_entry<F>(entry, sum);
      }
    }
  }
};

/// Adds this level's part of dx, which the caller keeps as D arrays of the chunk.
template <int D, int F>
struct InputUse {
  const LevelTask& t;
  T3D_INLINE void operator()(const Block<D>& block, int64_t first, int n) const {
    using V = typename Features<F>::type;
    alignas(64) float value[1 << D][kBlock];  // dy . entry
    for (int i = 0; i < n; ++i) {
      V dy;
      load_entry<F>(dy, t.dy + (first + i) * t.dy_stride);
      for (int c = 0; c < 1 << D; ++c) {
        V entry;
        load_entry<F>(entry, t.table + uint64_t{block.entry[c][i]} * F);
        value[c][i] = dot(entry, dy);
      }
    }
    for (int c = 0; c < 1 << D; ++c)
      for (int i = n; i < kBlock; ++i) value[c][i] = 0;
    for (int g = 0; g < kBlock; g += kLanes) {
      VecF high[D];
      for (int d = 0; d < D; ++d) load(high[d], &block.fraction[d][g]);
      for (int d = 0; d < D; ++d) {
        VecF sum = {};
        for (int c = 0; c < 1 << D; ++c) {
          VecF part;
          load(part, &value[c][g]);
          for (int e = 0; e < D; ++e)
            if (e != d) part *= c >> e & 1 ? high[e] : 1.f - high[e];
          sum = c >> d & 1 ? sum + part : sum - part;
        }
        VecF slope, dx;
        load(slope, &block.slope[d][g]);
        float* to = t.out + d * t.out_stride + first + g;
        load(dx, to);
        dx += sum * slope;
        store(to, dx);
      }
    }
  }
  static T3D_INLINE float dot(float a, float b) { return a * b; }
  template <class V>
  static T3D_INLINE float dot(const V& a, const V& b) {
    float sum = 0;
    for (int f = 0; f < F; ++f) sum += a[f] * b[f];
    return sum;
  }
};

struct Forward {
  template <int D, int F>
  static T3D_INLINE void run(const LevelTask& t, int64_t begin, int64_t end) {
    for_each_block<D, F, false, 0>(t, t.table, begin, end, ForwardUse<D, F>{t.table, t.out, t.out_stride});
  }
};
struct Scatter {
  template <int D, int F>
  static T3D_INLINE void run(const LevelTask& t, int64_t begin, int64_t end) {
    for_each_block<D, F, false, 1>(t, t.dtable, begin, end, ScatterUse<D, F>{t.dtable, t.dy, t.dy_stride});
  }
};
struct Input {
  template <int D, int F>
  static T3D_INLINE void run(const LevelTask& t, int64_t begin, int64_t end) {
    for_each_block<D, F, true, 0>(t, t.table, begin, end, InputUse<D, F>{t});
  }
};

template <class Kernel>
T3D_INLINE void run(const LevelTask& t, int64_t begin, int64_t end) {
  switch (t.n_dims * 16 + t.n_features) {
    case 0x21:
      return Kernel::template run<2, 1>(t, begin, end);
    case 0x22:
      return Kernel::template run<2, 2>(t, begin, end);
    case 0x24:
      return Kernel::template run<2, 4>(t, begin, end);
    case 0x28:
      return Kernel::template run<2, 8>(t, begin, end);
    case 0x31:
      return Kernel::template run<3, 1>(t, begin, end);
    case 0x32:
      return Kernel::template run<3, 2>(t, begin, end);
    case 0x34:
      return Kernel::template run<3, 4>(t, begin, end);
    case 0x38:
      return Kernel::template run<3, 8>(t, begin, end);
    case 0x41:
      return Kernel::template run<4, 1>(t, begin, end);
    case 0x42:
      return Kernel::template run<4, 2>(t, begin, end);
    case 0x44:
      return Kernel::template run<4, 4>(t, begin, end);
    default:
      return Kernel::template run<4, 8>(t, begin, end);
  }
}

void forward_portable(const LevelTask& t, int64_t b, int64_t e) {
  run<Forward>(t, b, e);
}
void scatter_portable(const LevelTask& t, int64_t b, int64_t e) {
  run<Scatter>(t, b, e);
}
void input_portable(const LevelTask& t, int64_t b, int64_t e) {
  run<Input>(t, b, e);
}
T3D_TARGET_AVX2 void forward_avx2(const LevelTask& t, int64_t b, int64_t e) {
  run<Forward>(t, b, e);
}
T3D_TARGET_AVX2 void scatter_avx2(const LevelTask& t, int64_t b, int64_t e) {
  run<Scatter>(t, b, e);
}
T3D_TARGET_AVX2 void input_avx2(const LevelTask& t, int64_t b, int64_t e) {
  run<Input>(t, b, e);
}

}  // namespace

// Eight lanes suit AVX-512 machines too: what takes the time is the table.
LevelKernels level_kernels() {
  if (simd() == Simd::Portable) return {forward_portable, scatter_portable, input_portable};
  return {forward_avx2, scatter_avx2, input_avx2};
}

}  // namespace t3d::ops::cpu
