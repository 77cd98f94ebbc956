#include "t3d/shading/pbr_material.h"

#include <ATen/ATen.h>

#include <filesystem>

#include "t3d/core/log.h"
#include "t3d/io/image_hdr.h"
#include "t3d/raster/texture.h"
#include "t3d/shading/fg_table.h"
#include "t3d/shading/sky.h"

namespace t3d::shading {
namespace {

constexpr int64_t kLightSize = 512, kTableSize = 256;

at::Tensor unit_vectors(const at::Tensor& v) {
  return v / v.norm(2, at::IntArrayRef{-1}, true).clamp_min(1e-12);
}

at::Tensor dot_rows(const at::Tensor& a, const at::Tensor& b) {
  return (a * b).sum(-1, true);
}

bool is_there(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

/// [6,512,512,3], scaled.
at::Tensor light_of(const PbrMaterial::Config& config) {
  const std::string& path = config.environment_texture;
  PbrMaterial::check_environment(path);
  if (!is_there(path)) {
    log::info(cat(
        path, " is not there; the light is a built-in sky (material.environment_texture names a picture)"));
    return sky_cube(kLightSize) * config.environment_scale;
  }
  const io::ImageF picture = io::read_hdr(path);
  const at::Tensor latlong = at::from_blob(const_cast<float*>(picture.pixels.data()),
                                           {picture.height, picture.width, 3}, at::kFloat);
  return cube_of_latlong(latlong * config.environment_scale, kLightSize,
                         config.environment_up == "z" ? UpAxis::Z : UpAxis::Y);
}

std::shared_ptr<const EnvironmentLight> make_light(const PbrMaterial::Config& config, c10::Device device) {
  EnvironmentLightOptions options;
  if (config.reference_light_weights) options.weight = TexelWeight::Threestudio;
  return std::make_shared<EnvironmentLight>(light_of(config).to(device), options);
}

at::Tensor make_table(c10::Device device) {
  const std::string path = PbrMaterial::kTableFile;
  return (is_there(path) ? read_fg_table(path) : fg_table(kTableSize)).to(device);
}

}  // namespace

PbrMaterial::PbrMaterial(const Config& config, const field::BuildContext& context)
    : PbrMaterial(config, make_light(config, context.device), make_table(context.device)) {}

PbrMaterial::PbrMaterial(const Config& config, std::shared_ptr<const EnvironmentLight> light,
                         const at::Tensor& table)
    : config_(config),
      activation_(field::activation_by_name(config.material_activation, "material.material_activation")),
      light_(std::move(light)),
      table_(table.unsqueeze(0)) {}

void PbrMaterial::check_environment(const std::string& path) {
  if (path != kDefaultTexture && !is_there(path))
    throw SystemError(
        cat("material.environment_texture: there is no file ", path,
            ". Name a lat-long Radiance picture (.hdr), or leave the key out for a built-in sky."));
}

PbrMaterial::Properties PbrMaterial::properties_of(const at::Tensor& features) const {
  const at::Tensor m = activation_(first_channels(features, config_.use_bump ? 8 : 5, "pbr-material"));
  const auto between = [](const at::Tensor& x, float low, float high) { return x * (high - low) + low; };
  Properties p;
  p.albedo = m.narrow(-1, 0, 3);
  p.metallic = between(m.narrow(-1, 3, 1), config_.min_metallic, config_.max_metallic);
  p.roughness = between(m.narrow(-1, 4, 1), config_.min_roughness, config_.max_roughness);
  if (!config_.use_bump) return p;
  const at::Tensor straight = at::tensor({0.0f, 0.0f, 1.0f}).to(m.device());
  p.bump = unit_vectors((m.narrow(-1, 5, 3) * 2 - 1 + straight).clamp(-1, 1));
  return p;
}

at::Tensor PbrMaterial::operator()(const ShadingInput& in, Rng&) const {
  const Properties p = properties_of(in.features);
  T3D_CHECK(in.shading_normal.defined() && in.view_directions.defined(),
            "pbr-material is shaded without normals or view directions");
  at::Tensor n = in.shading_normal;  // [N,3]
  if (config_.use_bump) {
    if (!in.tangent.defined())
      throw UserError(
          "pbr-material bends normals by tangents, which the renderer does not give. Use "
          "nvdiff-rasterizer, or set system.material.use_bump=false.");
    const at::Tensor bitangent = unit_vectors(at::cross(in.tangent, n, -1));
    n = unit_vectors(in.tangent * p.bump.narrow(-1, 0, 1) - bitangent * p.bump.narrow(-1, 1, 1) +
                     n * p.bump.narrow(-1, 2, 1));
  }
  const at::Tensor v = -in.view_directions, cosine = dot_rows(n, v);  // [N,3], [N,1]
  const at::Tensor reflected = 2 * cosine * n - v;
  const at::Tensor place = at::cat({cosine.clamp(0, 1), p.roughness.clamp(0, 1)}, -1);
  const raster::TextureOptions clamped{raster::TextureFilter::Linear, raster::TextureBoundary::Clamp, {}};
  const at::Tensor fg = raster::texture(table_, place.reshape({1, 1, -1, 2}), clamped).reshape({-1, 2});
  const at::Tensor f0 = 0.04 * (1 - p.metallic) + p.metallic * p.albedo;
  const at::Tensor specular = f0 * fg.narrow(-1, 0, 1) + fg.narrow(-1, 1, 1);
  const at::Tensor diffuse = (1 - p.metallic) * p.albedo;
  return (diffuse * light_->diffuse(n) + specular * light_->specular(reflected, p.roughness)).clamp(0, 1);
}

MaterialMaps PbrMaterial::maps(const at::Tensor& features) const {
  const Properties p = properties_of(features);
  MaterialMaps out = {{"albedo", p.albedo.clamp(0, 1)},
                      {"metallic", p.metallic.clamp(0, 1)},
                      {"roughness", p.roughness.clamp(0, 1)}};
  if (config_.use_bump) out.emplace("bump", (p.bump + 1) / 2);
  return out;
}

void PbrMaterial::collect(const std::string& prefix, field::NamedTensors&,
                          field::NamedTensors& buffers) const {
  buffers.emplace(prefix + "light.base", light_->base());
  buffers.emplace(prefix + "FG_LUT", table_);
}

}  // namespace t3d::shading
