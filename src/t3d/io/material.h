#pragma once

#include <array>
#include <string>

#include "t3d/math/vec.h"

namespace t3d::io {

/// What lies outside [0,1] of a texture: its repetition, its mirror image, or its edge.
enum class Wrap { Repeat, Mirror, Clamp };
enum class Filter { Linear, Nearest };

/// A texture as one property of a material uses it.
struct TextureSlot {
  int texture = -1;  // index into Mesh::textures, or -1: none
  int uv_set = 0;    // which of the mesh's texture coordinates: Mesh::uv_set()
  /// Applied to (u, v, 1) with v growing upwards, before wrapping.
  Eigen::Matrix<float, 2, 3> transform = Eigen::Matrix<float, 2, 3>::Identity();
  Wrap wrap_u = Wrap::Repeat, wrap_v = Wrap::Repeat;
  Filter filter = Filter::Linear;
  int channel = 0;  // of scalar properties: 0 red, 1 green, 2 blue, 3 alpha

  bool is_set() const { return texture >= 0; }
  Vec2f transformed(const Vec2f& uv) const { return transform * Vec3f(uv.x(), uv.y(), 1.0f); }
};

/// What a surface's alpha means. Opaque: nothing. Mask: below the cutoff there is no surface. Blend: a
/// surface of alpha a stops that fraction of the light.
enum class AlphaMode { Opaque, Mask, Blend };

/// Surface of a part: a diffuse base under a specular coat (metallic 0), or a metal (metallic 1). Every
/// property is its factor times its texture, where it has one; colours and emission are sRGB in textures, all
/// others linear.
struct Material {
  std::string name;
  Vec3f base_colour = Vec3f::Constant(0.8f);  // linear, [0,1]
  Vec3f emission = Vec3f::Zero();             // linear radiance
  Vec3f specular = Vec3f::Constant(0.04f);    // the coat's reflectance straight on, linear, [0,1]
  float metallic = 0.0f;
  float roughness = 0.6f;
  float opacity = 1.0f;  // factor of alpha
  AlphaMode alpha_mode = AlphaMode::Mask;
  float alpha_cutoff = 0.5f;
  bool is_unlit = false;            // shows its base colour, whatever the light
  bool has_glossiness = false;      // roughness and its texture hold 1 - roughness
  bool uses_vertex_colours = true;  // Mesh::colours multiply the base colour, Mesh::alphas alpha
  bool uses_texture_alpha = true;   // the base texture's alpha channel multiplies alpha
  float occlusion_strength = 1.0f;  // 0: the occlusion texture counts for nothing
  float normal_scale = 1.0f;        // of the normal texture's x and y

  TextureSlot base_texture, emission_texture, specular_texture;
  TextureSlot metallic_texture, roughness_texture, opacity_texture, occlusion_texture;  // one channel each
  TextureSlot normal_texture;  // tangent space, x along growing u, y along growing v, as 0.5 n + 0.5

  std::array<const TextureSlot*, 8> slots() const {
    return {&base_texture,      &emission_texture, &specular_texture,  &metallic_texture,
            &roughness_texture, &opacity_texture,  &occlusion_texture, &normal_texture};
  }
};

}  // namespace t3d::io
