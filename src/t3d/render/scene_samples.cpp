#include "t3d/render/scene_samples.h"

#include <ATen/ATen.h>

#include <vector>

#include "t3d/core/error.h"
#include "t3d/ops/composite.h"
#include "t3d/render/scene_background.h"

namespace t3d::render {
namespace {

field::GeometryOutput evaluate_field(const field::PointField& field, const at::Tensor& points,
                                     bool with_normals, int64_t chunk) {
  const int64_t n = points.size(0);
  if (chunk <= 0 || n <= chunk) return field.samples_at(points, with_normals);
  std::vector<field::GeometryOutput> all;
  for (int64_t begin = 0; begin < n; begin += chunk)
    all.push_back(field.samples_at(points.slice(0, begin, begin + chunk), with_normals));
  field::GeometryOutput out;
  for (const auto& [name, member] : field::kGeometryFields) {
    if (!(all[0].*member).defined()) continue;
    std::vector<at::Tensor> rows;
    for (const auto& each : all) rows.push_back(each.*member);
    out.*member = at::cat(rows);
  }
  return out;
}

}  // namespace

SceneSamples evaluate_samples(const Scene& scene, const field::PointField& field,
                              const RenderRequest& request, const ops::RaySamples& samples, bool with_normals,
                              int64_t chunk, bool is_training, Rng& rng) {
  const Rays& rays = request.rays();
  const auto o = rays.origins.reshape({-1, 3}), d = rays.directions.reshape({-1, 3});  // [R,3]
  const int64_t rays_per_view = request.height() * request.width();
  SceneSamples s;
  s.at = samples;
  s.t_dirs = d.index_select(0, samples.ray_indices);
  s.points = o.index_select(0, samples.ray_indices) + s.t_dirs * samples.t.unsqueeze(1);
  s.geometry = evaluate_field(field, s.points, with_normals, is_training ? 0 : chunk);

  shading::ShadingInput shade;
  shade.features = s.geometry.features;
  shade.positions = s.points;
  shade.view_directions = s.t_dirs;
  shade.shading_normal = s.geometry.shading_normal;
  if (request.light_positions.defined())
    shade.light_positions =
        request.light_positions.index_select(0, samples.ray_indices.div(rays_per_view, "floor"));  // [N,3]
  shade.is_training = is_training;
  if (is_training) shade.ambient_ratio = request.ambient_ratio, shade.shading = request.shading;
  s.colour = (*scene.material)(shade, rng);
  return s;
}

at::Tensor normal_picture(const SceneSamples& s, const at::Tensor& weights, const at::Tensor& opacity) {
  const auto sum = ops::accumulate_along_rays(weights, s.geometry.normal, s.at.ray_start);  // [R,3]
  const auto mean = field::unit_rows(sum.reshape({opacity.size(0), opacity.size(1), opacity.size(2), 3}));
  return (mean + 1) / 2 * opacity;
}

RenderOutput composite_samples(const Scene& scene, const RenderRequest& request, const SceneSamples& s,
                               const at::Tensor& weights, bool is_training, Rng& rng) {
  const int64_t B = request.n_images(), H = request.height(), W = request.width();
  const auto picture = [&](const at::Tensor& values) {
    return ops::accumulate_along_rays(weights, values, s.at.ray_start).reshape({B, H, W, -1});
  };
  RenderOutput out;
  out.opacity = picture({});
  out.depth = picture(s.at.t.unsqueeze(1));
  out.comp_rgb_fg = picture(s.colour);
  out.comp_rgb_bg = background_of(scene, request, s.colour.size(1), is_training, rng);
  out.comp_rgb = out.comp_rgb_fg + out.comp_rgb_bg * (1 - out.opacity);
  if (!is_training) return out;  // samples are for losses
  out.weights = weights.unsqueeze(1);
  out.t_points = s.at.t.unsqueeze(1);
  out.t_intervals = s.at.dt.unsqueeze(1);
  out.ray_indices = s.at.ray_indices;
  out.points = s.points;
  out.t_dirs = s.t_dirs;
  out.geometry = s.geometry;
  return out;
}

}  // namespace t3d::render
