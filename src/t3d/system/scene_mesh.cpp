#include "t3d/system/scene_mesh.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "t3d/export/export_mesh.h"
#include "t3d/render/io_mesh.h"

namespace t3d::system {
namespace {

at::Tensor as_tensor(size_t n, const Vec3f* points, c10::Device device) {
  const auto out = at::empty({static_cast<int64_t>(n), 3}, at::kFloat);
  std::copy_n(points->data(), 3 * n, out.data_ptr<float>());
  return out.to(device);
}

/// [n,c] -> the same numbers.
export_::MapValues map_values(const at::Tensor& rows) {
  const at::Tensor here = rows.to(at::kCPU, at::kFloat).contiguous();
  const float* first = here.data_ptr<float>();
  return {static_cast<int>(here.size(1)), {first, first + here.numel()}};
}

}  // namespace

export_::MeshSource mesh_source(const System& system) {
  export_::MeshSource source;
  const auto ask = [&system](const auto& question) {
    return [&system, question](size_t n, const Vec3f* points, float* values) {
      const c10::NoGradGuard no_grad;
      const at::Tensor out = question(as_tensor(n, points, system.context().device));  // [n,1]
      const auto here = out.to(at::kCPU, at::kFloat).contiguous();
      std::copy_n(here.data_ptr<float>(), n, values);
    };
  };
  const bool is_cut = system.geometry().distance() != nullptr || system.geometry().density() != nullptr;
  if (!is_cut && system.geometry().surface() != nullptr) {
    const c10::NoGradGuard no_grad;
    source.surface = std::make_shared<io::Mesh>(render::io_mesh(system.geometry().surface()->surface_mesh()));
  } else if (const field::DistanceField* distance = system.geometry().distance()) {
    source.field.depth =
        ask([distance](const at::Tensor& x) { return distance->surface_level() - distance->distance_at(x); });
  } else {
    const field::DensityField& density = field::need_density(system.geometry(), "the export of a mesh");
    source.field.density = ask([&density](const at::Tensor& x) { return density.density_at(x); });
  }
  const field::AppearanceField* appearance = system.geometry().appearance();
  source.maps = [&system, appearance](size_t n, const Vec3f* points, const Vec3f*) {
    const c10::NoGradGuard no_grad;
    at::Tensor features;
    if (appearance != nullptr)
      features = appearance->features_at(as_tensor(n, points, system.context().device));
    export_::NamedMaps maps;
    for (const auto& [name, rows] : system.material().maps(features)) maps.emplace(name, map_values(rows));
    return maps;
  };
  return source;
}

void fit_surface_options(const System& system, export_::SurfaceOptions& options) {
  const float r = system.geometry().radius();
  options.box = {Vec3f::Constant(-r), Vec3f::Constant(r)};
  if (system.geometry().distance() != nullptr) options.n_smoothings = 0;
}

io::Mesh scene_mesh(const System& system, const SceneMeshOptions& options) {
  export_::ExportOptions all;
  all.surface.resolution = options.resolution;
  all.surface.small_part = options.small_part;
  fit_surface_options(system, all.surface);
  all.has_uv = false;
  return export_::make_meshes(mesh_source(system), all).coloured;
}

}  // namespace t3d::system
