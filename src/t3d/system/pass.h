#pragma once

#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "t3d/render/render_output.h"

namespace t3d::system {

/// An image of the rendering that the guidance is asked about.
struct GuidancePass {
  std::string image = "comp_rgb";  ///< by its name in output_fields()
  bool is_latent = false;          ///< it holds latents, not colours
  double factor = 1;               ///< of the guidance's losses, beside their weights
  std::string prefix;              ///< of its metrics: "normal_" gives normal_loss_sds
  /// Makes what is asked about out of the rendering, where it is not `image` itself.
  std::function<at::Tensor(const render::RenderOutput&)> make = {};
};

/// What a training step adds up, in this order: passes through the guidance, and terms of term.h by name.
using StepPlan = std::vector<std::variant<GuidancePass, std::string>>;

}  // namespace t3d::system
