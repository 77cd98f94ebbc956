#include "t3d/diffusion/weights.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "t3d/core/error.h"
#include "t3d/core/memory_usage.h"
#include "t3d/io/safetensors.h"
#include "tests/support/temporary_folder.h"

namespace t3d::diffusion {
namespace {

using ::testing::HasSubstr;

std::string message_of(const Weights& weights) {
  try {
    weights.check();
  } catch (const UserError& e) {
    return e.what();
  }
  return "";
}

TEST(Weights, TakesByNameUnderAPrefix) {
  const auto w = Weights::from_tensors({{"a.b.weight", at::ones({2, 3})}});
  EXPECT_TRUE(w.at("a").at("b").has("weight"));
  EXPECT_EQ(w.at("a").at("b").take("weight", {2, 3}).sum().item<float>(), 6);
  EXPECT_EQ(message_of(w), "");
}

TEST(Weights, ListsEverythingThatDoesNotFit) {
  const auto w = Weights::from_tensors({{"conv.weigth", at::ones({2})},
                                        {"norm.bias", at::ones({4})},
                                        {"nan", at::full({1}, std::numeric_limits<float>::quiet_NaN())},
                                        {"whole", at::ones({2}, at::kInt)},
                                        {"extra", at::ones({1})}});
  w.take("conv.weight", {2});
  w.take("norm.bias", {5});
  w.take("nan", {1});
  w.take("whole", {2});
  const std::string text = message_of(w);
  EXPECT_THAT(text, HasSubstr("1 missing: conv.weight (there is conv.weigth)"));
  EXPECT_THAT(text, HasSubstr("norm.bias is [4] instead of [5]"));
  EXPECT_THAT(text, HasSubstr("1 with NaN or infinity: nan"));
  EXPECT_THAT(text, HasSubstr("1 of a type that is no floating point: whole is Int"));
  EXPECT_THAT(text, HasSubstr("extra"));
}

TEST(Weights, LinearLayersAndOneByOneConvolutionsFillEachOther) {
  const auto w = Weights::from_tensors({{"a", at::ones({2, 3, 1, 1})}, {"b", at::ones({2, 3})}});
  EXPECT_EQ(w.take("a", {2, 3}).dim(), 2);
  EXPECT_EQ(w.take("b", {2, 3, 1, 1}).dim(), 4);
  EXPECT_EQ(message_of(w), "");
}

TEST(Weights, OfTheFilesTypeAreTheMappedFileItself) {
  const testing::TemporaryFolder folder;
  const std::string path = folder / "w.safetensors";
  constexpr int64_t kNumbers = 8 << 20;
  io::write_safetensors(path, {{"w", at::ones({kNumbers})}});

  const auto taken = [&](at::ScalarType type) {  // its source is gone when it is looked at
    return Weights::from(safetensors_source(path), type).take("w", {kNumbers});
  };
  const auto own = [] { return static_cast<int64_t>(own_rss_bytes()); };
  const auto of_files = [] { return static_cast<int64_t>(file_rss_bytes()); };
  const int64_t own_before = own(), mapped_before = of_files();
  auto w = taken(at::kFloat);
  EXPECT_EQ(w.sum().item<float>(), kNumbers);
  EXPECT_LT(own() - own_before, kNumbers) << "a quarter of a copy";
  EXPECT_GT(of_files() - mapped_before, 3 * kNumbers);

  w.narrow(0, 0, 100).fill_(7);
  EXPECT_EQ(taken(at::kFloat)[0].item<float>(), 1) << "writing reached the file";
  EXPECT_EQ(w[0].item<float>(), 7);
  w = at::Tensor();
  EXPECT_LT(of_files() - mapped_before, kNumbers) << "pages stayed";

  EXPECT_EQ(taken(at::kBFloat16).sum(at::kFloat).item<float>(), kNumbers);
}

TEST(Weights, IgnoredTensorsAreNotUnused) {
  const auto w = Weights::from_tensors({{"m.position_ids", at::arange(3)}});
  EXPECT_NE(message_of(w), "");
  w.at("m").ignore("position_ids");
  EXPECT_EQ(message_of(w), "");
}

TEST(Weights, RandomOnesDependOnSeedAndNameAlone) {
  const auto a = Weights::random(1), b = Weights::random(1), c = Weights::random(2);
  a.take("x", {3});
  const auto ya = a.take("y", {5, 7}), yb = b.take("y", {5, 7}), yc = c.take("y", {5, 7});
  EXPECT_TRUE(ya.equal(yb));
  EXPECT_FALSE(ya.equal(yc));
  EXPECT_LE(ya.abs().max().item<float>(), 1 / std::sqrt(7.f));
  EXPECT_EQ(a.parameters().size(), 2u);
}

TEST(TensorSource, ShardsAreOneAndMayNotOverlap) {
  const auto one = memory_source("one", {{"a", at::ones({1})}});
  const auto two = memory_source("two", {{"b", at::ones({1})}});
  EXPECT_EQ(joined_source("both", {one, two})->names().size(), 2u);
  EXPECT_THROW(joined_source("both", {one, one}), UserError);
}

TEST(TensorSource, RenamesAndLeavesOut) {
  const auto source =
      renamed_source(memory_source("m", {{"old.a", at::ones({1})}, {"junk", at::ones({1})}}),
                     [](const std::string& name) { return name == "junk" ? "" : "new" + name.substr(3); });
  EXPECT_THAT(source->names(), ::testing::ElementsAre("new.a"));
  EXPECT_EQ(source->load("new.a", at::kHalf, c10::kCPU).scalar_type(), at::kHalf);
}

}  // namespace
}  // namespace t3d::diffusion
