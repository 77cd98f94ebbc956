#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "t3d/core/registry.h"
#include "t3d/core/rng.h"
#include "t3d/field/component.h"

namespace t3d::shading {

/// N points to be shaded. What a material has no use for may be undefined.
struct ShadingInput {
  at::Tensor features;                 ///< [N,F] raw, from the geometry
  at::Tensor positions;                ///< [N,3]
  at::Tensor light_positions;          ///< [N,3]
  at::Tensor view_directions;          ///< [N,3] unit, from the camera to the point
  at::Tensor shading_normal;           ///< [N,3]; needed where requires_normal()
  at::Tensor tangent;                  ///< [N,3] unit; needed where requires_tangent()
  std::optional<float> ambient_ratio;  ///< the caller's light instead of the config's: ka, with kd = 1 - ka
  std::optional<std::string> shading;  ///< "albedo", "textureless" or "diffuse", instead of a draw
  bool is_training = false;
};

/// What an exported model may hold, by name: "albedo" [N,3], "metallic" [N,1], "roughness" [N,1] and "bump"
/// [N,3] (a unit vector n in the frame of tangent, bitangent and normal, as (n + 1)/2). All in [0,1].
using MaterialMaps = std::map<std::string, at::Tensor>;

/// From features to colour: threestudio's system.material.
class Material : public field::Component {
 public:
  virtual bool requires_normal() const = 0;
  /// Whether the caller must give tangents, which a surface with texture coordinates has.
  virtual bool requires_tangent() const { return false; }
  /// Returns [N,C].
  virtual at::Tensor operator()(const ShadingInput& input, Rng& rng) const = 0;
  /// The material at N points by their features [N,F]; empty for a material that exports nothing.
  virtual MaterialMaps maps(const at::Tensor& features) const = 0;
};

/// The first `n` channels of features [N,F]. Throws UserError, in the name of the material, where the
/// geometry gives fewer.
at::Tensor first_channels(const at::Tensor& features, int64_t n, const char* material);

/// The table of materials by `system.material_type`.
using MaterialRegistry = Registry<Material, const field::BuildContext&>;
MaterialRegistry& materials();

}  // namespace t3d::shading
