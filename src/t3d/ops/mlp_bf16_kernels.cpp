#include "t3d/ops/mlp_bf16_kernels.h"

#include <algorithm>
#include <cmath>

#include "t3d/ops/bfloat16_tiles.h"

// Samples lie along the columns: a layer is W (left) times its inputs (right, [input pairs][samples][2]), and
// its sums, [outputs][samples], become the next layer's right tiles by rounding rows two by two. The hash
// grid's level-by-level features of two numbers are right tiles but for the rounding. The gradient of the
// inputs goes the same way with the transposed weights. The gradient of the weights sums over samples, so it
// wants the outputs' gradient as left tiles, which are the same sums rounded row by row, and the inputs with
// pairs of samples along the rows, which is the one real transposition. Hidden activations are computed again
// rather than kept: that costs less than writing and reading them.
namespace t3d::ops::cpu {

#ifdef T3D_HAS_MATRIX_BLOCK
namespace {

constexpr int kGroups = kBf16BlockRows / kTile;  ///< right tiles of 16 samples
constexpr int kPairs = kGroups / 2;              ///< tiles that sum over 32 samples
constexpr int kPanelNumbers = kGroups * kTileNumbers;

/// Where a block's matrices lie. Right tiles are [32 columns][group of 16 samples].
struct Room {
  uint16_t *x, *hidden;         ///< right; a run of n_neurons for each hidden layer
  uint16_t* gradient[2];        ///< right: gradients of the outputs of one layer, and of the one below
  uint16_t* gradient_left;      ///< left: [outputs in 16s][32 samples]
  uint16_t* inputs_by_samples;  ///< right, sums over samples: [inputs in 16s, two][32 samples]
  float* sums;                  ///< two of [rows 2][columns 2]
  float* square;                ///< 16 x 16, for transposing
  int64_t hidden_step;
  int64_t bytes;

  Room(const std::vector<Bf16Layer>& layers, void* workspace) {
    const int n_neurons = layers[0].n_out, n_widest = std::max(n_neurons, layers.back().n_out);
    char* const begin = static_cast<char*>(workspace);
    char* at = begin;
    const auto take = [&at](auto*& p, int64_t n) {
      p = reinterpret_cast<std::decay_t<decltype(p)>>(at);
      at += n * static_cast<int64_t>(sizeof *p);
    };
    hidden_step = int64_t{in_32s(n_neurons)} * kPanelNumbers;
    take(x, int64_t{in_32s(layers[0].n_in)} * kPanelNumbers);
    take(hidden, (static_cast<int64_t>(layers.size()) - 1) * hidden_step);
    for (auto& g : gradient) take(g, int64_t{in_32s(n_widest)} * kPanelNumbers);
    take(gradient_left, int64_t{in_32s(n_widest)} * kPanelNumbers);
    take(inputs_by_samples, 2 * kPairs * kTileNumbers);
    take(sums, 2 * 4 * kTileSums);
    take(square, kTileSums);
    bytes = at - begin;
  }
};

/// The block's samples first .. first+n of the batch.
struct Block {
  int64_t first;
  int n;
  int n_pairs() const { return in_32s(n); }
  int n_in_group(int g) const { return std::clamp(n - g * kTile, 0, kTile); }
};

template <class T>
T3D_INLINE T* column_start(const Rows<T>& r, int64_t row, int column) {
  return r.data + row * r.row_stride + column / r.group * r.group_stride + column % r.group;
}

/// Component `column` of 16 samples, of which the first n are there.
T3D_BF16_INLINE __m512 load_column(const Rows<const float>& r, int64_t row, int n, int column,
                                   int n_columns) {
  if (column >= n_columns) return _mm512_setzero_ps();
  const __m512i index =
      _mm512_mullo_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                         _mm512_set1_epi32(static_cast<int>(r.row_stride)));
  return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), first_of_16(n), index, column_start(r, row, column),
                                  4);
}

template <class T>
T3D_INLINE bool is_pairs(const Rows<T>& r, int n_columns) {
  return r.group == 2 && r.row_stride == 2 && n_columns % 2 == 0;
}

