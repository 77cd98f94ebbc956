#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace t3d::diffusion {

/// What class_labels are and how they reach the time embedding.
enum class ClassEmbedding {
  None,
  Table,             ///< [B] whole numbers, one learned row each
  Timestep,          ///< [B] numbers, through the sinusoids of the timestep and an MLP of their own
  Identity,          ///< [B,time_dim], added as they are
  Projection,        ///< [B,n] through an MLP: the camera of variational score distillation
  SimpleProjection,  ///< [B,n] through one linear layer
};

/// Shape of a UNet2DConditionModel of the Stable Diffusion 1 and 2 family. The defaults are SD 1.5.
struct UNetConfig {
  int64_t in_channels = 4, out_channels = 4;
  int64_t sample_size = 64;  ///< latent height and width that it was trained at
  std::vector<int64_t> block_channels{320, 640, 1280, 1280};
  std::vector<int64_t> n_heads{8, 8, 8, 8};                  ///< per level, outermost first
  std::vector<bool> has_attention{true, true, true, false};  ///< per level, down and up alike
  std::vector<int64_t> transformer_depth{1, 1, 1, 1};
  int64_t layers_per_block = 2;
  int64_t text_channels = 768;     ///< width of the text embedding
  bool linear_projection = false;  ///< how proj_in and proj_out are stored
  bool upcast_attention = false;   ///< always done, see attention.h; kept for writing
  int64_t norm_groups = 32;
  double norm_eps = 1e-5;
  bool cosine_first = true;  ///< flip_sin_to_cos
  double frequency_shift = 0;
  ClassEmbedding class_embedding = ClassEmbedding::None;
  int64_t class_inputs = 0;   ///< rows of the table, or width of what is projected
  int64_t camera_inputs = 0;  ///< 16 for MVDream: a second MLP beside the time embedding; 0 none

  int64_t time_channels() const { return 4 * block_channels.front(); }
};

/// From diffusers' config.json, all versions; "camera_dim" is our own addition, for MVDream. Note that in
/// these files `attention_head_dim` is the number of heads, not their width. Throws UserError for another
/// architecture, for sizes that do not divide, and for values of the wrong kind.
UNetConfig unet_config_from_json(const nlohmann::json& json, const std::string& where);
UNetConfig read_unet_config(const std::string& path);
/// From `unet_config.params` of an ldm config (Stable Diffusion's and MVDream's own repositories).
UNetConfig unet_config_from_ldm(const nlohmann::json& params, const std::string& where);
/// diffusers' config.json.
nlohmann::json unet_config_json(const UNetConfig& config);

/// The published shapes.
UNetConfig sd15_unet_config();
UNetConfig sd21_unet_config();
UNetConfig mvdream_unet_config();

}  // namespace t3d::diffusion
