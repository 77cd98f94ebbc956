#include "t3d/diffusion/unet_config.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "t3d/diffusion/json_reader.h"
#include "t3d/io/json_file.h"

namespace t3d::diffusion {
namespace {

constexpr int64_t kMostChannels = 1 << 14;

struct ClassName {
  const char* name;
  ClassEmbedding kind;
};
constexpr ClassName kClassNames[] = {{"timestep", ClassEmbedding::Timestep},
                                     {"identity", ClassEmbedding::Identity},
                                     {"projection", ClassEmbedding::Projection},
                                     {"simple_projection", ClassEmbedding::SimpleProjection}};

void check_divides(const std::string& where, const char* what, int64_t n, int64_t channels) {
  if (channels % n != 0)
    throw UserError(cat(where, ": ", what, " ", n, " does not divide the ", channels,
                        " channels of a block. Check that this config belongs to the model."));
}

void check(const UNetConfig& config, const std::string& where) {
  for (size_t i = 0; i < config.block_channels.size(); ++i) {
    check_divides(where, "norm_num_groups", config.norm_groups, config.block_channels[i]);
    check_divides(where, "the number of heads", config.n_heads[i], config.block_channels[i]);
  }
  if (config.block_channels.front() % 2 != 0)
    throw UserError(cat(where, ": the first block has ", config.block_channels.front(),
                        " channels; sines and cosines of the timestep need an even number."));
}

void check_length(const std::string& where, const std::string& key, size_t n, size_t expected) {
  if (n != expected)
    throw UserError(cat(where, ": ", key, " has ", n, " entries and block_out_channels ", expected,
                        "; both have one per level. Check that this config belongs to the model."));
}

/// Levels with attention, from block types; up blocks are listed innermost first.
std::vector<bool> attention_levels(const JsonReader& reader, size_t n) {
  const auto levels = [&](const std::string& key, const std::string& with, const std::string& without,
                          const std::vector<std::string>& otherwise) {
    const std::vector<std::string> names = reader.text_list(key, otherwise);
    check_length(reader.where(), key, names.size(), n);
    std::vector<bool> has;
    for (const std::string& name : names) {
      if (name != with && name != without)
        throw UserError(cat(reader.where(), ": ", key, " has \"", name,
                            "\", an architecture that t3d does not have; it has ", with, " and ", without,
                            ". Use a model of the Stable Diffusion 1 or 2 family."));
      has.push_back(name == with);
    }
    return has;
  };
  const auto down =
      levels("down_block_types", "CrossAttnDownBlock2D", "DownBlock2D",
             {"CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"});
  auto up = levels("up_block_types", "CrossAttnUpBlock2D", "UpBlock2D",
                   {"UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"});
  std::reverse(up.begin(), up.end());
  if (up != down)
    throw UserError(cat(reader.where(),
                        ": up_block_types is not down_block_types backwards, an architecture that t3d does "
                        "not have. Use a model of the Stable Diffusion 1 or 2 family."));
  return down;
}

void refuse_other_architectures(const JsonReader& reader) {
  reader.expect_config_of("a UNet", "model_type");
  reader.expect("_class_name", {"UNet2DConditionModel"});
  reader.expect("act_fn", {"silu", "swish"});
  reader.expect("mid_block_type", {"UNetMidBlock2DCrossAttn"});
  reader.expect("resnet_time_scale_shift", {"default"});
  reader.expect("time_embedding_type", {"positional"});
  reader.expect("attention_type", {"default"});
  for (const char* key : {"center_input_sample", "dual_cross_attention", "only_cross_attention",
                          "class_embeddings_concat", "addition_embed_type", "encoder_hid_dim",
                          "encoder_hid_dim_type", "time_cond_proj_dim", "timestep_post_act",
                          "time_embedding_act_fn", "resnet_skip_time_act", "mid_block_only_cross_attention",
                          "reverse_transformer_layers_per_block", "time_embedding_dim", "dropout"}) {
    if (std::string(key) == "dropout" && reader.number(key, 0) == 0) continue;
    reader.expect_absent(key);
  }
  for (const char* key : {"conv_in_kernel", "conv_out_kernel"}) reader.whole(key, 3, 3, 3);
  reader.whole("downsample_padding", 1, 1, 1);
}

}  // namespace

UNetConfig unet_config_from_json(const nlohmann::json& json, const std::string& where) {
  const JsonReader reader(json, where);
  refuse_other_architectures(reader);
  UNetConfig c;
  c.in_channels = reader.whole("in_channels", 4, 1, kMostChannels);
  c.out_channels = reader.whole("out_channels", 4, 1, kMostChannels);
  c.sample_size = reader.whole("sample_size", 64, 1, 1 << 16);
  c.block_channels = reader.whole_list("block_out_channels", c.block_channels, 1, 1, kMostChannels);
  const size_t n = c.block_channels.size();
  c.has_attention = attention_levels(reader, n);
  // The published files call the number of heads attention_head_dim; num_attention_heads came later.
  const char* heads = reader.has("num_attention_heads") ? "num_attention_heads" : "attention_head_dim";
  c.n_heads = reader.whole_list(heads, std::vector<int64_t>(n, 8), n, 1, kMostChannels);
  check_length(where, heads, c.n_heads.size(), n);
  c.transformer_depth =
      reader.whole_list("transformer_layers_per_block", std::vector<int64_t>(n, 1), n, 1, 32);
  check_length(where, "transformer_layers_per_block", c.transformer_depth.size(), n);
  c.layers_per_block = reader.whole("layers_per_block", 2, 1, 16);
  c.text_channels = reader.whole("cross_attention_dim", 1280, 1, kMostChannels);
  c.linear_projection = reader.truth("use_linear_projection", false);
  c.upcast_attention = reader.truth("upcast_attention", false);
  c.norm_groups = reader.whole("norm_num_groups", 32, 1, kMostChannels);
  c.norm_eps = reader.number("norm_eps", 1e-5);
  c.cosine_first = reader.truth("flip_sin_to_cos", true);
  c.frequency_shift = reader.number("freq_shift", 0);
  c.camera_inputs = reader.whole("camera_dim", 0, 0, kMostChannels);
  if (reader.has("class_embed_type")) {
    reader.expect("class_embed_type", {"timestep", "identity", "projection", "simple_projection"});
    for (const ClassName& entry : kClassNames)
      if (reader.text("class_embed_type", "") == entry.name) c.class_embedding = entry.kind;
    if (c.class_embedding == ClassEmbedding::Projection ||
        c.class_embedding == ClassEmbedding::SimpleProjection) {
      c.class_inputs = reader.whole("projection_class_embeddings_input_dim", 0, 1, kMostChannels);
      if (c.class_inputs == 0)
        throw UserError(cat(where, ": class_embed_type is ", reader.text("class_embed_type", ""),
                            " and projection_class_embeddings_input_dim, its width, is missing. Add it."));
    }
  } else if (reader.has("num_class_embeds")) {
    c.class_embedding = ClassEmbedding::Table;
    c.class_inputs = reader.whole("num_class_embeds", 0, 1, 1 << 20);
  }
  check(c, where);
  return c;
}

UNetConfig read_unet_config(const std::string& path) {
  return unet_config_from_json(io::read_json_file(path), path);
}

UNetConfig unet_config_from_ldm(const nlohmann::json& params, const std::string& where) {
  const JsonReader reader(params, where);
  for (const char* key : {"num_classes", "resblock_updown", "use_scale_shift_norm", "disable_self_attentions",
                          "disable_middle_self_attn", "n_embed"})
    reader.expect_absent(key);
  UNetConfig c;
  c.in_channels = reader.whole("in_channels", 4, 1, kMostChannels);
  c.out_channels = reader.whole("out_channels", 4, 1, kMostChannels);
  c.sample_size = reader.whole("image_size", 64, 1, 1 << 16);
  c.layers_per_block = reader.whole("num_res_blocks", 2, 1, 16);
  const int64_t width = reader.whole("model_channels", 320, 1, kMostChannels);
  c.block_channels.clear();
  c.n_heads.clear();
  c.has_attention.clear();
  const int64_t head_width = reader.whole("num_head_channels", -1, -1, kMostChannels);
  const auto factors = reader.whole_list("attention_resolutions", {4, 2, 1}, 2, 1, 1 << 16);
  int64_t factor = 1;
  for (const int64_t m : reader.whole_list("channel_mult", {1, 2, 4, 4}, 2, 1, 64)) {
    const int64_t channels = m * width;
    if (head_width > 0) check_divides(where, "num_head_channels", head_width, channels);
    c.block_channels.push_back(channels);
    c.n_heads.push_back(head_width > 0 ? channels / head_width
                                       : reader.whole("num_heads", 8, 1, kMostChannels));
    c.has_attention.push_back(std::find(factors.begin(), factors.end(), factor) != factors.end());
    factor *= 2;
  }
  c.transformer_depth.assign(c.block_channels.size(), reader.whole("transformer_depth", 1, 1, 32));
  c.text_channels = reader.whole("context_dim", 768, 1, kMostChannels);
  c.linear_projection = reader.truth("use_linear_in_transformer", false);
  c.camera_inputs = reader.whole("camera_dim", 0, 0, kMostChannels);
  check(c, where);
  return c;
}

nlohmann::json unet_config_json(const UNetConfig& c) {
  nlohmann::json json{{"_class_name", "UNet2DConditionModel"},
                      {"act_fn", "silu"},
                      {"attention_head_dim", c.n_heads},
                      {"block_out_channels", c.block_channels},
                      {"center_input_sample", false},
                      {"cross_attention_dim", c.text_channels},
                      {"downsample_padding", 1},
                      {"flip_sin_to_cos", c.cosine_first},
                      {"freq_shift", c.frequency_shift},
                      {"in_channels", c.in_channels},
                      {"layers_per_block", c.layers_per_block},
                      {"mid_block_scale_factor", 1},
                      {"norm_eps", c.norm_eps},
                      {"norm_num_groups", c.norm_groups},
                      {"out_channels", c.out_channels},
                      {"sample_size", c.sample_size},
                      {"transformer_layers_per_block", c.transformer_depth},
                      {"upcast_attention", c.upcast_attention},
                      {"use_linear_projection", c.linear_projection}};
  std::vector<std::string> down, up;
  for (const bool has : c.has_attention) {
    down.push_back(has ? "CrossAttnDownBlock2D" : "DownBlock2D");
    up.insert(up.begin(), has ? "CrossAttnUpBlock2D" : "UpBlock2D");
  }
  json["down_block_types"] = down;
  json["up_block_types"] = up;
  if (c.camera_inputs > 0) json["camera_dim"] = c.camera_inputs;
  if (c.class_embedding == ClassEmbedding::Table) json["num_class_embeds"] = c.class_inputs;
  for (const ClassName& entry : kClassNames)
    if (entry.kind == c.class_embedding) json["class_embed_type"] = entry.name;
  if (c.class_embedding == ClassEmbedding::Projection ||
      c.class_embedding == ClassEmbedding::SimpleProjection)
    json["projection_class_embeddings_input_dim"] = c.class_inputs;
  return json;
}

UNetConfig sd15_unet_config() {
  return {};
}

UNetConfig sd21_unet_config() {
  UNetConfig c;
  c.n_heads = {5, 10, 20, 20};
  c.text_channels = 1024;
  c.linear_projection = true;
  return c;
}

UNetConfig mvdream_unet_config() {
  UNetConfig c = sd21_unet_config();
  c.sample_size = 32;
  c.camera_inputs = 16;
  return c;
}

}  // namespace t3d::diffusion
