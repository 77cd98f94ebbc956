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
#include "t3d/io/json_file.h"
#include "t3d/io/safetensors.h"
#include "tests/support/golden_options.h"

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
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(GoldenTorchSource, LoadsConvertedContiguousTensors) {
  const std::string path = testing::golden_folder() + "/torch-pickle/nested.ckpt";
  T3D_NEED_FILE(path);
  const auto source = open_source(path);
  int n_whole = 0, n_float = 0;
  for (const auto& name : source->names()) {
    const bool is_float = source->load(name, at::kFloat, c10::kCPU).is_floating_point();
    const auto loaded = source->load(name, at::kHalf, c10::kCPU);
    EXPECT_TRUE(loaded.is_contiguous()) << name;
    EXPECT_EQ(loaded.is_floating_point(), is_float) << name;
    EXPECT_EQ(loaded.scalar_type() == at::kHalf, is_float) << name;
    ++(is_float ? n_float : n_whole);
  }
  EXPECT_GT(n_whole, 0);
  EXPECT_GT(n_float, 0);
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
  EXPECT_GT(n_named, 0u);
  EXPECT_TRUE(ldm_unet_source(file)->has("camera_embedding.linear_1.weight"));
}

TEST(GoldenLdmNames, FusedAttentionIsSplitByRows) {
  T3D_NEED_CASES("mvdream-tiny/cases.safetensors");
  const std::string path = testing::golden_folder() + "/mvdream-tiny/model.safetensors";
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
  const auto options = testing::GoldenOptions("mvdream-tiny/cases.safetensors").block("text");
  const auto config =
      text_config_from_shapes(*text, true, {{"cond_stage_text", {{"heads", options.whole("heads")}}}});
  EXPECT_EQ(config["num_hidden_layers"], options.at("num_hidden_layers"));  // the last one is not used
  EXPECT_EQ(options.whole("num_hidden_layers"), options.whole("layers") - 1);
  EXPECT_EQ(config["num_attention_heads"], options.at("heads"));
  EXPECT_EQ(config["hidden_size"], options.at("width"));
  const auto vae = vae_config_from_shapes(*ldm_vae_source(file));
  const auto ldm = io::read_json_file(testing::golden_folder() + "/mvdream-tiny/config.json")
                       .at("model")
                       .at("params")
                       .at("first_stage_config")
                       .at("params")
                       .at("ddconfig");
  auto channels = nlohmann::json::array();
  for (const auto& factor : ldm.at("ch_mult"))
    channels.push_back(factor.get<int64_t>() * ldm.at("ch").get<int64_t>());
  EXPECT_EQ(vae["block_out_channels"], channels);
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
