#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "t3d/math/camera.h"

namespace t3d::trace {

/// How cameras are spread around the object, all looking at the origin.
///   - sphere: uniform on the whole sphere.
///   - shapenet: azimuth uniform in [0,360), elevation uniform in [0,30) degrees, as GET3D's ShapeNet
///   renders.
///   - orbit: evenly spaced azimuths at one elevation.
///   - mvdream: groups of 4 views at 90 degrees; each group draws one of 32 first azimuths and an elevation
///   in
///     [0,30).
enum class CameraSet { Sphere, Shapenet, Orbit, Mvdream };

/// Throws UserError for an unknown name.
CameraSet camera_set_from_name(const std::string& name);

struct CameraSetOptions {
  CameraSet set = CameraSet::Sphere;
  int n_views = 1;
  int resolution = 256;         // pixels, square images
  float distance = 1.5f;        // scene units from the origin
  float fov_deg = 49.134343f;   // horizontal; 2 atan(16/35), a 35 mm lens on a 32 mm sensor
  float elevation_deg = 15.0f;  // orbit
  uint64_t seed = 0;
  uint64_t stream = 0;  // train, validation and test views differ in it
};

/// n_views cameras, a function of the options alone.
std::vector<Camera> make_cameras(const CameraSetOptions& options);

}  // namespace t3d::trace
