#include "t3d/diffusion/model_family.h"

#include <algorithm>

namespace t3d::diffusion {
namespace {

struct Sign {
  const char* part;  ///< of a name, with underscores for dots
  const char* family;
};

/// The first that fits counts: what only one family has stands before what two share.
constexpr Sign kSigns[] = {{"lora_controlnet", "a ControlNet"},
                           {"input_hint_block", "a ControlNet"},
                           {"controlnet_down_blocks", "a ControlNet"},
                           {"joint_blocks", "Stable Diffusion 3"},
                           {"double_blocks", "Flux, or a video model of its form"},
                           {"single_blocks", "Flux, or a video model of its form"},
                           {"single_transformer_blocks", "Flux"},
                           {"img_mlp", "Qwen-Image"},
                           {"add_k_proj", "Stable Diffusion 3 or Flux"},
                           {"adaln_single", "PixArt or LTX-Video"},
                           {"feed_forward_w1", "Lumina or Z-Image"},
                           {"blocks_0_cross_attn", "Wan, a video model"},
                           {"prior_unet", "Stable Cascade"},
                           {"motion_modules", "AnimateDiff, a video model"},
                           {"temporal_transformer", "a video model"},
                           {"conditioner_embedders_1_", "Stable Diffusion XL"},
                           {"lora_te2_", "Stable Diffusion XL"},
                           {"text_encoder_2_", "Stable Diffusion XL"},
                           {"label_emb", "Stable Diffusion XL"},
                           {"add_embedding", "Stable Diffusion XL"},
                           {"attentions_0_transformer_blocks_1_", "Stable Diffusion XL"},
                           {"attentions_1_transformer_blocks_1_", "Stable Diffusion XL"},
                           {"input_blocks_4_1_transformer_blocks_1_", "Stable Diffusion XL"},
                           {"input_blocks_7_1_transformer_blocks_1_", "Stable Diffusion XL"},
                           {"model_layers_0_self_attn", "a language model"},
                           {"model_layers_0_mlp", "a language model"}};

}  // namespace

std::string foreign_family(const std::vector<std::string>& names) {
  size_t best = std::size(kSigns);
  for (std::string name : names) {
    std::replace(name.begin(), name.end(), '.', '_');
    for (size_t i = 0; i < best; ++i)
      if (name.find(kSigns[i].part) != std::string::npos) best = i;
  }
  return best < std::size(kSigns) ? kSigns[best].family : "";
}

}  // namespace t3d::diffusion