/// Rows of a batch -> one right tile: 16 samples, columns first_column .. first_column+32.
T3D_BF16_INLINE void gather_tile(const Rows<const float>& from, int64_t row, int n, int first_column,
                                 int n_columns, float* square, uint16_t* tile) {
  __m512i* out = reinterpret_cast<__m512i*>(tile);
  if (from.group >= n_columns) {
    const __mmask16 in_low = first_of_16(n_columns - first_column),
                    in_high = first_of_16(n_columns - first_column - 16);
    __m512i* rows = reinterpret_cast<__m512i*>(square);
    for (int s = 0; s < kTile; ++s) {
      const float* numbers = from.data + (row + s) * from.row_stride + first_column;
      const __mmask16 low = s < n ? in_low : __mmask16{0}, high = s < n ? in_high : __mmask16{0};
      _mm512_store_si512(rows + s, to_bfloat16(_mm512_maskz_loadu_ps(low, numbers),
                                               _mm512_maskz_loadu_ps(high, numbers + 16)));
    }
    transpose16(rows, out);
  } else {
    for (int p = 0; p < kTile; ++p) {
      const int column = first_column + 2 * p;
      _mm512_store_si512(out + p, to_bfloat16_pairs(load_column(from, row, n, column, n_columns),
                                                    load_column(from, row, n, column + 1, n_columns)));
    }
  }
}

/// The same for a whole block whose pairs of columns lie together: right tiles but for the rounding.
T3D_BF16_INLINE void gather_pairs(const Rows<const float>& from, const Block& block, int n_columns,
                                  uint16_t* right) {
  for (int p = 0; p < kTile * in_32s(n_columns); ++p) {
    const float* pairs = from.data + block.first * 2 + p * from.group_stride;
    uint16_t* out = right + p / kTile * kPanelNumbers + p % kTile * kTileDepth;
    const bool is_there = 2 * p < n_columns;
    const int n_whole = is_there ? block.n / kTile : 0;
    for (int g = 0; g < n_whole; ++g, pairs += kTileDepth, out += kTileNumbers)
      _mm512_store_si512(out, to_bfloat16(_mm512_loadu_ps(pairs), _mm512_loadu_ps(pairs + kTile)));
    for (int g = n_whole; g < 2 * block.n_pairs(); ++g, pairs += kTileDepth, out += kTileNumbers) {
      const int n_floats = is_there ? 2 * block.n_in_group(g) : 0;
      _mm512_store_si512(out,
                         to_bfloat16(_mm512_maskz_loadu_ps(first_of_16(n_floats), pairs),
                                     _mm512_maskz_loadu_ps(first_of_16(n_floats - kTile), pairs + kTile)));
    }
  }
}

T3D_BF16_INLINE void gather(const Rows<const float>& from, const Block& block, int n_columns, float* square,
                            uint16_t* right) {
  if (is_pairs(from, n_columns)) return gather_pairs(from, block, n_columns, right);
  for (int c = 0; c < n_columns; c += kTileDepth, right += kPanelNumbers)
    for (int g = 0; g < 2 * block.n_pairs(); ++g)
      gather_tile(from, block.first + g * kTile, block.n_in_group(g), c, n_columns, square,
                  right + g * kTileNumbers);
}

T3D_BF16_INLINE void activate(float* y, Activation activation) {
  switch (activation) {
    case Activation::Relu:
      for (int i = 0; i < kTile; ++i) y[i] = std::max(y[i], 0.f);
      return;
    case Activation::Sigmoid:
      // The quick reciprocal of infinity is not a number, and exp(88.8) is infinite.
      for (int i = 0; i < kTile; ++i) y[i] = 1.f / (1.f + std::exp(std::min(-y[i], 80.f)));
      return;
    case Activation::TruncExp:
      for (int i = 0; i < kTile; ++i) y[i] = std::exp(y[i]);
      return;
    case Activation::Softplus:
      for (int i = 0; i < kTile; ++i) y[i] = y[i] > 20.f ? y[i] : std::log1p(std::exp(y[i]));
      return;
    default:
      return;
  }
}

/// dy times the derivative by the layer's output, from the activated value.
T3D_BF16_INLINE void times_slope(float* dy, const float* y, Activation activation) {
  switch (activation) {
    case Activation::Relu:
      for (int i = 0; i < kTile; ++i) dy[i] = y[i] > 0.f ? dy[i] : 0.f;
      return;
    case Activation::Sigmoid:
      for (int i = 0; i < kTile; ++i) dy[i] *= y[i] * (1.f - y[i]);
      return;
    case Activation::TruncExp:  // exp(-15), exp(15)
      for (int i = 0; i < kTile; ++i) dy[i] *= std::clamp(y[i], 3.0590232e-7f, 3269017.4f);
      return;
    case Activation::Softplus:
      for (int i = 0; i < kTile; ++i) dy[i] *= -std::expm1(-y[i]);
      return;
    default:
      return;
  }
}

