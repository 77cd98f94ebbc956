#include "t3d/ops/hash_grid.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <omp.h>
#include <sys/mman.h>
#include <torch/csrc/autograd/autograd.h>
#include <unistd.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "t3d/core/error.h"
#include "t3d/ops/hash_grid_reference.h"
#include "t3d/ops/simd.h"

namespace t3d::ops {
namespace {

HashGridConfig small_config(int n_dims, int n_features, Interpolation interpolation) {
  HashGridConfig c;
  c.n_dims = n_dims;
  c.n_levels = 5;
  c.n_features = n_features;
  c.log2_table = 9;
  c.base_resolution = 4;
  c.per_level_scale = 1.7;
  c.interpolation = interpolation;
  return c;
}

std::vector<float> uniform_floats(int64_t n, float low, float high, int seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> draw(low, high);
  std::vector<float> out(n);
  for (float& v : out) v = draw(engine);
  return out;
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double worst = 0, size = 1e-30;
  for (size_t i = 0; i < a.size(); ++i) {
    worst = std::max<double>(worst, std::abs(a[i] - b[i]));
    size = std::max<double>(size, std::abs(b[i]));
  }
  return worst / size;
}

TEST(HashGridLayout, ThreestudioNumbersAreReproduced) {
  const HashGridLayout layout = HashGridLayout::make({});
  const std::vector<uint32_t> resolutions = {16,  24,  34,  49,  71,   102,  148,  213,
                                             308, 446, 646, 934, 1352, 1956, 2831, 4096};
  const std::vector<uint32_t> entries = {4096, 13824, 39304, 117656, 357912};
  for (size_t l = 0; l < 16; ++l) {
    EXPECT_EQ(layout.levels[l].resolution, resolutions[l]);
    EXPECT_EQ(layout.levels[l].n_entries, l < entries.size() ? entries[l] : 524288u);
    EXPECT_EQ(layout.levels[l].is_dense, l < entries.size());
  }
  const std::vector<float> scales = {15.f, 22.1563f, 32.5134f, 47.5029f, 69.1968f, 100.5937f};
  for (size_t l = 0; l < scales.size(); ++l) EXPECT_NEAR(layout.levels[l].scale, scales[l], 1e-4);
  EXPECT_NEAR(layout.levels[15].scale, 4095.f, 0.01f);
  EXPECT_EQ(layout.n_entries(), 6299960);
  EXPECT_EQ(layout.n_params(), 12599920);
}

TEST(HashGridLayout, RoundGrowthFactorsFollowFloat32AndStoredLengthsTellTheRest) {
  HashGridConfig config;
  config.per_level_scale = std::exp2(6.0 / 15);  // 64^(1/15)
  const HashGridLayout layout = HashGridLayout::make(config);
  EXPECT_EQ(layout.levels[5].resolution, 65u);
  EXPECT_EQ(layout.levels[10].resolution, 257u);
  EXPECT_EQ(layout.levels[15].resolution, 1025u);
  EXPECT_EQ(layout.n_params(), 11445040);
  EXPECT_EQ(HashGridLayout::for_stored(config, 11445040, "x").levels[5].resolution, 65u);
  const HashGridLayout exact = HashGridLayout::for_stored(config, 11420064, "x");
  EXPECT_EQ(exact.levels[5].resolution, 64u);
  EXPECT_EQ(exact.levels[10].resolution, 256u);
  EXPECT_EQ(exact.levels[15].resolution, 1024u);
  EXPECT_THROW(HashGridLayout::for_stored(config, 11420065, "grid.safetensors"), UserError);
}

TEST(HashGridLayout, AnotherTableSizeIsFoundFromTheStoredLength) {
  HashGridConfig wide;
  wide.log2_table = 21;
  const int64_t n = HashGridLayout::make(wide).n_params();
  EXPECT_EQ(HashGridLayout::for_stored({}, n, "x").config.log2_table, 21);
}

TEST(HashGridLayout, ValuesOutOfRangeAreRefused) {
  for (const auto& change : std::vector<void (*)(HashGridConfig&)>{
           [](HashGridConfig& c) { c.n_dims = 5; }, [](HashGridConfig& c) { c.n_features = 3; },
           [](HashGridConfig& c) { c.n_levels = 0; }, [](HashGridConfig& c) { c.log2_table = 40; },
           [](HashGridConfig& c) {
             c.per_level_scale = 4;
             c.n_levels = 32;
           },
           [](HashGridConfig& c) { c.per_level_scale = std::nan(""); }}) {
    HashGridConfig config;
    change(config);
    EXPECT_THROW(HashGridLayout::make(config), UserError);
  }
}

TEST(HashGrid, HashOfFixedCoordinates) {
  const HashGridLevel level{0, 4096, 1u << 19, 0, false};
  EXPECT_EQ(reference::entry_of(level, 3, {0, 0, 0, 0}), 0u);
  EXPECT_EQ(reference::entry_of(level, 3, {7, 0, 0, 0}), 7u);
  EXPECT_EQ(reference::entry_of(level, 3, {0, 1, 0, 0}), 2654435761u % (1u << 19));
  EXPECT_EQ(reference::entry_of(level, 3, {1, 2, 3, 0}),
            (1u ^ (2u * 2654435761u) ^ (3u * 805459861u)) % (1u << 19));
  const HashGridLevel dense{0, 5, 128, 0, true};
  EXPECT_EQ(reference::entry_of(dense, 3, {1, 2, 3, 0}), 86u);
}

/// Every combination of dimensions, features and interpolation, each with portable code and with the CPU's
/// best.
class HashGridKernels : public ::testing::TestWithParam<std::tuple<int, int, Interpolation, Simd>> {
 protected:
  void SetUp() override {
    const auto [n_dims, n_features, interpolation, level] = GetParam();
    before_ = simd();
    set_simd(level);
    layout_ = HashGridLayout::make(small_config(n_dims, n_features, interpolation));
    x_ = uniform_floats(kSamples * n_dims, 0.f, 1.f, 1);
    x_[0] = 0.f;
    x_[1] = 1.f;  // the far face, whose upper vertices wrap around
    params_ = uniform_floats(layout_.n_params(), -1.f, 1.f, 2);
    dy_ = uniform_floats(kSamples * layout_.n_outputs(), -1.f, 1.f, 3);
  }
  void TearDown() override { set_simd(before_); }

