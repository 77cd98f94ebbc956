#include "t3d/field/encoding.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "t3d/core/config/read_yaml.h"

namespace t3d::field {
namespace {

using testing::HasSubstr;

config::Node yaml(const std::string& text) {
  return config::read_yaml(text, "test.yaml");
}

std::unique_ptr<Encoding> make(const std::string& text, int n_dims = 3) {
  return make_encoding(n_dims, yaml(text), "geometry.pos_encoding_config", {7, c10::kCPU});
}

std::string message_of(const std::string& text) {
  try {
    make(text);
  } catch (const UserError& e) {
    return e.what();
  }
  return "";
}

const char* kGrid = "otype: HashGrid\nn_levels: 4\nlog2_hashmap_size: 10\n";

TEST(Encoding, HashGridTakesThreestudiosKeys) {
  const auto e = make(kGrid);
  EXPECT_EQ(e->n_outputs(), 8);
  const auto y = (*e)(at::rand({5, 3}));
  EXPECT_EQ(y.sizes(), at::IntArrayRef({5, 8}));
  EXPECT_EQ(e->parameters().count("encoding.params"), 1u);
}

TEST(Encoding, TinyCudaNnsNamesMayBeWrittenInAnyCase) {
  EXPECT_EQ(make("otype: Hashgrid\nn_levels: 4\n")->n_outputs(), 8);
}

TEST(Encoding, IncludeXyzPutsThePositionInFront) {
  const auto e = make(cat(kGrid, "include_xyz: true\n"));
  EXPECT_EQ(e->n_outputs(), 11);
  const auto x = at::rand({5, 3});
  EXPECT_TRUE((*e)(x).narrow(1, 0, 3).equal(2 * x - 1));
}

TEST(Encoding, ProgressiveBandsAppearAndStay) {
  const auto e = make(
      "otype: ProgressiveBandHashGrid\nn_levels: 4\nlog2_hashmap_size: 10\n"
      "start_level: 2\nstart_step: 10\nupdate_steps: 5\n");
  const auto x = at::rand({5, 3});
  const auto n_seen = [&] { return (*e)(x).ne(0).any(0).sum().item<int64_t>(); };
  EXPECT_EQ(n_seen(), 0);
  e->update_step(0);
  EXPECT_EQ(n_seen(), 4);
  e->update_step(15);
  EXPECT_EQ(n_seen(), 6);
  e->update_step(0);
  EXPECT_EQ(n_seen(), 6);
}

TEST(Encoding, SphericalHarmonicsMapFromTheUnitCube) {
  const auto e = make("otype: SphericalHarmonics\ndegree: 2\n");
  const auto y = (*e)(at::tensor({0.5f, 0.5f, 1.0f}).reshape({1, 3}));  // direction (0,0,1)
  EXPECT_NEAR(y[0][2].item<float>(), 0.48860251f, 1e-6);
  EXPECT_THROW(make("otype: SphericalHarmonics\ndegree: 2\n", 2), UserError);
}

TEST(Encoding, ExplainsNamesAndKeysItDoesNotKnow) {
  EXPECT_THAT(message_of("otype: HashGird\n"), HasSubstr("did you mean HashGrid?"));
  EXPECT_THAT(message_of("otype: HashGrid\nn_level: 3\n"), HasSubstr("n_levels"));
  EXPECT_THAT(message_of("n_levels: 3\n"), HasSubstr("otype"));
}

TEST(Encoding, EveryEntryOfTheTableCanBeMadeFromItsDefaults) {
  for (const TypeInfo& type : encodings().describe().types) {
    const auto e = make("otype: " + type.name + "\n");
    EXPECT_EQ((*e)(at::rand({2, 3})).size(1), e->n_outputs()) << type.name;
  }
}

}  // namespace
}  // namespace t3d::field
