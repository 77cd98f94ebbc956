#include "t3d/system/scene_mesh.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

namespace t3d::system {
namespace {

at::Tensor as_tensor(size_t n, const Vec3f* points, c10::Device device) {
  const auto out = at::empty({static_cast<int64_t>(n), 3}, at::kFloat);
  std::copy_n(points->data(), 3 * n, out.data_ptr<float>());
  return out.to(device);
}

}  // namespace

export_::FieldSampler field_sampler(const System& system) {
  export_::FieldSampler sampler;
  sampler.density = [&system](size_t n, const Vec3f* points, float* densities) {
    const c10::NoGradGuard no_grad;
    const auto density = system.geometry().density(as_tensor(n, points, system.context().device));
    const auto here = density.to(at::kCPU, at::kFloat).contiguous();
    std::copy_n(here.data_ptr<float>(), n, densities);
  };
  sampler.colour = [&system](size_t n, const Vec3f* points, const Vec3f*, Vec3f* colours) {
    const c10::NoGradGuard no_grad;
    const auto features = system.geometry().features(as_tensor(n, points, system.context().device));
    const auto rgb = system.material().albedo(features).to(at::kCPU, at::kFloat).contiguous();  // [n,3]
    std::copy_n(rgb.data_ptr<float>(), 3 * n, colours->data());
  };
  return sampler;
}

export_::ExportOptions export_options(const System& system, const SceneMeshOptions& options) {
  const float r = system.geometry().radius();
  export_::ExportOptions out;
  out.surface.box = {Vec3f::Constant(-r), Vec3f::Constant(r)};
  out.surface.resolution = options.resolution;
  out.surface.small_part = options.small_part;
  out.surface.n_faces = options.n_faces;
  out.surface.threshold = options.threshold;
  out.texture.size = options.texture_size;
  return out;
}

io::Mesh scene_mesh(const System& system, const SceneMeshOptions& options) {
  return export_::cut_field(field_sampler(system), export_options(system, options).surface).mesh;
}

export_::MeshExport export_scene(const System& system, const SceneMeshOptions& options) {
  return export_::export_field(field_sampler(system), export_options(system, options));
}

}  // namespace t3d::system