  static constexpr int64_t kSamples = 301;
  Simd before_;
  HashGridLayout layout_;
  std::vector<float> x_, params_, dy_;
};

TEST_P(HashGridKernels, ForwardMatchesReferenceInBothOrders) {
  const int n_out = layout_.n_outputs(), n_dims = layout_.config.n_dims, f = layout_.config.n_features;
  std::vector<float> expected(kSamples * n_out), y(kSamples * (n_out + 3), -7.f), levels(expected.size());
  reference::hash_grid_forward(layout_, params_.data(), x_.data(), kSamples, expected.data(), 4);
  cpu::hash_grid_forward(layout_, params_.data(), x_.data(), n_dims, kSamples,
                         rows(y.data() + 1, n_out, n_out + 3), 4);
  cpu::hash_grid_forward(layout_, params_.data(), x_.data(), n_dims, kSamples,
                         level_rows(levels.data(), kSamples, f), 4);
  std::vector<float> packed(expected.size()), unpacked(expected.size());
  for (int64_t i = 0; i < kSamples; ++i) {
    EXPECT_EQ(y[i * (n_out + 3)], -7.f);
    EXPECT_EQ(y[i * (n_out + 3) + n_out + 1], -7.f);
    for (int k = 0; k < n_out; ++k) {
      packed[i * n_out + k] = y[i * (n_out + 3) + 1 + k];
      unpacked[i * n_out + k] = levels[k / f * kSamples * f + i * f + k % f];
    }
  }
  EXPECT_LT(largest_difference(packed, expected), 1e-5);
  EXPECT_EQ(packed, unpacked);
}

TEST_P(HashGridKernels, GradientsMatchReference) {
  const int n_out = layout_.n_outputs(), n_dims = layout_.config.n_dims;
  std::vector<float> expected(layout_.n_params(), 0.5f), dparams(layout_.n_params(), 0.5f);
  reference::hash_grid_backward_params(layout_, x_.data(), kSamples, dy_.data(), expected.data(), 4);
  cpu::hash_grid_backward_params(layout_, x_.data(), n_dims, kSamples, rows<const float>(dy_.data(), n_out),
                                 dparams.data(), 4);
  EXPECT_LT(largest_difference(dparams, expected), 1e-5);

  std::vector<float> expected_dx(x_.size()), dx(x_.size(), -7.f);
  reference::hash_grid_backward_input(layout_, params_.data(), x_.data(), kSamples, dy_.data(),
                                      expected_dx.data());
  cpu::hash_grid_backward_input(layout_, params_.data(), x_.data(), n_dims, kSamples,
                                rows<const float>(dy_.data(), n_out), dx.data(), n_dims);
  EXPECT_LT(largest_difference(dx, expected_dx), 1e-4);
}

TEST_P(HashGridKernels, SecondGradientsMatchReference) {
  const int n_out = layout_.n_outputs(), n_dims = layout_.config.n_dims;
  const std::vector<float> v = uniform_floats(kSamples * n_dims, -1.f, 1.f, 4);
  std::vector<float> ddy(dy_.size()), ddy2(dy_.size()), dp(params_.size()), dp2(params_.size()),
      dx(x_.size()), dx2(x_.size());
  reference::hash_grid_backward_backward_input(layout_, params_.data(), x_.data(), kSamples, dy_.data(),
                                               v.data(), ddy.data(), dp.data(), dx.data());
  cpu::hash_grid_backward_backward_input(layout_, params_.data(), x_.data(), n_dims, kSamples,
                                         rows<const float>(dy_.data(), n_out), v.data(), n_dims,
                                         rows(ddy2.data(), n_out), dp2.data(), dx2.data(), n_dims);
  EXPECT_LT(largest_difference(ddy2, ddy), 1e-5);
  EXPECT_LT(largest_difference(dp2, dp), 1e-5);
  EXPECT_LT(largest_difference(dx2, dx), 1e-5);
}

/// Numbers that touch a page which nobody may read or write, behind their end or before their begin: what
/// leaves them ends the test program.
class FencedFloats {
 public:
  enum class Fence { Behind, Before };
  FencedFloats(const std::vector<float>& values, Fence fence) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t n_bytes = values.size() * sizeof(float), held = (n_bytes + page - 1) / page * page;
    length_ = held + 2 * page;
    pages_ = mmap(nullptr, length_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    T3D_CHECK(pages_ != MAP_FAILED, "no memory for ", length_, " bytes");
    char* inside = static_cast<char*>(pages_) + page;
    T3D_CHECK(mprotect(inside, held, PROT_READ | PROT_WRITE) == 0, "no rights for ", held, " bytes");
    data_ = reinterpret_cast<float*>(fence == Fence::Before ? inside : inside + held - n_bytes);
    std::copy(values.begin(), values.end(), data_);
  }
  ~FencedFloats() { munmap(pages_, length_); }
  FencedFloats(const FencedFloats&) = delete;
  FencedFloats& operator=(const FencedFloats&) = delete;
  float* data() const { return data_; }