/// The gradient before the output activation -> right tiles.
T3D_BF16_INLINE void gather_output_gradient(const Rows<const float>& y, const Rows<const float>& dy,
                                            const Block& block, int n_columns, Activation activation,
                                            float* square, uint16_t* right) {
  if (activation == Activation::None) return gather(dy, block, n_columns, square, right);
  for (int c = 0; c < n_columns; c += kTileDepth, right += kPanelNumbers)
    for (int g = 0; g < 2 * block.n_pairs(); ++g) {
      const int64_t row = block.first + g * kTile;
      const int n = block.n_in_group(g);
      __m512i* out = reinterpret_cast<__m512i*>(right + g * kTileNumbers);
      for (int p = 0; p < kTile; ++p) {
        alignas(64) float value[2][kTile], slope_at[2][kTile];
        for (int i = 0; i < 2; ++i) {
          _mm512_store_ps(value[i], load_column(dy, row, n, c + 2 * p + i, n_columns));
          _mm512_store_ps(slope_at[i], load_column(y, row, n, c + 2 * p + i, n_columns));
          if (c + 2 * p + i < n_columns) times_slope(value[i], slope_at[i], activation);
        }
        _mm512_store_si512(out + p, to_bfloat16_pairs(_mm512_load_ps(value[0]), _mm512_load_ps(value[1])));
      }
    }
}

/// One tile of sums [16 outputs][16 samples] -> rows of a batch, columns first_column .. first_column+16.
T3D_BF16_INLINE void scatter_tile(const float* sums, const Rows<float>& to, int64_t row, int n,
                                  int first_column, int n_columns, float* square) {
  const int n_here = std::min(kTile, n_columns - first_column);
  if (is_pairs(to, n_columns)) {
    const __m512i front = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0),
                  back = _mm512_set_epi32(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8);
    for (int i = 0; i < n_here; i += 2) {
      float* pairs = to.data + row * 2 + (first_column + i) / 2 * to.group_stride;
      const __m512 even = _mm512_load_ps(sums + i * kTile), odd = _mm512_load_ps(sums + (i + 1) * kTile);
      _mm512_mask_storeu_ps(pairs, first_of_16(2 * n), _mm512_permutex2var_ps(even, front, odd));
      _mm512_mask_storeu_ps(pairs + 16, first_of_16(2 * n - 16), _mm512_permutex2var_ps(even, back, odd));
    }
  } else if (to.group >= n_columns && n_here > 2) {
    transpose16(sums, square);
    for (int s = 0; s < n; ++s)
      _mm512_mask_storeu_ps(to.data + (row + s) * to.row_stride + first_column, first_of_16(n_here),
                            _mm512_load_ps(square + s * kTile));
  } else {
    for (int i = 0; i < n_here; ++i) {
      float* column = column_start(to, row, first_column + i);
      for (int s = 0; s < n; ++s) column[s * to.row_stride] = sums[i * kTile + s];
    }
  }
}

/// Sums [rows 2][columns 2] of 32 outputs of 32 samples -> the next layer's inputs: ReLU, then right tiles.
struct KeepHidden {
  uint16_t* right;

  T3D_BF16_INLINE void operator()(const float* sums, int panel, int pair) const {
    uint16_t* tiles = right + panel * kPanelNumbers + 2 * pair * kTileNumbers;
    const __m512 zero = _mm512_setzero_ps();
    for (int part = 0; part < 4; ++part) {
      const float* from = sums + part * kTileSums;
      uint16_t* to = tiles + part % 2 * kTileNumbers + part / 2 * (kTileNumbers / 2);
#pragma GCC unroll 8
      for (int p = 0; p < 8; ++p)
        _mm512_store_si512(
            to + p * kTileDepth,
            to_bfloat16_pairs(_mm512_max_ps(_mm512_load_ps(from + 2 * p * kTile), zero),
                              _mm512_max_ps(_mm512_load_ps(from + (2 * p + 1) * kTile), zero)));
    }
  }
};

/// Sums of 32 gradients of 32 samples -> right and left tiles, zero where the activation (right tiles) is.
struct KeepGradient {
  const uint16_t* hidden;
  uint16_t *right, *left;

