#include "t3d/diffusion/unet_config.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "t3d/diffusion/ldm_unet_names.h"
#include "t3d/diffusion/unet.h"

namespace t3d::diffusion {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string message_of(const json& config) {
  try {
    unet_config_from_json(config, "config.json");
  } catch (const UserError& e) {
    return e.what();
  }
  return "";
}

TEST(UNetConfig, WritesWhatItReads) {
  for (const UNetConfig& c : {sd15_unet_config(), sd21_unet_config(), mvdream_unet_config()}) {
    const json once = unet_config_json(c);
    EXPECT_EQ(unet_config_json(unet_config_from_json(once, "x")), once);
  }
}

TEST(UNetConfig, AttentionHeadDimIsTheNumberOfHeads) {
  const auto c = unet_config_from_json({{"attention_head_dim", {5, 10, 20, 20}}}, "x");
  EXPECT_EQ(c.n_heads, (std::vector<int64_t>{5, 10, 20, 20}));
  EXPECT_EQ(unet_config_from_json({{"attention_head_dim", 8}}, "x").n_heads, std::vector<int64_t>(4, 8));
}

TEST(UNetConfig, OtherArchitecturesAreRefusedByName) {
  EXPECT_THAT(message_of({{"_class_name", "FluxTransformer2DModel"}}),
              AllOf(HasSubstr("config.json: _class_name is \"FluxTransformer2DModel\""),
                    HasSubstr("UNet2DConditionModel")));
  EXPECT_THAT(message_of({{"model_type", "clip"}}), HasSubstr("so it is no config of a UNet"));
  EXPECT_THAT(message_of({{"addition_embed_type", "text_time"}}), HasSubstr("addition_embed_type"));
  EXPECT_THAT(
      message_of({{"down_block_types", {"AttnDownBlock2D", "DownBlock2D", "DownBlock2D", "DownBlock2D"}}}),
      HasSubstr("AttnDownBlock2D"));
  EXPECT_THAT(message_of({{"layers_per_block", {1, 2}}}), HasSubstr("layers_per_block is [1,2]"));
  EXPECT_THAT(message_of({{"attention_head_dim", 7}}), HasSubstr("does not divide"));
  EXPECT_THAT(message_of({{"block_out_channels", "many"}}), HasSubstr("block_out_channels"));
  EXPECT_THAT(message_of({{"class_embed_type", "projection"}}),
              HasSubstr("projection_class_embeddings_input_dim"));
  EXPECT_THAT(message_of(json::array()), HasSubstr("instead of an object"));
}

TEST(UNetConfig, NamesOfTheLdmLayout) {
  EXPECT_EQ(ldm_unet_name("input_blocks.4.0.in_layers.2.weight", 2), "down_blocks.1.resnets.0.conv1.weight");
  EXPECT_EQ(ldm_unet_name("input_blocks.6.0.op.bias", 2), "down_blocks.1.downsamplers.0.conv.bias");
  EXPECT_EQ(ldm_unet_name("output_blocks.5.2.conv.weight", 2), "up_blocks.1.upsamplers.0.conv.weight");
  EXPECT_EQ(ldm_unet_name("output_blocks.2.1.conv.weight", 2), "up_blocks.0.upsamplers.0.conv.weight");
  EXPECT_EQ(ldm_unet_name("output_blocks.3.1.proj_in.weight", 2), "up_blocks.1.attentions.0.proj_in.weight");
  EXPECT_EQ(ldm_unet_name("middle_block.2.skip_connection.bias", 2),
            "mid_block.resnets.1.conv_shortcut.bias");
  EXPECT_EQ(ldm_unet_name("input_blocks.0.0.weight", 2), "conv_in.weight");
  for (const char* bad : {"input_blocks.", "input_blocks.x.0.op.w", "output_blocks.99999.0.a", "", "out.1.w"})
    EXPECT_EQ(ldm_unet_name(bad, 2), "") << bad;
}

TEST(UNet, InputsThatDoNotFitAreNamed) {
  UNetConfig c;
  c.block_channels = {8, 8};
  c.n_heads = {2, 2};
  c.has_attention = {true, false};
  c.transformer_depth = {1, 1};
  c.norm_groups = 4;
  c.text_channels = 6;
  const UNet unet(c, Weights::random(1));
  const auto x = at::randn({2, 4, 8, 8}), t = at::tensor({1, 2}), text = at::randn({2, 3, 6});
  EXPECT_EQ(unet(x, t, text).sizes(), x.sizes());
  EXPECT_EQ(unet(x, t, text).abs().max().item<float>(), 0);  // a new model predicts nothing
  EXPECT_THROW(unet(at::randn({2, 3, 8, 8}), t, text), UserError);
  EXPECT_THROW(unet(x, t, at::randn({2, 3, 7})), UserError);
  EXPECT_THROW(unet(x, at::tensor({1, 2, 3}), text), UserError);
  UNetExtra extra;
  extra.n_views = 3;
  EXPECT_THROW(unet(x, t, text, extra), UserError);
  extra = {};
  extra.class_labels = at::zeros({2});
  EXPECT_THROW(unet(x, t, text, extra), UserError);
}

}  // namespace
}  // namespace t3d::diffusion
