#include "t3d/ops/packed_weight.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "t3d/ops/group_norm.h"
#include "t3d/ops/matrix_unit.h"
#include "t3d/ops/packed_gradient.h"

namespace t3d::ops {
namespace {

/// One rounding to bfloat16 of the result, as the norm of the error over the norm.
constexpr double kRounding = 4e-3;

double error(const at::Tensor& found, const at::Tensor& truth) {
  return ((found.to(at::kDouble) - truth).norm() / truth.norm()).item<double>();
}

at::Tensor random(at::IntArrayRef sizes) {
  return at::randn(sizes).to(at::kBFloat16);
}

at::Tensor wide(const at::Tensor& x) {
  return x.to(at::kDouble);
}

/// Runs the test with every unit that this CPU has; skips on one that has none.
class PackedWeights : public ::testing::TestWithParam<MatrixUnit> {
 protected:
  void SetUp() override {
    at::manual_seed(5);
    set_matrix_unit(GetParam());
    if (matrix_unit() != GetParam()) GTEST_SKIP() << "this CPU has no " << matrix_unit_name(GetParam());
  }
  void TearDown() override { set_matrix_unit(MatrixUnit::Amx); }
};

TEST_P(PackedWeights, AreGivenBackToTheBit) {
  for (const std::vector<int64_t>& shape :
       std::vector<std::vector<int64_t>>{{32, 32}, {5, 7}, {64, 100}, {33, 3, 3, 3}, {4, 70, 1, 1}}) {
    const auto weight = random(shape);
    EXPECT_TRUE(PackedWeight(weight, {}).weight().equal(weight)) << weight.sizes();
  }
  const auto paired = random({96, 40});
  EXPECT_TRUE(PackedWeight(paired, {}, PackedWeight::Order::Gated).weight().equal(paired));
}

TEST_P(PackedWeights, LinearFollowsTheDefinitionAtOddSizes) {
  struct Sizes {
    int64_t rows, in, out;
  };
  for (const Sizes& s :
       {Sizes{32, 32, 32}, {1, 16, 5}, {154, 1024, 320}, {47, 33, 70}, {600, 640, 33}, {1100, 64, 96}}) {
    const auto x = random({s.rows, s.in}), w = random({s.out, s.in}), b = random({s.out});
    const auto residual = random({s.rows, s.out});
    const auto truth = at::linear(wide(x), wide(w), wide(b));
    EXPECT_LT(error(PackedWeight(w, b).linear(x), truth), kRounding)
        << s.rows << " x " << s.in << " x " << s.out;
    EXPECT_LT(error(PackedWeight(w, b).linear(x, residual), truth + wide(residual)), kRounding);
    EXPECT_LT(error(PackedWeight(w, {}).linear(x.view({1, s.rows, s.in})),
                    at::linear(wide(x), wide(w)).unsqueeze(0)),
              kRounding);
  }
}

TEST_P(PackedWeights, GatedIsTheFirstHalfTimesTheGeluOfTheSecond) {
  for (const auto& [rows, in, out] : {std::array<int64_t, 3>{70, 64, 96}, {3, 40, 32}}) {
    const auto x = random({2, rows, in}), w = random({out, in}) * 0.3, b = random({out});
    const auto halves = at::linear(wide(x), wide(w), wide(b)).chunk(2, -1);
    const auto found = PackedWeight(w, b, PackedWeight::Order::Gated).gated(x);
    EXPECT_LT(error(found, halves[0] * at::gelu(halves[1])), kRounding);
  }
}

struct Convolution {
  int64_t items, in, out, height, width, kernel, stride, padding;
};

TEST_P(PackedWeights, ConvolutionFollowsTheDefinitionAtOddSizes) {
  for (const Convolution& c : {Convolution{2, 32, 32, 16, 16, 3, 1, 1},
                               {1, 4, 64, 20, 33, 3, 1, 1},
                               {2, 64, 4, 8, 8, 3, 1, 1},
                               {3, 40, 50, 5, 7, 3, 1, 1},
                               {2, 32, 64, 32, 32, 3, 2, 1},
                               {1, 32, 32, 17, 9, 3, 2, 0},
                               {2, 96, 32, 6, 6, 1, 1, 0},
                               {1, 32, 40, 1, 1, 3, 1, 1},
                               {1, 33, 8, 40, 47, 3, 2, 1}}) {
    const auto x = random({c.items, c.in, c.height, c.width}), w = random({c.out, c.in, c.kernel, c.kernel});
    const auto b = random({c.out});
    const PackedWeight packed(w, b);
    auto truth = at::conv2d(wide(x), wide(w), wide(b), c.stride, c.padding);
    const auto found = packed.convolution(x, c.stride, c.padding, {});
    EXPECT_EQ(found.sizes(), truth.sizes());
    EXPECT_LT(error(found, truth), kRounding)
        << c.in << " to " << c.out << ", " << c.height << " x " << c.width;
    PackedWeight::Extra extra;
    extra.item_bias = random({c.items, c.out});
    extra.residual = random(truth.sizes());
    truth = truth + wide(extra.item_bias).view({c.items, c.out, 1, 1}) + wide(extra.residual);
    EXPECT_LT(error(packed.convolution(x, c.stride, c.padding, extra), truth), kRounding);
  }
}

TEST_P(PackedWeights, AddToSinglePrecisionWithoutRounding) {
  const auto x = random({3, 47, 70}), w = random({33, 70}), b = random({33});
  const auto residual = at::randn({3, 47, 33});
  const auto truth = at::linear(wide(x), wide(w), wide(b));
  const PackedWeight packed(w, b);
  EXPECT_EQ(packed.linear(x).scalar_type(), at::kBFloat16);
  EXPECT_LT(error(packed.linear(x, {}, at::kFloat), truth), 1e-6);
  EXPECT_LT(error(packed.linear(x, residual), truth + wide(residual)), 1e-6);
  for (const Convolution& c : {Convolution{2, 4, 64, 20, 33, 3, 1, 1}, {2, 40, 50, 5, 7, 3, 2, 1}}) {
    const auto picture = random({c.items, c.in, c.height, c.width}), kernel = random({c.out, c.in, 3, 3});
    const auto product = at::conv2d(wide(picture), wide(kernel), {}, c.stride, 1);
    PackedWeight::Extra extra;
    extra.residual = at::randn(product.sizes());
    extra.item_bias = at::randn({c.items, c.out});
    EXPECT_LT(error(PackedWeight(kernel, {}).convolution(picture, c.stride, 1, extra),
                    product + wide(extra.item_bias).view({c.items, c.out, 1, 1}) + wide(extra.residual)),
              1e-6);
  }
}

TEST_P(PackedWeights, AnyNumberOfThreadsGivesTheSameBits) {
  const auto x = random({2, 64, 24, 24}), w = random({96, 64, 3, 3});
  const PackedWeight packed(w, {});
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const auto one = packed.convolution(x, 1, 1, {});
  at::set_num_threads(3);
  const auto three = packed.convolution(x, 1, 1, {});
  at::set_num_threads(before);
  EXPECT_TRUE(one.equal(three));
}

TEST_P(PackedWeights, GroupNormIsTheDefinitionsWithItsBorder) {
  struct Norm {
    int64_t items, channels, height, width, groups, border;
    bool with_silu;
  };
  for (const Norm& n : {Norm{2, 64, 16, 16, 32, 1, true},
                        {1, 96, 5, 3, 32, 0, false},
                        {2, 20, 7, 9, 4, 1, true},
                        {1, 320, 33, 20, 32, 1, true},
                        {3, 32, 1, 1, 8, 2, false}}) {
    // Far from zero in places, as activations are.
    const auto x =
        (random({n.items, n.channels, n.height, n.width}) + 20 * random({n.items, n.channels, 1, 1}))
            .contiguous(at::MemoryFormat::ChannelsLast);
    const auto w = random({n.channels}), b = random({n.channels});
    const auto truth = group_norm_reference(wide(x), wide(w), wide(b), n.groups, 1e-5, n.with_silu);
    const auto found = bordered_group_norm(x, w, b, n.groups, 1e-5, n.with_silu, n.border, at::kBFloat16);
    const int64_t high = n.height + 2 * n.border, across = n.width + 2 * n.border,
                  padded = found.pixel_stride();
    const auto all = found.numbers.narrow(0, 0, n.items * high * across * padded)
                         .view({n.items, high, across, padded})
                         .permute({0, 3, 1, 2});
    const auto expected =
        at::constant_pad_nd(truth, {n.border, n.border, n.border, n.border, 0, padded - n.channels});
    EXPECT_LT(error(all, expected), kRounding) << n.channels << " channels";
    const auto of_float =
        bordered_group_norm(x.to(at::kFloat), w, b, n.groups, 1e-5, n.with_silu, n.border, at::kBFloat16);
    EXPECT_TRUE(of_float.numbers.narrow(0, 0, all.numel()).equal(found.numbers.narrow(0, 0, all.numel())));
    EXPECT_TRUE(all.eq(0).logical_or(expected.ne(0)).all().item<bool>()) << "something in the border";
  }
}

TEST_P(PackedWeights, LayerNormIsTheDefinitions) {
  for (const int64_t channels : {32, 320, 37, 5}) {
    const auto x = random({3, 11, channels}) + 30, w = random({channels}), b = random({channels});
    const auto truth = at::layer_norm(wide(x), {channels}, wide(w), wide(b), 1e-5);
    EXPECT_LT(error(bf16_layer_norm(x, w, b, 1e-5), truth), kRounding);
    EXPECT_TRUE(bf16_layer_norm(x.to(at::kFloat), w, b, 1e-5).equal(bf16_layer_norm(x, w, b, 1e-5)));
  }
}

std::vector<at::Tensor> gradients(const at::Tensor& y, const at::Tensor& dy,
                                  const std::vector<at::Tensor>& of) {
  return torch::autograd::grad({y}, of, {dy});
}

/// Convolution with `more` rows and columns of zeros behind, as the encoder's halving ones have.
at::Tensor convolution_by_definition(const Convolution& c, int64_t more, const at::Tensor& x,
                                     const at::Tensor& w, const at::Tensor& b) {
  return at::conv2d(at::constant_pad_nd(x, {0, more, 0, more}), w, b, c.stride, c.padding);
}

TEST_P(PackedWeights, GradientsReachInputsAndResiduals) {
  for (const auto& [c, more] :
       std::vector<std::pair<Convolution, int64_t>>{{{2, 24, 70, 9, 20, 1, 1, 0}, 0},
                                                    {{2, 24, 70, 9, 20, 3, 1, 1}, 0},
                                                    {{1, 24, 33, 20, 9, 3, 1, 0}, 1},
                                                    {{2, 24, 70, 16, 16, 3, 2, 0}, 1},
                                                    {{2, 40, 32, 9, 20, 3, 2, 0}, 1},
                                                    {{3, 24, 70, 20, 33, 3, 2, 1}, 0},
                                                    {{1, 24, 70, 40, 48, 3, 2, 1}, 0},
                                                    {{1, 32, 32, 7, 6, 3, 2, 0}, 0},
                                                    {{1, 32, 32, 1, 1, 3, 2, 1}, 0},
                                                    {{1, 32, 32, 8, 9, 2, 2, 0}, 0},
                                                    {{1, 32, 32, 9, 8, 4, 2, 1}, 0}}) {
    const auto label = ::testing::Message()
                       << c.in << " to " << c.out << ", " << c.height << " x " << c.width << ", kernel "
                       << c.kernel << ", stride " << c.stride << ", padding " << c.padding << " + " << more;
    const auto w = random({c.out, c.in, c.kernel, c.kernel}), b = random({c.out});
    const auto x = random({c.items, c.in, c.height, c.width}).requires_grad_();
    const auto wide_x = wide(x.detach()).requires_grad_();
    const auto truth = convolution_by_definition(c, more, wide_x, wide(w), wide(b));
    const auto dy = random(truth.sizes()), residual = random(truth.sizes()).requires_grad_();
    const auto expected = gradients(truth, wide(dy), {wide_x})[0];
    const auto packed = std::make_shared<const PackedWeight>(w, b);
    const Padding padding(c.padding, c.padding + more);
    const auto y = packed_convolution(packed, x, c.stride, padding, {{}, residual, at::kBFloat16});
    EXPECT_LT(error(y.detach(), truth.detach() + wide(residual.detach())), kRounding) << label;
    const auto found = gradients(y, dy, {x, residual});
    EXPECT_LT(error(found[0], expected), kRounding) << label;
    EXPECT_TRUE(found[1].equal(dy)) << label;
    // Single precision goes in and out without a rounding where the numbers are bfloat16's anyway.
    const auto single = x.detach().to(at::kFloat).requires_grad_();
    const auto z = packed_convolution(packed, single, c.stride, padding, {{}, {}, at::kFloat});
    EXPECT_LT(error(z.detach(), truth.detach()), 1e-5) << label;
    EXPECT_LT(error(gradients(z, dy.to(at::kFloat), {single})[0], expected), 1e-5) << label;
  }
  const auto w = random({70, 24}), dy = random({5, 70}), x = random({5, 24}).requires_grad_();
  const auto y = packed_linear(std::make_shared<const PackedWeight>(w, at::Tensor()), x, {}, at::kFloat);
  EXPECT_EQ(y.scalar_type(), at::kFloat);
  EXPECT_LT(error(gradients(y, dy.to(at::kFloat), {x})[0], wide(dy).matmul(wide(w))), kRounding);
}

TEST_P(PackedWeights, TheGradientBetweenNormAndConvolutionIsNotRounded) {
  for (const int64_t stride : {1, 2}) {
    const Convolution c{2, 64, 40, 12, 17, 3, stride, 1};
    const auto w = random({c.out, c.in, 3, 3}), b = random({c.out}), scale = random({c.in}),
               shift = random({c.in});
    const auto x = at::randn({c.items, c.in, c.height, c.width})
                       .contiguous(at::MemoryFormat::ChannelsLast)
                       .requires_grad_();
    const auto norm_weight = scale.to(at::kFloat).requires_grad_(),
               norm_bias = shift.clone().requires_grad_();
    std::vector<at::Tensor> truth_of{wide(x.detach()), wide(scale), wide(shift)};
    for (at::Tensor& t : truth_of) t.requires_grad_();
    const auto normal = group_norm_reference(truth_of[0], truth_of[1], truth_of[2], 8, 1e-6, true);
    const auto truth = at::conv2d(normal, wide(w), wide(b), stride, 1);
    const auto dy = random(truth.sizes());
    const auto y =
        packed_convolution_of_norm(std::make_shared<const PackedWeight>(w, b),
                                   {norm_weight, norm_bias, 8, 1e-6}, x, stride, 1, {{}, {}, at::kFloat});
    EXPECT_LT(error(y.detach(), truth.detach()), kRounding);  // of the norm's result
    const auto found = gradients(y, dy.to(at::kFloat), {x, norm_weight, norm_bias});
    const auto expected = gradients(truth, wide(dy), truth_of);
    // bfloat16 would be 1.7e-3 off.
    EXPECT_LT(error(found[0], expected[0]), 3e-4) << "stride " << stride;
    EXPECT_LT(error(found[1], expected[1]), 3e-4) << "stride " << stride;
    EXPECT_LT(error(found[2], expected[2]), kRounding) << "stride " << stride;
    EXPECT_EQ(found[0].scalar_type(), at::kFloat);
    EXPECT_EQ(found[2].scalar_type(), at::kBFloat16);
  }
}

INSTANTIATE_TEST_SUITE_P(Units, PackedWeights, ::testing::Values(MatrixUnit::Avx512, MatrixUnit::Amx),
                         [](const auto& unit) { return std::string(matrix_unit_name(unit.param)); });

}  // namespace
}  // namespace t3d::ops