  T3D_BF16_INLINE void operator()(const float* sums, int panel, int pair) const {
    const int64_t at = panel * kPanelNumbers + 2 * pair * kTileNumbers;
    for (int row = 0; row < 2; ++row) {
      const int64_t half = at + row * (kTileNumbers / 2);
      uint16_t* to_left = left + ((2 * panel + row) * kPairs + pair) * kTileNumbers;
#pragma GCC unroll 8
      for (int p = 0; p < 8; ++p) {
        __m512i pairs[2];
#pragma GCC unroll 2
        for (int c = 0; c < 2; ++c) {
          const float* from = sums + (row * 2 + c) * kTileSums + 2 * p * kTile;
          const int64_t place = half + c * kTileNumbers + p * kTileDepth;
          const __m512i active = _mm512_load_si512(hidden + place);
          pairs[c] =
              _mm512_maskz_mov_epi16(_mm512_test_epi16_mask(active, active),
                                     to_bfloat16_pairs(_mm512_load_ps(from), _mm512_load_ps(from + kTile)));
          _mm512_store_si512(right + place, pairs[c]);
        }
        _mm512_store_si512(to_left + 2 * p * kTileDepth, even_words(pairs[0], pairs[1]));
        _mm512_store_si512(to_left + (2 * p + 1) * kTileDepth, odd_words(pairs[0], pairs[1]));
      }
    }
  }
};

/// Right tiles of 32 columns -> the same numbers as left tiles of them.
T3D_BF16_INLINE void left_from_right(const uint16_t* right, int n_pairs, uint16_t* left) {
  for (int pair = 0; pair < n_pairs; ++pair) {
    const __m512i* in = reinterpret_cast<const __m512i*>(right + 2 * pair * kTileNumbers);
    for (int p = 0; p < kTile; ++p) {
      __m512i* rows = reinterpret_cast<__m512i*>(left + (p / 8 * kPairs + pair) * kTileNumbers) + p % 8 * 2;
      const __m512i low = _mm512_load_si512(in + p), high = _mm512_load_si512(in + kTile + p);
      _mm512_store_si512(rows, even_words(low, high));
      _mm512_store_si512(rows + 1, odd_words(low, high));
    }
  }
}

/// Right tiles of 32 columns, [column pairs][samples][2] -> right tiles that sum over samples, [sample
/// pairs][columns][2], as [16 columns][32 samples]. Two samples of a column pair are 64 bits that only want
/// their middle halves exchanged; these are then transposed 8 by 8.
T3D_BF16_INLINE void by_samples(const uint16_t* right, int n_pairs, uint16_t* to) {
  const __m512i exchange =
      _mm512_broadcast_i32x4(_mm_set_epi8(15, 14, 11, 10, 13, 12, 9, 8, 7, 6, 3, 2, 5, 4, 1, 0));
  for (int g = 0; g < 2 * n_pairs; ++g)
    for (int t = 0; t < 2; ++t) {
      const __m128i* in = reinterpret_cast<const __m128i*>(right + g * kTileNumbers) + t * 8 * 4;
      __m512i* out = reinterpret_cast<__m512i*>(to + (t * kPairs + g / 2) * kTileNumbers) + g % 2 * 8;
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        __m512i z[2];
#pragma GCC unroll 2
        for (int i = 0; i < 2; ++i) {
          z[i] = _mm512_castsi128_si512(_mm_load_si128(in + 4 * i + j));
          z[i] = _mm512_inserti32x4(z[i], _mm_load_si128(in + 8 + 4 * i + j), 1);
          z[i] = _mm512_inserti32x4(z[i], _mm_load_si128(in + 16 + 4 * i + j), 2);
          z[i] = _mm512_inserti32x4(z[i], _mm_load_si128(in + 24 + 4 * i + j), 3);
          z[i] = _mm512_shuffle_epi8(z[i], exchange);
        }
        _mm512_store_si512(out + 2 * j, _mm512_unpacklo_epi64(z[0], z[1]));
        _mm512_store_si512(out + 2 * j + 1, _mm512_unpackhi_epi64(z[0], z[1]));
      }
    }
}

/// Keeps the sums of one step, if there was one.
template <class Keep>
struct KeepStep {
  const Keep& keep;
  float* sums;
  int panel = -1, pair = 0;
  T3D_BF16_INLINE void operator()() const {
    if (panel >= 0) keep(sums, panel, pair);
  }
};

