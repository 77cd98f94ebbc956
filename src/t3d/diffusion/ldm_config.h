#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "t3d/diffusion/ldm_names.h"

namespace t3d::diffusion {

/// config.json of the UNet of a single-file checkpoint. From the ldm config `beside` when it has
/// model.params.unet_config.params; else that of SD 1.5, SD 2.1 or MVDream, whichever has the tensors'
/// shapes. Throws UserError when none has.
nlohmann::json ldm_unet_config(const TensorSource& unet, const nlohmann::json& beside,
                               const std::string& where);

/// scheduler_config.json: Stable Diffusion's noise schedule. Shapes do not tell whether a model predicts
/// noise or velocity: epsilon, except for the published SD 2 files of 768 pixels, which are known by name.
nlohmann::json ldm_scheduler_config(const TensorSource& file, const LdmKind& kind);
nlohmann::json scheduler_config(const std::string& class_name, const std::string& prediction_type);

/// model_index.json of a pipeline with these parts.
nlohmann::json model_index(const std::string& scheduler_class);

}  // namespace t3d::diffusion
