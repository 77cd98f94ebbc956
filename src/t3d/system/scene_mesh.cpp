#include "t3d/system/scene_mesh.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <memory>
#include <mutex>

#include "t3d/core/log.h"

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
  const auto ask = [&system](const auto& question) {
    return [&system, question](size_t n, const Vec3f* points, float* values) {
      const c10::NoGradGuard no_grad;
      const at::Tensor out = question(as_tensor(n, points, system.context().device));  // [n,1]
      const auto here = out.to(at::kCPU, at::kFloat).contiguous();
      std::copy_n(here.data_ptr<float>(), n, values);
    };
  };
  if (const field::DistanceField* distance = system.geometry().distance()) {
    sampler.depth =
        ask([distance](const at::Tensor& x) { return distance->surface_level() - distance->distance_at(x); });
  } else {
    const field::DensityField& density = field::need_density(system.geometry(), "the export of a mesh");
    sampler.density = ask([&density](const at::Tensor& x) { return density.density_at(x); });
  }
  const field::AppearanceField* appearance = system.geometry().appearance();
  const auto said = std::make_shared<std::once_flag>();
  sampler.colour = [&system, appearance, said](size_t n, const Vec3f* points, const Vec3f*, Vec3f* colours) {
    const c10::NoGradGuard no_grad;
    at::Tensor features;
    if (appearance != nullptr)
      features = appearance->features_at(as_tensor(n, points, system.context().device));
    const auto maps = system.material().maps(features);
    const auto albedo = maps.find("albedo");
    if (albedo == maps.end()) {
      std::call_once(*said, [] { log::warning("the material exports no colour: the model becomes white."); });
      std::fill_n(colours, n, Vec3f(1, 1, 1));
      return;
    }
    const auto rgb = albedo->second.to(at::kCPU, at::kFloat).contiguous();  // [n,3]
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
  if (system.geometry().distance() != nullptr) out.surface.n_smoothings = 0;  // there is no grain
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
