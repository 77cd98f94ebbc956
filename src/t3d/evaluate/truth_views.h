#pragma once

#include <cstdint>
#include <vector>

#include "t3d/core/interrupt.h"
#include "t3d/io/image.h"
#include "t3d/io/mesh.h"
#include "t3d/math/camera.h"
#include "t3d/toybox/caption.h"
#include "t3d/trace/scene.h"

namespace t3d::evaluate {

/// How objects are looked at: views at even azimuths, the first at the front (+x).
struct Orbit {
  int n_views = 4, resolution = 128;
  float elevation_deg = 15;
  Camera camera(int view) const;
};

/// An object that a caption stands for, and its pictures: transparent around it.
struct Truth {
  std::vector<io::Image8> views;
  Box3f bounds;
};

/// One of the objects that a description stands for, path-traced. A function of the arguments alone.
Truth make_truth(const toybox::Description& description, uint64_t seed, const Orbit& orbit);
std::vector<io::Image8> truth_views(const toybox::Description& description, uint64_t seed,
                                    const Orbit& orbit);

/// The n objects that pictures of a caption are compared with, always the same ones. About 0.5 s each for
/// eight views of 128 pixels on two cores. A stop that is asked for throws Interrupted.
std::vector<Truth> make_truths(const toybox::Description& description, int n, const Orbit& orbit,
                               const StopToken& stop = {});

/// A scene in the pictures of an orbit, in the same way; `seed` is of the paths. `unlit`: its colours as they
/// are, for a mesh whose texture is what it looks like.
std::vector<io::Image8> orbit_views(const trace::Scene& scene, const Orbit& orbit, uint64_t seed, bool unlit);

/// Chance behind caption i of an evaluation: the grey that its pictures stand before, and, where true objects
/// are measured, which one.
struct CaptionDraw {
  float grey;  ///< sRGB, [0.35,1], the greys of the prior's training
  uint64_t object_seed;
};
CaptionDraw draw_for_caption(uint64_t seed, size_t i);

}  // namespace t3d::evaluate
