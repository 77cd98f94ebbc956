#include "t3d/shading/material.h"

#include <ATen/ATen.h>

#include "t3d/shading/diffuse_point_light.h"
#include "t3d/shading/hybrid_rgb_latent.h"
#include "t3d/shading/no_material.h"
#include "t3d/shading/pbr_material.h"
#include "t3d/shading/sd_latent_adapter.h"

namespace t3d::shading {

at::Tensor first_channels(const at::Tensor& features, int64_t n, const char* material) {
  const int64_t given = features.defined() ? features.size(-1) : 0;
  if (given < n)
    throw UserError(cat("the geometry gives ", given, " feature channels, but ", material, " takes ", n,
                        ". Set geometry.n_feature_dims to ", n, " or more."));
  return features.narrow(-1, 0, n);
}

MaterialRegistry& materials() {
  using R = MaterialRegistry;
  static R table(
      "material", "from features to colour (system.material_type)",
      {R::entry<NoMaterial>("no-material", "features are the colour"),
       R::entry<DiffusePointLight>("diffuse-with-point-light-material",
                                   "Lambertian shading by one point light"),
       R::entry<PbrMaterial>("pbr-material", "metal and dielectric with bumps, lit by an environment"),
       R::entry<HybridRgbLatent>("hybrid-rgb-latent-material",
                                 "features are a latent image whose first three channels are a colour"),
       R::entry<SdLatentAdapter>("sd-latent-adapter-material",
                                 "a learned matrix from Stable Diffusion's latents to colour")});
  return table;
}

}  // namespace t3d::shading