 private:
  void* pages_;
  size_t length_;
  float* data_;
};

TEST_P(HashGridKernels, AnyPositionStaysInsideTheTables) {
  constexpr int64_t kSame = 40;
  const int n_out = layout_.n_outputs(), n_dims = layout_.config.n_dims, n_levels = layout_.config.n_levels;
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> ones(kSame * n_out, 1.f), zeros(layout_.n_params());
  for (const auto fence : {FencedFloats::Fence::Behind, FencedFloats::Fence::Before})
    for (float value : {-1.f, 2.f, -1e9f, 1e20f, inf, -inf, std::nanf("")}) {
      SCOPED_TRACE(value);
      const FencedFloats params(params_, fence), dparams(zeros, fence);
      std::vector<float> x(kSame * n_dims, value), y(kSame * n_out), dx(x.size());
      cpu::hash_grid_forward(layout_, params.data(), x.data(), n_dims, kSame, rows(y.data(), n_out));
      cpu::hash_grid_backward_params(layout_, x.data(), n_dims, kSame, rows<const float>(ones.data(), n_out),
                                     dparams.data());
      cpu::hash_grid_backward_input(layout_, params.data(), x.data(), n_dims, kSame,
                                    rows<const float>(ones.data(), n_out), dx.data(), n_dims);
      for (int64_t i = 1; i < kSame; ++i)  // every lane of a block, its rest too, does the same
        for (int k = 0; k < n_out; ++k)
          ASSERT_TRUE(y[i * n_out + k] == y[k] || (std::isnan(y[i * n_out + k]) && std::isnan(y[k])));
      // Further out, and for what is no number, weights are none: a large number minus its cell's.
      if (!(std::abs(value) <= 2)) continue;
      std::vector<float> expected(y.size()), expected_dx(x.size());
      reference::hash_grid_forward(layout_, params_.data(), x.data(), kSame, expected.data());
      reference::hash_grid_backward_input(layout_, params_.data(), x.data(), kSame, ones.data(),
                                          expected_dx.data());
      EXPECT_LT(largest_difference(y, expected), 1e-5) << "values outside [0,1] wrap around";
      EXPECT_LT(largest_difference(dx, expected_dx), 1e-4);
      const double sum = std::accumulate(dparams.data(), dparams.data() + layout_.n_params(), 0.0);
      EXPECT_NEAR(sum, kSame * n_levels * layout_.config.n_features, 1e-2) << "weights of a level sum to 1";
    }
}

INSTANTIATE_TEST_SUITE_P(All, HashGridKernels,
                         ::testing::Combine(::testing::Values(2, 3, 4), ::testing::Values(1, 2, 4, 8),
                                            ::testing::Values(Interpolation::Linear,
                                                              Interpolation::Smoothstep),
                                            ::testing::Values(Simd::Portable, Simd::Avx512)));

TEST(HashGrid, ResultsDoNotDependOnTheNumberOfThreads) {
  const HashGridLayout layout = HashGridLayout::make(small_config(3, 2, Interpolation::Linear));
  const int64_t n = 9001;
  const int threads = omp_get_max_threads();
  const auto x = uniform_floats(n * 3, 0.f, 1.f, 1), params = uniform_floats(layout.n_params(), -1.f, 1.f, 2);
  std::vector<std::vector<float>> results;
  for (int t : {1, 3}) {
    omp_set_num_threads(t);
    std::vector<float> y(n * layout.n_outputs()), dparams(layout.n_params());
    cpu::hash_grid_forward(layout, params.data(), x.data(), 3, n, rows(y.data(), layout.n_outputs()));
    cpu::hash_grid_backward_params(layout, x.data(), 3, n, rows<const float>(y.data(), layout.n_outputs()),
                                   dparams.data());
    y.insert(y.end(), dparams.begin(), dparams.end());
    results.push_back(y);
  }
  omp_set_num_threads(threads);
  EXPECT_EQ(results[0], results[1]);
}

at::Tensor uniform_tensor(at::IntArrayRef sizes, int seed, at::ScalarType type) {
  at::Tensor out = at::empty(sizes, at::kFloat);
  const auto values = uniform_floats(out.numel(), 0.02f, 0.98f, seed);
  std::copy(values.begin(), values.end(), out.data_ptr<float>());
  return out.to(type);
}

/// Largest relative difference between the gradient of `f` and central differences along random directions.
double finite_difference_error(const std::function<at::Tensor(const at::Tensor&)>& f,
                               const at::Tensor& at_point) {
  at::Tensor point = at_point.clone().set_requires_grad(true);
  const at::Tensor gradient = torch::autograd::grad({f(point)}, {point})[0];
  double worst = 0;
  for (int seed = 0; seed < 4; ++seed) {
    const at::Tensor way = uniform_tensor(point.sizes(), 100 + seed, at::kDouble) - 0.5;
    const double h = 1e-6;
    const at::Tensor p = point.detach();
    const double slope = ((f(p + way * h) - f(p - way * h)) / (2 * h)).item<double>();
    const double expected = (gradient * way).sum().item<double>();
    worst = std::max(worst, std::abs(slope - expected) / std::max(1e-3, std::abs(expected)));
  }
  return worst;
}

TEST(HashGrid, GradientsInDoubleMatchFiniteDifferences) {
  for (Interpolation interpolation : {Interpolation::Linear, Interpolation::Smoothstep}) {
    const HashGridLayout layout = HashGridLayout::make(small_config(3, 2, interpolation));
    const at::Tensor x = uniform_tensor({6, 3}, 1, at::kDouble),
                     params = uniform_tensor({layout.n_params()}, 2, at::kDouble);
    const at::Tensor dy = uniform_tensor({6, layout.n_outputs()}, 3, at::kDouble);
    EXPECT_LT(finite_difference_error(
                  [&](const at::Tensor& p) { return (hash_grid_encode(x, p, layout) * dy).sum(); }, params),
              1e-6);
    EXPECT_LT(finite_difference_error(
                  [&](const at::Tensor& p) { return (hash_grid_encode(p, params, layout) * dy).sum(); }, x),
              1e-5);
  }
}

TEST(HashGrid, SecondGradientsInDoubleMatchFiniteDifferences) {
  const HashGridLayout layout = HashGridLayout::make(small_config(3, 2, Interpolation::Smoothstep));
  const at::Tensor x0 = uniform_tensor({6, 3}, 1, at::kDouble),
                   params0 = uniform_tensor({layout.n_params()}, 2, at::kDouble);
  const at::Tensor dy0 = uniform_tensor({6, layout.n_outputs()}, 3, at::kDouble),
                   v = uniform_tensor({6, 3}, 4, at::kDouble);
  // A loss on the encoding's own gradient, as analytic normals give.
  const auto loss = [&](const at::Tensor& x, const at::Tensor& params, const at::Tensor& dy) {
    at::Tensor at_x = x.requires_grad() ? x : x.clone().set_requires_grad(true);
    const at::Tensor y = (at::sin(hash_grid_encode(at_x, params, layout)) * dy).sum();
    const at::Tensor normal = torch::autograd::grad({y}, {at_x}, {}, c10::nullopt, /*create_graph=*/true)[0];
    return (at::tanh(normal * 0.1) * v).sum();
  };
  EXPECT_LT(finite_difference_error([&](const at::Tensor& p) { return loss(p, params0, dy0); }, x0), 1e-4);
  EXPECT_LT(finite_difference_error([&](const at::Tensor& p) { return loss(x0, p, dy0); }, params0), 1e-5);
  EXPECT_LT(finite_difference_error([&](const at::Tensor& p) { return loss(x0, params0, p); }, dy0), 1e-5);
}

TEST(HashGrid, FloatAndDoubleAgreeThroughAutogradTwice) {
  const HashGridLayout layout = HashGridLayout::make(small_config(3, 4, Interpolation::Smoothstep));
  std::vector<at::Tensor> results[2];
  for (int k = 0; k < 2; ++k) {
    const at::ScalarType type = k == 0 ? at::kFloat : at::kDouble;
    at::Tensor x = uniform_tensor({50, 3}, 1, type).set_requires_grad(true);
    at::Tensor params = uniform_tensor({layout.n_params()}, 2, type).set_requires_grad(true);
    const at::Tensor y = hash_grid_encode(x, params, layout, 4);
    const at::Tensor g = torch::autograd::grad({y.square().sum()}, {x}, {}, c10::nullopt, true)[0];
    results[k] = torch::autograd::grad({g.square().sum()}, {x, params});
  }
  for (int i = 0; i < 2; ++i) {
    const at::Tensor a = results[0][i].to(at::kDouble), b = results[1][i];
    EXPECT_LT(((a - b).abs().max() / b.abs().max()).item<double>(), 1e-4);
  }
}

TEST(HashGrid, MaskedLevelsGiveZerosAndNoGradient) {
  const HashGridLayout layout = HashGridLayout::make(small_config(3, 2, Interpolation::Linear));
  const at::Tensor x = uniform_tensor({20, 3}, 1, at::kFloat);
  at::Tensor params = uniform_tensor({layout.n_params()}, 2, at::kFloat).set_requires_grad(true);
  const at::Tensor y = hash_grid_encode(x, params, layout, 2);
  EXPECT_GT(y.slice(1, 0, 4).abs().min().item<float>(), 0.f);
  EXPECT_EQ(y.slice(1, 4).abs().max().item<float>(), 0.f);
  const at::Tensor g = torch::autograd::grad({y.sum()}, {params})[0];
  const int64_t first = int64_t{layout.levels[2].first_entry} * 2;
  EXPECT_GT(g.slice(0, 0, first).abs().max().item<float>(), 0.f);
  EXPECT_EQ(g.slice(0, first).abs().max().item<float>(), 0.f);
}

TEST(HashGrid, ProgressiveBandOpensLevelsByStep) {
  const ProgressiveBand band{4, 2000, 500};
  EXPECT_EQ(band.levels_at(0, 16), 4);
  EXPECT_EQ(band.levels_at(2499, 16), 4);
  EXPECT_EQ(band.levels_at(2500, 16), 5);
  EXPECT_EQ(band.levels_at(1000000, 16), 16);
}

TEST(HashGrid, InitialValuesAreSmallUniformAndRepeatable) {
  const HashGridLayout layout = HashGridLayout::make(small_config(3, 2, Interpolation::Linear));
  const at::Tensor a = hash_grid_init(layout, 7), b = hash_grid_init(layout, 7),
                   c = hash_grid_init(layout, 8);
  EXPECT_TRUE(a.equal(b));
  EXPECT_FALSE(a.equal(c));
  EXPECT_LE(a.abs().max().item<float>(), 1e-4f);
  EXPECT_NEAR(a.std().item<float>(), 1e-4 / std::sqrt(3.0), 2e-6);
}

TEST(HashGrid, WrongShapesAreNamed) {
  const HashGridLayout layout = HashGridLayout::make({});
  EXPECT_THROW(hash_grid_encode(at::zeros({4, 2}), at::zeros({layout.n_params()}), layout), BugError);
  EXPECT_THROW(hash_grid_encode(at::zeros({4, 3}), at::zeros({5}), layout), BugError);
}

}  // namespace
}  // namespace t3d::ops
