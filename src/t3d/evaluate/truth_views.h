#pragma once

#include <cstdint>
#include <vector>

#include "t3d/io/image.h"
#include "t3d/toybox/caption.h"

namespace t3d::evaluate {

/// How objects are looked at: views at even azimuths, the first at the front (+x).
struct Orbit {
  int n_views = 4, resolution = 128;
  float elevation_deg = 15;
};

/// One of the objects that a description stands for, path-traced, transparent around it. A function of the
/// arguments alone.
std::vector<io::Image8> truth_views(const toybox::Description& description, uint64_t seed,
                                    const Orbit& orbit);

}  // namespace t3d::evaluate
