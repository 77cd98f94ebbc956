#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "t3d/diffusion/autoencoder.h"
#include "t3d/diffusion/json_reader.h"
#include "t3d/io/json_file.h"

namespace t3d::diffusion {
namespace {

constexpr int64_t kMostChannels = 1 << 14;

void expect_all(const JsonReader& reader, const std::string& key, const std::string& name, size_t n) {
  const auto types = reader.text_list(key, std::vector<std::string>(n, name));
  if (types.size() != n)
    throw UserError(cat(reader.where(), ": ", key, " has ", types.size(), " entries and block_out_channels ",
                        n, "; both have one per level. Check that this config belongs to the model."));
  for (const std::string& type : types)
    if (type != name)
      throw UserError(cat(reader.where(), ": ", key, " has \"", type,
                          "\", an architecture that t3d does not have; it has ", name,
                          ". Use the autoencoder of Stable Diffusion 1 or 2."));
}

}  // namespace

AutoencoderConfig autoencoder_config_from_json(const nlohmann::json& json, const std::string& where) {
  const JsonReader reader(json, where);
  reader.expect_config_of("an autoencoder", "model_type");
  reader.expect("_class_name", {"AutoencoderKL"});
  reader.expect("act_fn", {"silu", "swish"});
  reader.expect_absent("latents_mean");
  reader.expect_absent("latents_std");
  reader.expect_absent("shift_factor");
  AutoencoderConfig c;
  c.image_channels = reader.whole("in_channels", 3, 1, kMostChannels);
  const int64_t out = reader.whole("out_channels", 3, 1, kMostChannels);
  if (out != c.image_channels)
    throw UserError(cat(where, ": in_channels is ", c.image_channels, " and out_channels ", out,
                        "; an autoencoder gives back what it takes. Check that this config belongs to it."));
  c.latent_channels = reader.whole("latent_channels", 4, 1, kMostChannels);
  c.block_channels = reader.whole_list("block_out_channels", {64}, 1, 1, kMostChannels);
  expect_all(reader, "down_block_types", "DownEncoderBlock2D", c.block_channels.size());
  expect_all(reader, "up_block_types", "UpDecoderBlock2D", c.block_channels.size());
  c.layers_per_block = reader.whole("layers_per_block", 1, 1, 16);
  c.norm_groups = reader.whole("norm_num_groups", 32, 1, kMostChannels);
  c.scaling_factor = reader.number("scaling_factor", 0.18215);
  c.has_quant_conv = reader.truth("use_quant_conv", true);
  c.has_post_quant_conv = reader.truth("use_post_quant_conv", true);
  if (!reader.truth("mid_block_add_attention", true))
    throw UserError(cat(where,
                        ": mid_block_add_attention is false, an architecture that t3d does not have. "
                        "Use the autoencoder of Stable Diffusion 1 or 2."));
  for (const int64_t channels : c.block_channels)
    if (channels % c.norm_groups != 0)
      throw UserError(cat(where, ": norm_num_groups ", c.norm_groups, " does not divide the ", channels,
                          " channels of a block. Check that this config belongs to the model."));
  if (!(c.scaling_factor > 0))
    throw UserError(cat(where, ": scaling_factor is ", c.scaling_factor, " instead of a positive number."));
  return c;
}

AutoencoderConfig read_autoencoder_config(const std::string& path) {
  return autoencoder_config_from_json(io::read_json_file(path), path);
}

nlohmann::json autoencoder_config_json(const AutoencoderConfig& c) {
  const size_t n = c.block_channels.size();
  return {{"_class_name", "AutoencoderKL"},
          {"act_fn", "silu"},
          {"block_out_channels", c.block_channels},
          {"down_block_types", std::vector<std::string>(n, "DownEncoderBlock2D")},
          {"in_channels", c.image_channels},
          {"latent_channels", c.latent_channels},
          {"layers_per_block", c.layers_per_block},
          {"norm_num_groups", c.norm_groups},
          {"out_channels", c.image_channels},
          {"scaling_factor", c.scaling_factor},
          {"up_block_types", std::vector<std::string>(n, "UpDecoderBlock2D")},
          {"use_post_quant_conv", c.has_post_quant_conv},
          {"use_quant_conv", c.has_quant_conv}};
}

}  // namespace t3d::diffusion
