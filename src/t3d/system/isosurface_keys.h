#pragma once

#include <optional>

#include "t3d/core/config/node.h"

namespace t3d::system {

/// What a geometry's block says of the mesh that is cut from it: threestudio's isosurface_* keys. A key that
/// is not there leaves the exporter's own choice, which is better than threestudio's defaults.
struct IsosurfaceKeys {
  std::optional<int> resolution;     ///< samples along the longest side
  std::optional<double> small_part;  ///< see export_::remove_small_parts; 0: every part is kept
  std::optional<float> threshold;    ///< density of the surface; none for "auto" too
};

/// Throws UserError where `isosurface` is false: no mesh is wanted then.
IsosurfaceKeys isosurface_keys(const config::Node& geometry);

}  // namespace t3d::system
