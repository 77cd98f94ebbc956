#include "t3d/system/isosurface_keys.h"

#include <algorithm>

#include "t3d/core/config/struct_io.h"
#include "t3d/core/error.h"

namespace t3d::system {

IsosurfaceKeys isosurface_keys(const config::Node& geometry) {
  const auto path = [](const char* key) { return cat("system.geometry.", key); };
  const auto given = [&](const char* key) {
    const config::Node* node = geometry.find(key);
    return node == nullptr || node->is_null() ? nullptr : node;
  };
  if (const auto* is_wanted = given("isosurface");
      is_wanted != nullptr && !config::to_bool(*is_wanted, path("isosurface")))
    throw UserError(
        "system.geometry.isosurface is false, so that there is no mesh to export. Override it with "
        "system.geometry.isosurface=true.");
  IsosurfaceKeys keys;
  if (const auto* resolution = given("isosurface_resolution"))
    keys.resolution = static_cast<int>(config::to_int(*resolution, path("isosurface_resolution"), 16, 1024));
  if (const auto* threshold = given("isosurface_threshold"); threshold != nullptr && !threshold->is_string())
    keys.threshold =
        std::max(0.0f, static_cast<float>(config::to_float(*threshold, path("isosurface_threshold"))));
  if (const auto* least = given("isosurface_outlier_n_faces_threshold"))
    keys.small_part = config::to_float(*least, path("isosurface_outlier_n_faces_threshold"));
  if (const auto* removes = given("isosurface_remove_outliers");
      removes != nullptr && !config::to_bool(*removes, path("isosurface_remove_outliers")))
    keys.small_part = 0;
  return keys;
}

}  // namespace t3d::system
