#pragma once

#include <ATen/core/Tensor.h>

#include <mutex>
#include <vector>

#include "t3d/shading/cube_filter.h"

namespace t3d::shading {

struct EnvironmentLightOptions {
  int64_t smallest = 16;                              ///< texels along a side of the coarsest level
  float min_roughness = 0.08f, max_roughness = 0.5f;  ///< of the finest level, and of the one before the last
  TexelWeight weight = TexelWeight::SolidAngle;
};

/// Light from far away, as a cube map (raster/cube_map.h), ready to be looked up by surfaces: Karis 2013,
/// "Real shading in Unreal Engine 4", the first factor of the split sum. Munkberg et al. 2022, "Extracting
/// triangular 3D models, materials, and lighting from images", arXiv:2111.12503, section 4.
///
/// Level l has half as many texels along a side as level l - 1. Level l is the light that a mirror of
/// roughness min + l/(L - 2) (max - min) shows, the last one that of roughness 1. All are made at the first
/// look, and again after `base` was written, as when a checkpoint is loaded; that takes about a second from
/// 512 texels down.
class EnvironmentLight {
 public:
  /// base [6,N,N,3] float: the light as it comes, not filtered. N is `smallest` times a power of two, or less
  /// than twice `smallest`.
  explicit EnvironmentLight(at::Tensor base, const EnvironmentLightOptions& options = {});

  /// Light on a diffuse surface over pi, by its normal: [N,3] from unit vectors [N,3], with gradients to
  /// them.
  at::Tensor diffuse(const at::Tensor& normals) const;
  /// Light that a mirror shows by the reflected direction [N,3], of any length, and its roughness [N,1]:
  /// [N,3], mixed of the two nearest levels, with gradients to both.
  at::Tensor specular(const at::Tensor& directions, const at::Tensor& roughness) const;
  /// Where between the levels a roughness lies: [N,1], with gradients.
  at::Tensor level_of(const at::Tensor& roughness) const;

  /// Shared, not copied.
  const at::Tensor& base() const { return base_; }

  struct Filtered {
    at::Tensor diffuse;                ///< [1,6,n,n,3] of the coarsest level's size
    std::vector<at::Tensor> specular;  ///< each [1,6,n,n,3]
  };
  /// Shared; stays valid while nobody writes `base`.
  Filtered filtered() const;

 private:
  at::Tensor base_;
  EnvironmentLightOptions options_;
  mutable std::mutex mutex_;
  mutable Filtered filtered_;
  mutable uint32_t version_ = 0;  // of base_ that filtered_ was made of
};

/// The axis of the scene that a lat-long picture's upper edge lies towards.
enum class UpAxis { Y, Z };

/// A cube map [6,n,n,3] float of a lat-long picture [H,W,3], whose middle lies towards -z where up is y,
/// towards +x where it is z: bilinear at u = atan2(x,-z)/(2 pi) + 0.5, v = acos(y)/pi (for up = z with -y, z,
/// x in place of x, y, -z). The picture is repeated both ways, so that the poles' first and last rows mix.
at::Tensor cube_of_latlong(const at::Tensor& latlong, int64_t n, UpAxis up = UpAxis::Y);

}  // namespace t3d::shading
