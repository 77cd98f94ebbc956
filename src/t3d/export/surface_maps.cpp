#include "t3d/export/surface_maps.h"

#include <algorithm>
#include <memory>

#include "t3d/core/error.h"
#include "t3d/core/log.h"

namespace t3d::export_ {

MapsOf albedo_alone(ColourOf colour_of) {
  return [colour_of = std::move(colour_of)](size_t n, const Vec3f* points, const Vec3f* normals) {
    std::vector<Vec3f> colours(n);
    colour_of(n, points, normals, colours.data());
    MapValues albedo{3, std::vector<float>(3 * n)};
    std::copy_n(reinterpret_cast<const float*>(colours.data()), 3 * n, albedo.values.data());
    return NamedMaps{{"albedo", std::move(albedo)}};
  };
}

ColourOf albedo_of(MapsOf maps_of) {
  return [maps_of = std::move(maps_of), has_warned = std::make_shared<bool>(false)](
             size_t n, const Vec3f* points, const Vec3f* normals, Vec3f* colours) {
    const NamedMaps maps = maps_of(n, points, normals);
    const auto albedo = maps.find("albedo");
    if (albedo == maps.end()) {
      if (!*has_warned) log::warning("the material exports no albedo: the mesh becomes white.");
      *has_warned = true;
      std::fill_n(colours, n, Vec3f(Vec3f::Ones()));
      return;
    }
    T3D_CHECK(albedo->second.channels == 3 && albedo->second.values.size() == 3 * n, "albedo of ",
              albedo->second.channels, " channels");
    for (size_t i = 0; i < n; ++i) colours[i] = Eigen::Map<const Vec3f>(albedo->second.values.data() + 3 * i);
  };
}

}  // namespace t3d::export_
