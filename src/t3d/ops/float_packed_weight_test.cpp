#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "t3d/ops/group_norm.h"
#include "t3d/ops/packed_gradient.h"
#include "t3d/ops/packed_weight.h"
#include "t3d/ops/simd.h"
#include "tests/support/every_simd.h"

namespace t3d::ops {
namespace {

/// What sums of some thousand products in single precision may be off, as the norm of the error over the norm.
constexpr double kSingle = 1e-6;

double error_of(const at::Tensor& found, const at::Tensor& truth) {
  return ((found.to(at::kDouble) - truth).norm() / truth.norm()).item<double>();
}

at::Tensor in_double(const at::Tensor& x) {
  return x.to(at::kDouble);
}

class FloatPackedWeights : public testing::EverySimd {
 protected:
  void SetUp() override {
    at::manual_seed(5);
    EverySimd::SetUp();
  }
};

TEST_P(FloatPackedWeights, AreGivenBackToTheBit) {
  for (const std::vector<int64_t>& shape :
       std::vector<std::vector<int64_t>>{{32, 32}, {5, 7}, {64, 100}, {33, 3, 3, 3}, {4, 70, 1, 1}, {1, 1}}) {
    const auto weight = at::randn(shape);
    EXPECT_TRUE(PackedWeight(weight, {}).weight().equal(weight)) << weight.sizes();
  }
  const auto paired = at::randn({96, 40});
  EXPECT_TRUE(PackedWeight(paired, {}, PackedWeight::Order::Gated).weight().equal(paired));
}

TEST_P(FloatPackedWeights, LinearFollowsTheDefinitionAtOddSizes) {
  struct Sizes {
    int64_t rows, in, out;
  };
  for (const Sizes& s : {Sizes{32, 32, 32},
                         {1, 16, 5},
                         {154, 1024, 320},
                         {47, 33, 70},
                         {600, 640, 33},
                         {1100, 64, 96},
                         {9, 1, 1},
                         {8, 5000, 17}}) {
    const auto x = at::randn({s.rows, s.in}), w = at::randn({s.out, s.in}), b = at::randn({s.out});
    const auto residual = at::randn({s.rows, s.out});
    const auto truth = at::linear(in_double(x), in_double(w), in_double(b));
    const auto label = ::testing::Message() << s.rows << " x " << s.in << " x " << s.out;
    EXPECT_LT(error_of(PackedWeight(w, b).linear(x), truth), kSingle) << label;
    EXPECT_LT(error_of(PackedWeight(w, b).linear(x, residual), truth + in_double(residual)), kSingle) << label;
    EXPECT_LT(error_of(PackedWeight(w, {}).linear(x.view({1, s.rows, s.in})),
                       at::linear(in_double(x), in_double(w)).unsqueeze(0)),
              kSingle)
        << label;
    const auto strided = at::randn({s.in, s.rows}).t();
    EXPECT_LT(error_of(PackedWeight(w, {}).linear(strided), at::linear(in_double(strided), in_double(w))),
              kSingle)
        << label;
  }
}

TEST_P(FloatPackedWeights, GatedIsTheFirstHalfTimesTheGeluOfTheSecond) {
  for (const auto& [rows, in, out] : {std::array<int64_t, 3>{70, 64, 96}, {3, 40, 32}, {130, 31, 640}}) {
    const auto x = at::randn({2, rows, in}), w = at::randn({out, in}) * 0.3, b = at::randn({out});
    const auto halves = at::linear(in_double(x), in_double(w), in_double(b)).chunk(2, -1);
    const auto found = PackedWeight(w, b, PackedWeight::Order::Gated).gated(x);
    EXPECT_LT(error_of(found, halves[0] * at::gelu(halves[1])), kSingle);
  }
}

struct FloatConvolution {
  int64_t items, in, out, height, width, kernel, stride, padding, more_behind;
};

const std::vector<FloatConvolution>& convolutions() {
  static const std::vector<FloatConvolution> all{
      {2, 32, 32, 16, 16, 3, 1, 1, 0}, {1, 4, 64, 20, 33, 3, 1, 1, 0},  {2, 64, 4, 8, 8, 3, 1, 1, 0},
      {3, 40, 50, 5, 7, 3, 1, 1, 0},   {2, 32, 64, 32, 32, 3, 2, 1, 0}, {1, 32, 32, 17, 9, 3, 2, 0, 1},
      {2, 96, 32, 6, 6, 1, 1, 0, 0},   {1, 32, 40, 1, 1, 3, 1, 1, 0},   {1, 33, 8, 40, 47, 3, 2, 1, 0},
      {2, 3, 7, 30, 19, 3, 1, 1, 0},   {1, 128, 65, 9, 24, 3, 1, 1, 0}, {2, 24, 33, 20, 9, 3, 1, 0, 1},
      {1, 8, 3, 12, 12, 5, 1, 2, 0},   {2, 16, 24, 9, 8, 4, 2, 1, 0},   {1, 32, 32, 8, 9, 2, 2, 0, 0},
      {2, 40, 32, 9, 20, 3, 2, 0, 1}};
  return all;
}

/// Such as take the way of fewer multiplications (float_winograd_kernels.h).
const std::vector<FloatConvolution>& large_convolutions() {
  static const std::vector<FloatConvolution> all{
      {1, 32, 32, 32, 32, 3, 1, 1, 0}, {2, 16, 3, 24, 28, 3, 1, 1, 0},   {3, 50, 70, 24, 16, 3, 1, 1, 0},
      {1, 160, 33, 32, 32, 3, 1, 1, 0}, {1, 65, 96, 34, 38, 3, 1, 0, 2}, {9, 128, 17, 12, 12, 3, 1, 1, 0},
      {1, 24, 40, 36, 40, 3, 1, 0, 0},  {1, 20, 8, 40, 32, 3, 1, 2, 0}};
  return all;
}

at::Tensor by_definition(const FloatConvolution& c, const at::Tensor& x, const at::Tensor& w,
                         const at::Tensor& b) {
  return at::conv2d(at::constant_pad_nd(x, {0, c.more_behind, 0, c.more_behind}), w, b, c.stride, c.padding);
}

std::string name_of(const FloatConvolution& c) {
  return (::testing::Message() << c.items << " x " << c.in << " to " << c.out << ", " << c.height << " x "
                               << c.width << ", kernel " << c.kernel << ", stride " << c.stride << ", padding "
                               << c.padding << " + " << c.more_behind)
      .GetString();
}

void expect_convolution_and_gradient(const std::vector<FloatConvolution>& cases, double bound) {
  for (const FloatConvolution& c : cases) {
    const auto w = at::randn({c.out, c.in, c.kernel, c.kernel}), b = at::randn({c.out});
    auto x = at::randn({c.items, c.in, c.height, c.width}).requires_grad_();
    const auto wide = in_double(x.detach()).requires_grad_();
    const auto truth = by_definition(c, wide, in_double(w), in_double(b));
    const auto packed = std::make_shared<const PackedWeight>(w, b);
    const Padding padding(c.padding, c.padding + c.more_behind);
    const auto found = packed->convolution(x.detach(), c.stride, padding, {});
    ASSERT_EQ(found.sizes(), truth.sizes()) << name_of(c);
    EXPECT_LT(error_of(found, truth.detach()), bound) << name_of(c);

    PackedWeight::Extra extra;
    extra.item_bias = at::randn({c.items, c.out});
    extra.residual = at::randn(truth.sizes()).requires_grad_();
    const auto y = packed_convolution(packed, x, c.stride, padding, extra);
    const auto sum =
        truth + in_double(extra.item_bias).view({c.items, c.out, 1, 1}) + in_double(extra.residual.detach());
    EXPECT_LT(error_of(y.detach(), sum.detach()), bound) << name_of(c);
    const auto dy = at::randn(truth.sizes());
    const auto of = torch::autograd::grad({y}, {x, extra.residual}, {dy});
    EXPECT_LT(error_of(of[0], torch::autograd::grad({truth}, {wide}, {in_double(dy)})[0]), bound)
        << name_of(c);
    EXPECT_TRUE(of[1].equal(dy)) << name_of(c);
    // As LibTorch has it in the same precision.
    const auto of_torch =
        torch::autograd::grad({by_definition(c, x, w, b)}, std::vector<at::Tensor>{x}, {dy})[0];
    EXPECT_LT(error_of(of[0], in_double(of_torch)), 2 * bound) << name_of(c);
  }
}

TEST_P(FloatPackedWeights, ConvolutionAndItsInputGradientFollowTheDefinition) {
  expect_convolution_and_gradient(convolutions(), kSingle);
}

TEST_P(FloatPackedWeights, ConvolutionWithFewerMultiplicationsDoesToo) {
  // Its maps cost two to four times the rounding.
  expect_convolution_and_gradient(large_convolutions(), 4 * kSingle);
}

TEST_P(FloatPackedWeights, LinearHandsGradientsOn) {
  const auto w = at::randn({70, 24}), dy = at::randn({5, 70});
  const auto x = at::randn({5, 24}).requires_grad_(), residual = at::randn({5, 70}).requires_grad_();
  const auto y =
      packed_linear(std::make_shared<const PackedWeight>(w, at::Tensor()), x, residual, at::kFloat);
  const auto of = torch::autograd::grad({y}, {x, residual}, {dy});
  EXPECT_LT(error_of(of[0], in_double(dy).matmul(in_double(w))), kSingle);
  EXPECT_TRUE(of[1].equal(dy));
}

TEST_P(FloatPackedWeights, AnyNumberOfThreadsGivesTheSameBits) {
  const auto x = at::randn({2, 64, 24, 24}), w = at::randn({96, 64, 3, 3});
  const PackedWeight packed(w, {});
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const auto one = packed.convolution(x, 1, 1, {});
  at::set_num_threads(3);
  const auto three = packed.convolution(x, 1, 1, {});
  at::set_num_threads(before);
  EXPECT_TRUE(one.equal(three));
}

struct FloatNormCase {
  int64_t items, channels, height, width, groups;
  bool with_silu;
  double offset;  // of each channel from zero, as activations have it
};

TEST_P(FloatPackedWeights, GroupNormAndItsGradientsFollowTheDefinition) {
  for (const FloatNormCase& n : {FloatNormCase{2, 64, 16, 16, 32, true, 3},
                                 {1, 96, 5, 3, 32, false, 3},
                                 {2, 20, 7, 9, 4, true, 0},
                                 {1, 320, 33, 20, 32, true, 3},
                                 {3, 32, 1, 1, 8, false, 1},
                                 {1, 5, 50, 41, 5, true, 20}}) {
    const auto label = ::testing::Message() << n.channels << " channels, " << n.height << " x " << n.width;
    std::vector<at::Tensor> in{(at::randn({n.items, n.channels, n.height, n.width}) +
                                n.offset * at::randn({n.items, n.channels, 1, 1}))
                                   .contiguous(at::MemoryFormat::ChannelsLast),
                               at::randn({n.channels}), at::randn({n.channels})};
    std::vector<at::Tensor> wide;
    for (at::Tensor& t : in) {
      t.requires_grad_();
      wide.push_back(in_double(t.detach()).requires_grad_());
    }
    const auto truth = group_norm_reference(wide[0], wide[1], wide[2], n.groups, 1e-5, n.with_silu);
    const auto found = group_norm(in[0], in[1], in[2], n.groups, 1e-5, n.with_silu);
    // What is far from zero is known to single precision only.
    const double bound = kSingle * (1 + n.offset);
    EXPECT_LT(error_of(found.detach(), truth.detach()), bound) << label;
    const auto dy = at::randn(truth.sizes());
    const auto of = torch::autograd::grad({found}, in, {dy});
    const auto expected = torch::autograd::grad({truth}, wide, {in_double(dy)});
    if (n.height * n.width * n.channels > n.groups)
      EXPECT_LT(error_of(of[0], expected[0]), 3 * bound) << label;
    EXPECT_LT(error_of(of[1], expected[1]), 3 * bound) << label;
    EXPECT_LT(error_of(of[2], expected[2]), 3 * bound) << label;
  }
}

TEST_P(FloatPackedWeights, TheBorderOfANormIsZero) {
  const auto x = at::randn({2, 40, 6, 7}).contiguous(at::MemoryFormat::ChannelsLast);
  const auto w = at::randn({40}), b = at::randn({40});
  const auto found = bordered_group_norm(x, w, b, 8, 1e-5, true, 2, at::kFloat);
  const auto all = found.numbers.narrow(0, 0, 2 * 10 * 11 * found.pixel_stride())
                       .view({2, 10, 11, found.pixel_stride()})
                       .permute({0, 3, 1, 2});
  const auto truth = group_norm_reference(in_double(x), in_double(w), in_double(b), 8, 1e-5, true);
  const auto expected = at::constant_pad_nd(truth, {2, 2, 2, 2, 0, found.pixel_stride() - 40});
  EXPECT_LT(error_of(all, expected), kSingle);
  EXPECT_TRUE(all.eq(0).logical_or(expected.ne(0)).all().item<bool>()) << "something in the border";
}

TEST_P(FloatPackedWeights, NormAndConvolutionInOneNodeAreTheTwo) {
  for (const int64_t stride : {1, 2}) {
    const auto w = at::randn({40, 64, 3, 3}), b = at::randn({40});
    std::vector<at::Tensor> in{at::randn({2, 64, 12, 17}).contiguous(at::MemoryFormat::ChannelsLast),
                               at::randn({64}), at::randn({64})};
    std::vector<at::Tensor> wide;
    for (at::Tensor& t : in) {
      t.requires_grad_();
      wide.push_back(in_double(t.detach()).requires_grad_());
    }
    const auto truth = at::conv2d(group_norm_reference(wide[0], wide[1], wide[2], 8, 1e-6, true),
                                  in_double(w), in_double(b), stride, 1);
    const auto y = packed_convolution_of_norm(std::make_shared<const PackedWeight>(w, b),
                                              {in[1], in[2], 8, 1e-6}, in[0], stride, 1, {});
    EXPECT_LT(error_of(y.detach(), truth.detach()), kSingle);
    const auto dy = at::randn(truth.sizes());
    const auto found = torch::autograd::grad({y}, in, {dy});
    const auto expected = torch::autograd::grad({truth}, wide, {in_double(dy)});
    for (size_t i = 0; i < in.size(); ++i)
      EXPECT_LT(error_of(found[i], expected[i]), 3 * kSingle) << i << ", stride " << stride;
  }
}

INSTANTIATE_TEST_SUITE_P(InstructionSets, FloatPackedWeights,
                         ::testing::Values(Simd::Portable, Simd::Avx2, Simd::Avx512),
                         [](const auto& set) { return std::string(simd_name(set.param)); });

}  // namespace
}  // namespace t3d::ops