/// n_tiles left tiles, each `depth` long, times right tiles, for all samples of the block, 32 by 32:
/// keep(sums, panel of two tiles, pair of groups). The tile unit works on the next 32 by 32 while the vector
/// units keep the last.
template <class Isa, class Keep>
T3D_BF16_INLINE void outputs(const uint16_t* left, int n_tiles, int depth, const uint16_t* right, int n_pairs,
                             float* sums, const Keep& keep) {
  KeepStep<Keep> before{keep, sums};
  for (int panel = 0; 2 * panel < n_tiles; ++panel) {
    const TileGrid a{left + int64_t{2} * panel * depth * kTileNumbers, depth, 1};
    for (int pair = 0; pair < n_pairs; ++pair) {
      const TileGrid b{right + 2 * pair * kTileNumbers, 1, kGroups};
      float* here = before.sums == sums ? sums + 4 * kTileSums : sums;
      if (2 * panel + 1 < n_tiles)
        Isa::template multiply<2, 2, false>(a, b, depth, {here, 2, 1}, before);
      else
        Isa::template multiply<1, 2, false>(a, b, depth, {here, 2, 1}, before);
      before.sums = here, before.panel = panel, before.pair = pair;
    }
  }
  before();
}

/// Sums of up to 32 outputs of 32 samples -> the activated outputs as rows of a batch.
struct KeepRows {
  const Block& block;
  int n_columns;
  Activation activation;
  const Rows<float>& to;
  float* square;

  T3D_BF16_INLINE void operator()(float* sums, int panel, int pair) const {
    for (int r = 0; r < std::min(2, in_16s(n_columns) - 2 * panel); ++r)
      for (int c = 0; c < 2; ++c) {
        float* tile = sums + (r * 2 + c) * kTileSums;
        const int first_column = (2 * panel + r) * kTile, g = 2 * pair + c;
        if (activation != Activation::None)
          for (int i = 0; i < std::min(kTile, n_columns - first_column); ++i)
            activate(tile + i * kTile, activation);
        scatter_tile(tile, to, block.first + g * kTile, block.n_in_group(g), first_column, n_columns, square);
      }
  }
};

/// x -> the hidden layers' activations.
template <class Isa>
T3D_BF16_INLINE void hidden_layers(const Bf16Network& network, const Rows<const float>& x, const Block& block,
                                   const Room& room) {
  gather(x, block, network.layers[0].n_in, room.square, room.x);
  const uint16_t* in = room.x;
  uint16_t* out = room.hidden;
  for (size_t l = 0; l + 1 < network.layers.size(); ++l) {
    const Bf16Layer& layer = network.layers[l];
    outputs<Isa>(layer.forward, 2 * in_32s(layer.n_out), in_32s(layer.n_in), in, block.n_pairs(), room.sums,
                 KeepHidden{out});
    in = out;
    out += room.hidden_step;
  }
}

template <class Isa>
T3D_BF16_INLINE void forward(const Bf16Network& network, const Rows<const float>& x, int64_t begin,
                             int64_t end, const Rows<float>& y, void* workspace) {
  const Room room(network.layers, workspace);
  Isa::begin();
  const Bf16Layer& last = network.layers.back();
  const uint16_t* in = room.hidden + (static_cast<int64_t>(network.layers.size()) - 2) * room.hidden_step;
  for (int64_t first = begin; first < end; first += kBf16BlockRows) {
    const Block block{first, static_cast<int>(std::min<int64_t>(kBf16BlockRows, end - first))};
    hidden_layers<Isa>(network, x, block, room);
    outputs<Isa>(last.forward, in_16s(last.n_out), in_32s(last.n_in), in, block.n_pairs(), room.sums,
                 KeepRows{block, last.n_out, network.activation, y, room.square});
  }
  Isa::end();
}

/// to [n_out in 16s][n_in in 16s, even] = or += gradient_left times the inputs `in` of this layer.
template <class Isa, bool kAdd>
T3D_BF16_INLINE void weight_gradient(const Bf16Layer& layer, const uint16_t* in, int n_pairs,
                                     const Room& room, float* to) {
  const int n_rows = in_16s(layer.n_out), n_columns = 2 * in_32s(layer.n_in);
  const TileGrid inputs{room.inputs_by_samples, kPairs, 1};
  for (int c = 0; c < n_columns; c += 2) {
    for (int r = 0; r < n_rows; ++r)  // tiles are slow to store where the cache does not have the line
      for (int i = 0; i < 2 * kTileSums; i += 16)
        __builtin_prefetch(to + (r * n_columns + c) * kTileSums + i, 1, 3);
    by_samples(in + c / 2 * kPanelNumbers, n_pairs, room.inputs_by_samples);
    for (int r = 0; r < n_rows; r += 2) {
      const TileGrid gradients{room.gradient_left + r * kPairs * kTileNumbers, kPairs, 1};
      const SumGrid sums{to + (r * n_columns + c) * kTileSums, n_columns, 1};
      if (r + 1 < n_rows)
        Isa::template multiply<2, 2, kAdd>(gradients, inputs, n_pairs, sums, NoWork{});
      else
        Isa::template multiply<1, 2, kAdd>(gradients, inputs, n_pairs, sums, NoWork{});
    }
  }
}

