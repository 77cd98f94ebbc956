#include "t3d/diffusion/torch_source.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "t3d/core/remove_tree.h"
#include "t3d/diffusion/ldm_names.h"
#include "t3d/io/safetensors.h"
#include "tests/support/golden_report.h"

namespace t3d::diffusion {
namespace {

using ::testing::HasSubstr;

std::string folder(const std::string& name) {
  const std::string path = ::testing::TempDir() + "torch_source_" + name + "/";
  remove_tree(path);
  std::filesystem::create_directories(path);
  return path;
}
std::string error_of(const std::string& path) {
  try {
    open_source(path);
    return "no error";
  } catch (const UserError& error) {
    return error.what();
  }
}

TEST(GoldenTorchSource, LoadsConvertedContiguousTensors) {
  const std::string path = testing::golden_folder() + "/torch-pickle/nested.ckpt";
  T3D_NEED_FILE(path);
  const auto source = open_source(path);
  const auto view = source->load("model.view.transposed", at::kHalf, c10::kCPU);
  EXPECT_TRUE(view.is_contiguous());
  EXPECT_EQ(view.scalar_type(), at::kHalf);
  EXPECT_EQ(source->load("model.b.ids", at::kHalf, c10::kCPU).scalar_type(), at::kLong);
}

TEST(ShardedSource, JoinsShardsAndListsWhatIsMissing) {
  const std::string at = folder("shards");
  io::write_safetensors(at + "m-1.safetensors", {{"a", at::ones({2})}});
  io::write_safetensors(at + "m-2.safetensors", {{"b", at::zeros({3})}});
  const std::string index = at + "m.safetensors.index.json";
  std::ofstream(index) << R"({"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}})";
  EXPECT_THAT(open_source(index)->names(), ::testing::ElementsAre("a", "b"));
  std::filesystem::remove(at + "m-2.safetensors");
  EXPECT_THAT(error_of(index), HasSubstr("shards are missing: m-2.safetensors"));
  std::ofstream(index) << R"({"weight_map": {"a": "../m-1.safetensors"}})";
  EXPECT_THAT(error_of(index), HasSubstr("not in a weights file of the same folder"));
  std::ofstream(index) << R"({"weight_map": {"c": "m-1.safetensors"}})";
  EXPECT_THAT(error_of(index), HasSubstr("c is not in m-1.safetensors"));
  std::ofstream(index) << "{}";
  EXPECT_THAT(error_of(index), HasSubstr("weight_map"));
  EXPECT_THAT(error_of(at + "weights.onnx"), HasSubstr("the endings are"));
}

TEST(GoldenLdmNames, EveryTensorOfMvdreamHasADiffusersName) {
  const std::string path = testing::golden_folder() + "/mvdream-tiny/model.safetensors";
  T3D_NEED_FILE(path);
  const auto file = open_source(path);
  const LdmKind kind = ldm_kind(*file);
  EXPECT_TRUE(kind.has_unet && kind.has_vae && kind.has_text && kind.is_open_clip && kind.has_camera);
  size_t n_named = 0;
  for (const auto& part : {ldm_unet_source(file), ldm_vae_source(file), ldm_text_source(file)})
    for (const auto& name : part->names()) {
      EXPECT_THAT(name, ::testing::Not(HasSubstr("model.diffusion_model")));
      EXPECT_THAT(name, ::testing::Not(HasSubstr("stage_model")));
      ++n_named;
    }
  EXPECT_GT(n_named, 500u);
  EXPECT_TRUE(ldm_unet_source(file)->has("camera_embedding.linear_1.weight"));
}

TEST(GoldenLdmNames, FusedAttentionIsSplitByRows) {
  const std::string path = testing::golden_folder() + "/mvdream-tiny/model.safetensors";
  T3D_NEED_FILE(path);
  const auto file = open_source(path);
  const auto text = ldm_text_source(file);
  const auto fused =
      file->load("cond_stage_model.model.transformer.resblocks.1.attn.in_proj_weight", at::kFloat, c10::kCPU);
  const int64_t width = fused.size(1);
  int64_t row = 0;
  for (const char* part : {"q", "k", "v"}) {
    const std::string name = cat("text_model.encoder.layers.1.self_attn.", part, "_proj.weight");
    EXPECT_THAT(text->shape(name), ::testing::ElementsAre(width, width));
    EXPECT_TRUE(at::equal(text->load(name, at::kFloat, c10::kCPU), fused.narrow(0, row, width)));
    row += width;
  }
  const auto config = text_config_from_shapes(*text, true, {{"cond_stage_text", {{"heads", 3}}}});
  EXPECT_EQ(config["num_hidden_layers"], 3);  // the last of the four is not used
  EXPECT_EQ(config["num_attention_heads"], 3);
  EXPECT_EQ(vae_config_from_shapes(*ldm_vae_source(file))["block_out_channels"],
            (nlohmann::json{32, 32, 32, 32}));
}

TEST(LdmNames, VaeNamesFollowTheTable) {
  EXPECT_EQ(ldm_vae_name("encoder.down.1.block.0.nin_shortcut.weight", 4),
            "encoder.down_blocks.1.resnets.0.conv_shortcut.weight");
  EXPECT_EQ(ldm_vae_name("decoder.up.3.upsample.conv.bias", 4), "decoder.up_blocks.0.upsamplers.0.conv.bias");
  EXPECT_EQ(ldm_vae_name("decoder.mid.attn_1.proj_out.weight", 4),
            "decoder.mid_block.attentions.0.to_out.0.weight");
  EXPECT_EQ(ldm_vae_name("decoder.mid.block_2.conv1.bias", 4), "decoder.mid_block.resnets.1.conv1.bias");
  EXPECT_EQ(ldm_vae_name("encoder.norm_out.weight", 4), "encoder.conv_norm_out.weight");
  EXPECT_EQ(ldm_vae_name("decoder.up.9.block.0.conv1.weight", 4), "");
}

TEST(LdmNames, FileWithoutPartsIsExplained) {
  const auto file = memory_source("x.ckpt", {{"w", at::ones({1})}});
  for (const auto& open : {ldm_unet_source, ldm_vae_source, ldm_text_source})
    EXPECT_THROW(open(file), UserError);
}

}  // namespace
}  // namespace t3d::diffusion
