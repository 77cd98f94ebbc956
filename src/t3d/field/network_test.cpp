#include "t3d/field/network.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "t3d/core/config/read_yaml.h"
#include "t3d/core/error.h"

namespace t3d::field {
namespace {

std::unique_ptr<Network> make(const std::string& text, int n_in, int n_out, uint64_t seed = 3) {
  return make_network(n_in, n_out, config::read_yaml(text, "test.yaml"), "mlp", {seed, c10::kCPU});
}

at::Tensor by_hand(const Network& network, const at::Tensor& x) {
  const auto p = network.parameters();
  at::Tensor h = x;
  for (size_t i = 0; i < p.size(); ++i) {
    h = at::matmul(h, p.at(cat("layers.", 2 * i, ".weight")).t());
    if (i + 1 < p.size()) h = at::relu(h);
  }
  return h;
}

TEST(Network, VanillaMlpIsItsNamedWeightsOneAfterAnother) {
  for (const char* shape : {"n_neurons: 64\nn_hidden_layers: 1\n", "n_neurons: 32\nn_hidden_layers: 3\n",
                            "n_neurons: 50\nn_hidden_layers: 2\n", "n_neurons: 8\nn_hidden_layers: 0\n"}) {
    const auto network = make(cat("otype: VanillaMLP\n", shape), 12, 5);
    const auto x = at::randn({33, 12});
    const auto y = (*network)(x);
    EXPECT_EQ(y.size(1), 5);
    EXPECT_LT((y - by_hand(*network, x)).abs().max().item<float>(), 1e-5f) << shape;
  }
}

TEST(Network, PrecisionIsOfTheProductsAlone) {
  for (const char* type : {"VanillaMLP", "FullyFusedMLP"}) {
    const auto exact = make(cat("otype: ", type, "\n"), 12, 5);
    const auto rounded = make(cat("otype: ", type, "\nprecision: auto\n"), 12, 5);
    const auto x = at::randn({33, 12});
    const auto y = (*rounded)(x), expected = (*exact)(x);
    EXPECT_EQ(y.scalar_type(), at::kFloat);
    EXPECT_LT((y - expected).norm().item<float>(), 1e-2f * expected.norm().item<float>());
    EXPECT_THROW(make(cat("otype: ", type, "\nprecision: half\n"), 12, 5), UserError);
  }
}

TEST(Network, GradientsReachEveryWeight) {
  const auto network = make("otype: VanillaMLP\n", 12, 5);
  (*network)(at::randn({33, 12})).pow(2).sum().backward();
  for (const auto& [name, tensor] : network->parameters())
    EXPECT_GT(tensor.grad().abs().sum().item<float>(), 0) << name;
}

TEST(Network, StartsWithinTheBoundOfTheFanIn) {
  const auto network = make("otype: VanillaMLP\n", 16, 1);
  const auto first = network->parameters().at("layers.0.weight");
  EXPECT_LE(first.abs().max().item<float>(), 0.25f);
  EXPECT_GT(first.abs().max().item<float>(), 0.24f);
}

TEST(Network, SphereInitIsCloseToTheDistanceToASphere) {
  const auto network = make(
      "otype: SphereInitVanillaMLP\nn_neurons: 512\nn_hidden_layers: 3\nsphere_init_radius: 0.5\n", 3, 1);
  const auto directions = at::randn({64, 3});
  const auto unit = directions / directions.norm(2, at::IntArrayRef{1}, true);
  EXPECT_NEAR((*network)(unit * 1.0).mean().item<float>(), 0.5f, 0.15f);
  EXPECT_NEAR((*network)(unit * 0.5).mean().item<float>(), 0.0f, 0.15f);
  EXPECT_LT((*network)(unit * 0.2).mean().item<float>(), -0.05f);  // softplus lifts the middle
}

TEST(Network, InsideOutTurnsTheSign) {
  const char* text = "otype: SphereInitVanillaMLP\nn_neurons: 256\nn_hidden_layers: 2\ninside_out: true\n";
  const auto network = make(text, 3, 1);
  EXPECT_LT((*network)(at::tensor({1.f, 0.f, 0.f}).reshape({1, 3})).item<float>(), 0);
}

TEST(Network, EveryEntryOfTheTableCanBeMadeFromItsDefaults) {
  for (const TypeInfo& type : networks().describe().types)
    EXPECT_EQ((*make("otype: " + type.name + "\n", 4, 2))(at::rand({3, 4})).size(1), 2) << type.name;
}

}  // namespace
}  // namespace t3d::field
