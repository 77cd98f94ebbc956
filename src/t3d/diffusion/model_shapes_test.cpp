#include "t3d/diffusion/model_shapes.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "t3d/diffusion/model_store.h"
#include "tests/support/golden_report.h"

namespace t3d::diffusion {
namespace {

int64_t count(const TensorTable& table) {
  int64_t n = 0;
  for (const auto& [name, plan] : table) {
    int64_t size = 1;
    for (const int64_t s : plan.shape) size *= s;
    n += size;
  }
  return n;
}

void expect_same(const TensorTable& table, const TensorSource& source) {
  for (const auto& [name, plan] : table) {
    ASSERT_TRUE(source.has(name)) << name;
    EXPECT_EQ(source.shape(name), plan.shape) << name;
  }
  for (const auto& name : source.names()) EXPECT_EQ(table.count(name), 1u) << name;
}

TEST(ModelShapes, HaveThePublishedNumbersOfParameters) {
  EXPECT_EQ(unet_tensors(sd21_unet_config()).size(), 686u);
  EXPECT_EQ(count(unet_tensors(sd21_unet_config())), 865910724);
  EXPECT_EQ(unet_tensors(mvdream_unet_config()).size(), 690u);
  EXPECT_EQ(count(unet_tensors(mvdream_unet_config())), 867572164);
  EXPECT_EQ(count(unet_tensors(sd15_unet_config())), 859520964);
  EXPECT_EQ(count(vae_tensors({})), 83653863);
  EXPECT_EQ(count(text_tensors({})), 123060480);
  EXPECT_EQ(count(text_tensors({1024, 4096, 23, 49408, 77})), 340387840);
}

TEST(GoldenModelShapes, EqualTheTinyModels) {
  const std::string sd2 = testing::golden_folder() + "/sd2-tiny";
  T3D_NEED_FILE(sd2 + "/model_index.json");
  expect_same(unet_tensors(unet_config_from_json(part_config(sd2, "unet"), sd2)), *open_part(sd2, "unet"));
  const auto text = part_config(sd2, "text_encoder");
  expect_same(text_tensors({text["hidden_size"], text["intermediate_size"], text["num_hidden_layers"],
                            text["vocab_size"], text["max_position_embeddings"]}),
              *open_part(sd2, "text_encoder"));
}

/// The names that the ldm rules give are those of the table, down to the last one.
TEST(GoldenModelShapes, EqualMvdreamReadFromItsSingleFile) {
  const std::string path = testing::golden_folder() + "/mvdream-tiny/model.safetensors";
  T3D_NEED_FILE(path);
  expect_same(unet_tensors(unet_config_from_json(part_config(path, "unet"), path)), *open_part(path, "unet"));
  const auto vae = part_config(path, "vae");
  expect_same(vae_tensors({vae["block_out_channels"].get<std::vector<int64_t>>(), vae["layers_per_block"]}),
              *open_part(path, "vae"));
  const auto text = part_config(path, "text_encoder");
  expect_same(text_tensors({text["hidden_size"], text["intermediate_size"], text["num_hidden_layers"],
                            text["vocab_size"]}),
              *open_part(path, "text_encoder"));
}

}  // namespace
}  // namespace t3d::diffusion
