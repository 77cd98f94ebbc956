#pragma once

#include <memory>
#include <optional>
#include <string>

#include "t3d/core/registry.h"
#include "t3d/core/rng.h"
#include "t3d/field/component.h"

namespace t3d::shading {

/// N points to be shaded. Directions and positions may be undefined for materials that do not need them.
struct ShadingInput {
  at::Tensor features;                 ///< [N,F] raw, from the geometry
  at::Tensor positions;                ///< [N,3]
  at::Tensor light_positions;          ///< [N,3]
  at::Tensor shading_normal;           ///< [N,3]; needed where requires_normal()
  std::optional<float> ambient_ratio;  ///< the caller's light instead of the config's: ka, with kd = 1 - ka
  std::optional<std::string> shading;  ///< "albedo", "textureless" or "diffuse", instead of a draw
  bool is_training = false;
};

/// From features to colour: threestudio's system.material.
class Material : public field::Component {
 public:
  virtual bool requires_normal() const = 0;
  /// Returns [N,C].
  virtual at::Tensor operator()(const ShadingInput& input, Rng& rng) const = 0;
  /// What an exported texture holds: [N,3] in [0,1].
  virtual at::Tensor albedo(const at::Tensor& features) const = 0;
};

/// The table of materials by `system.material_type`.
using MaterialRegistry = Registry<Material, const field::BuildContext&>;
MaterialRegistry& materials();

}  // namespace t3d::shading
