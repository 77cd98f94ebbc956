#pragma once

#include <string>
#include <vector>

namespace t3d::diffusion {

/// The family that a file's tensors give away when it is not Stable Diffusion 1 or 2: "Stable Diffusion XL",
/// "Flux", "a language model". Both of whole models and of LoRA files. Empty when nothing tells.
std::string foreign_family(const std::vector<std::string>& names);

}  // namespace t3d::diffusion
