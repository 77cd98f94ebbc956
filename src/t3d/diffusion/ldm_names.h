#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "t3d/diffusion/weights.h"

namespace t3d::diffusion {

/// What a single-file checkpoint in ldm naming holds: "model.diffusion_model.", "first_stage_model." and
/// "cond_stage_model." (CLIP in transformers' naming for SD 1, in open_clip's for SD 2 and MVDream).
struct LdmKind {
  bool has_unet = false, has_vae = false, has_text = false;
  bool is_open_clip = false;  ///< text in open_clip's naming
  bool has_camera = false;    ///< MVDream
};
LdmKind ldm_kind(const TensorSource& file);

/// The parts of such a file in diffusers' layout; tensors of other parts (and of the moving average) are left
/// out. Throw UserError when the part is not there.
///
/// open_clip stores query, key and value as one matrix: they become three views of it. Its last layer is left
/// out, since Stable Diffusion 2 is conditioned on the one before; so the number of layers is one less.
std::shared_ptr<TensorSource> ldm_unet_source(const std::shared_ptr<TensorSource>& file);
std::shared_ptr<TensorSource> ldm_vae_source(const std::shared_ptr<TensorSource>& file);
std::shared_ptr<TensorSource> ldm_text_source(const std::shared_ptr<TensorSource>& file);

/// A text encoder in transformers' layout whose names all begin with "text_model.", whether or not they do in
/// the file, without what Stable Diffusion has no use for (position_ids, text_projection).
std::shared_ptr<TensorSource> text_model_source(const std::shared_ptr<TensorSource>& file);

/// One tensor's diffusers name, or an empty string: without the part's prefix.
std::string ldm_vae_name(const std::string& name, int64_t n_levels);
std::string transformers_text_name(const std::string& open_clip_name);

/// config.json of the two parts, from their tensors' shapes, in diffusers' layout. What shapes do not tell is
/// as published: 32 groups, heads of 64, quick_gelu for SD 1 and gelu for SD 2. `config` is the ldm config
/// beside the file, or null; its "cond_stage_text" gives the number of heads.
nlohmann::json vae_config_from_shapes(const TensorSource& vae);
nlohmann::json text_config_from_shapes(const TensorSource& text, bool is_open_clip,
                                       const nlohmann::json& config);

}  // namespace t3d::diffusion
