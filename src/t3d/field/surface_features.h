#pragma once

#include <memory>

#include "t3d/field/capabilities.h"
#include "t3d/field/encoding.h"
#include "t3d/field/geometry_config.h"
#include "t3d/field/network.h"

namespace t3d::field {

/// Features of the points of a surface, from an encoding and a network over [-radius, radius]^3. Points
/// outside are not clamped.
class SurfaceFeatures : public AppearanceField {
 public:
  SurfaceFeatures(const FeatureConfig& config, float radius, const BuildContext& context);

  at::Tensor features_at(const at::Tensor& points) const override;
  void collect(const std::string& prefix, NamedTensors& parameters, NamedTensors& buffers) const;
  void update_step(int64_t step) { encoding_->update_step(step); }

 private:
  float radius_;
  std::unique_ptr<Encoding> encoding_;
  std::unique_ptr<Network> network_;  ///< none where n_feature_dims is 0
};

}  // namespace t3d::field
