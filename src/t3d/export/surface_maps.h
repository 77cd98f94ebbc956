#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "t3d/math/vec.h"

namespace t3d::export_ {

/// One map of a surface at n points: values [n,channels] in [0,1], rows one after the other.
struct MapValues {
  int channels = 0;
  std::vector<float> values;
};

/// Maps by name: "albedo" [n,3] (sRGB), "metallic" [n,1], "roughness" [n,1], "bump" [n,3] (a unit normal n in
/// tangent space as (n + 1)/2). Others are not written to files.
using NamedMaps = std::map<std::string, MapValues>;

/// The maps of points on a surface, given its unit normals there. The same names for all points.
using MapsOf = std::function<NamedMaps(size_t n, const Vec3f* points, const Vec3f* normals)>;

/// Fills in sRGB colours in [0,1] of points on a surface, given its unit normals there.
using ColourOf = std::function<void(size_t n, const Vec3f* points, const Vec3f* normals, Vec3f* colours)>;

/// A surface that has an albedo alone.
MapsOf albedo_alone(ColourOf colour_of);

/// The albedo of maps; white, with one warning, where they have none.
ColourOf albedo_of(MapsOf maps_of);

}  // namespace t3d::export_
