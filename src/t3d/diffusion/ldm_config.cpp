#include "t3d/diffusion/ldm_config.h"

#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "t3d/diffusion/model_family.h"
#include "t3d/diffusion/unet_config.h"

namespace t3d::diffusion {
namespace {

/// Enough to tell the known shapes apart: width of the stem and of the text, camera, projection.
bool fits(const TensorSource& unet, const UNetConfig& config) {
  const std::string projection = "down_blocks.0.attentions.0.proj_in.weight",
                    text = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight",
                    camera = "camera_embedding.linear_1.weight";
  if (!unet.has("conv_in.weight") || !unet.has(text) || !unet.has(projection)) return false;
  const auto stem = unet.shape("conv_in.weight"), context = unet.shape(text);
  return stem.size() == 4 && stem[0] == config.block_channels[0] && stem[1] == config.in_channels &&
         context.size() == 2 && context[1] == config.text_channels &&
         unet.has(camera) == (config.camera_inputs > 0) &&
         (unet.shape(projection).size() == 2) == config.linear_projection;
}

}  // namespace

nlohmann::json ldm_unet_config(const TensorSource& unet, const nlohmann::json& beside,
                               const std::string& where) {
  const nlohmann::json::json_pointer place("/model/params/unet_config/params");
  if (beside.is_object() && beside.contains(place))
    return unet_config_json(unet_config_from_ldm(beside.at(place), where));
  UNetConfig sd15_views = sd15_unet_config();  // MVDream's smaller model
  sd15_views.camera_inputs = 16;
  for (const UNetConfig& config : {sd21_unet_config(), sd15_unet_config(), mvdream_unet_config(), sd15_views})
    if (fits(unet, config)) return unet_config_json(config);
  const std::string family = foreign_family(unet.names());
  throw UserError(
      cat(where, ": its UNet has the shapes of none of SD 1.x, SD 2.x and MVDream",
          family.empty() ? "" : cat("; by its tensors it is of ", family),
          ". Put the ldm config beside it as config.json (the .yaml of its repository, as JSON)."));
}

nlohmann::json scheduler_config(const std::string& class_name, const std::string& prediction_type) {
  return {{"_class_name", class_name},   {"beta_start", 0.00085},
          {"beta_end", 0.012},           {"beta_schedule", "scaled_linear"},
          {"num_train_timesteps", 1000}, {"prediction_type", prediction_type},
          {"clip_sample", false},        {"set_alpha_to_one", false},
          {"skip_prk_steps", true},      {"steps_offset", 1},
          {"trained_betas", nullptr}};
}

nlohmann::json ldm_scheduler_config(const TensorSource& file, const LdmKind& kind) {
  std::string name = file.where().substr(file.where().rfind('/') + 1);
  const bool is_velocity = name.rfind("v2-1_768", 0) == 0 || name.rfind("768-v", 0) == 0;
  return scheduler_config(kind.is_open_clip ? "DDIMScheduler" : "PNDMScheduler",
                          is_velocity ? "v_prediction" : "epsilon");
}

nlohmann::json model_index(const std::string& scheduler_class) {
  const auto pair = [](const char* library, const std::string& type) {
    return nlohmann::json::array({library, type});
  };
  return {{"_class_name", "StableDiffusionPipeline"},
          {"scheduler", pair("diffusers", scheduler_class)},
          {"text_encoder", pair("transformers", "CLIPTextModel")},
          {"tokenizer", pair("transformers", "CLIPTokenizer")},
          {"unet", pair("diffusers", "UNet2DConditionModel")},
          {"vae", pair("diffusers", "AutoencoderKL")},
          {"requires_safety_checker", false}};
}

}  // namespace t3d::diffusion