template <class Isa>
T3D_BF16_INLINE void backward(const Bf16Network& network, const Rows<const float>& x, int64_t begin,
                              int64_t end, const Rows<const float>& y, const Rows<const float>& dy,
                              const Rows<float>& dx, float* gradient, void* workspace) {
  const Room room(network.layers, workspace);
  Isa::begin();
  for (int64_t first = begin; first < end; first += kBf16BlockRows) {
    const Block block{first, static_cast<int>(std::min<int64_t>(kBf16BlockRows, end - first))};
    const int n_pairs = block.n_pairs(), n_out = network.layers.back().n_out;
    hidden_layers<Isa>(network, x, block, room);
    uint16_t *above = room.gradient[0], *below = room.gradient[1];
    gather_output_gradient(y, dy, block, n_out, network.activation, room.square, above);
    for (int p = 0; p < in_32s(n_out); ++p)
      left_from_right(above + p * kPanelNumbers, n_pairs, room.gradient_left + 2 * p * kPairs * kTileNumbers);
    for (int l = static_cast<int>(network.layers.size()) - 1; l >= 0; --l) {
      const Bf16Layer& layer = network.layers[l];
      const uint16_t* in = l == 0 ? room.x : room.hidden + (l - 1) * room.hidden_step;
      if (gradient != nullptr && first == begin)
        weight_gradient<Isa, false>(layer, in, n_pairs, room, gradient + layer.gradient);
      else if (gradient != nullptr)
        weight_gradient<Isa, true>(layer, in, n_pairs, room, gradient + layer.gradient);
      const int depth = in_32s(layer.n_out);
      if (l > 0) {
        outputs<Isa>(layer.backward, 2 * in_32s(layer.n_in), depth, above, n_pairs, room.sums,
                     KeepGradient{in, below, room.gradient_left});
        std::swap(above, below);
      } else if (dx.data != nullptr) {
        outputs<Isa>(layer.backward, in_16s(layer.n_in), depth, above, n_pairs, room.sums,
                     KeepRows{block, layer.n_in, Activation::None, dx, room.square});
      }
    }
  }
  Isa::end();
}

T3D_TARGET_BF16 void forward_amx(const Bf16Network& network, Rows<const float> x, int64_t begin, int64_t end,
                                 Rows<float> y, void* workspace) {
  forward<AmxTileProducts>(network, x, begin, end, y, workspace);
}
T3D_TARGET_BF16 void backward_amx(const Bf16Network& network, Rows<const float> x, int64_t begin, int64_t end,
                                  Rows<const float> y, Rows<const float> dy, Rows<float> dx, float* gradient,
                                  void* workspace) {
  backward<AmxTileProducts>(network, x, begin, end, y, dy, dx, gradient, workspace);
}
T3D_TARGET_BF16 void forward_avx512(const Bf16Network& network, Rows<const float> x, int64_t begin,
                                    int64_t end, Rows<float> y, void* workspace) {
  forward<Avx512TileProducts>(network, x, begin, end, y, workspace);
}
T3D_TARGET_BF16 void backward_avx512(const Bf16Network& network, Rows<const float> x, int64_t begin,
                                     int64_t end, Rows<const float> y, Rows<const float> dy, Rows<float> dx,
                                     float* gradient, void* workspace) {
  backward<Avx512TileProducts>(network, x, begin, end, y, dy, dx, gradient, workspace);
}

}  // namespace

Bf16Kernels bf16_kernels() {
  switch (matrix_unit()) {
    case MatrixUnit::Amx:
      return {forward_amx, backward_amx};
    case MatrixUnit::Avx512:
      return {forward_avx512, backward_avx512};
    default:
      return {};
  }
}

int64_t bf16_workspace_bytes(const std::vector<Bf16Layer>& layers) {
  return Room(layers, nullptr).bytes;
}

#else

Bf16Kernels bf16_kernels() {
  return {};
}
int64_t bf16_workspace_bytes(const std::vector<Bf16Layer>&) {
  return 0;
}

#endif

}  // namespace t3d::ops::cpu
