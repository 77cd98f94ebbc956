#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "t3d/field/capabilities.h"

namespace t3d::render {

/// Images [B,H,W,C]; and in training, what each of the N samples gave, for losses. A renderer leaves
/// undefined what it does not make. Every tensor is listed in output_fields().
struct RenderOutput {
  at::Tensor comp_rgb, comp_rgb_fg, comp_rgb_bg;  ///< C channels of the material
  at::Tensor opacity, depth, z_variance;          ///< 1 channel; depth is not divided by opacity
  at::Tensor comp_normal;                         ///< in [0,1], times opacity; undefined without normals
  at::Tensor weights, t_points, t_intervals;      ///< [N,1]
  at::Tensor points, t_dirs;                      ///< [N,3]
  at::Tensor ray_indices;                         ///< [N] int64, of the pixels, image after image
  at::Tensor normal_perturb;                      ///< [N,3] on request
  at::Tensor inv_std;                             ///< [] sharpness of the surface of a signed distance
  at::Tensor mesh_vertices;                       ///< [V,3] of a surface; with its graph
  at::Tensor mesh_faces;                          ///< [F,3] int64
  field::GeometryOutput geometry;                 ///< [N,.]
};

/// What a field of the output belongs to, which says how the outputs of an image's parts are put together.
enum class FieldOf {
  Pixels,   ///< [B,H,W,C]: a part has a part of the rows
  Samples,  ///< [N,.]: one part's after another's
  Rays,     ///< [N] numbers of rays, each part counting its own
  All       ///< the same tensor in every part
};

struct OutputField {
  std::string name;  ///< "comp_rgb", "geometry.normal"
  FieldOf of;
  std::function<at::Tensor&(RenderOutput&)> in;

  const at::Tensor& of_output(const RenderOutput& out) const { return in(const_cast<RenderOutput&>(out)); }
};

/// All fields, always in one order: what takes an output apart, puts it together or hands its gradients on
/// walks this list, so that a new field needs no other line. It does not compile without one.
const std::vector<OutputField>& output_fields();
/// One of them. BugError for another name.
const OutputField& output_field(const std::string& name);

}  // namespace t3d::render
