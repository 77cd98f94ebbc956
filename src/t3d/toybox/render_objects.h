#pragma once

#include "t3d/core/interrupt.h"
#include "t3d/data/captioned_views.h"
#include "t3d/toybox/object.h"
#include "t3d/trace/path_tracer.h"

namespace t3d::toybox {

/// Which objects, and how they are seen.
struct RenderPlan {
  int resolution = 128;  ///< pixels, square
  int n_orbit = 4;       ///< views at even azimuths and one elevation
  int n_single = 1;      ///< views from anywhere
  int samples = 16;      ///< paths per pixel
  uint64_t seed = 0;
  bool held_out = false;  ///< captions of the held-out split, else of the other
  int n_phrases = 4;      ///< lines of each caption; the first is the plain one
};

/// The description of object `index`, a function of plan and index alone.
Description described(const RenderPlan& plan, int64_t index);

/// A camera on the object: at a distance of `closeness / tan(fov / 2)` its view is 2 closeness high there.
Camera object_camera(int resolution, float azimuth_deg, float elevation_deg, float fov_deg,
                     float closeness = 0.7f);

/// Light as it is in all pictures of the world.
trace::Scene lit_scene(const ToyObject& object);

/// Objects [first, first + n) of a plan, on n_threads; each object is a function of plan and index.
/// `on_object` is told of every one done. A stop that is asked for throws Interrupted.
data::CaptionedViews render_objects(const RenderPlan& plan, int64_t first, int64_t n, int n_threads,
                                    const std::function<void()>& on_object, const StopToken& token = {});

}  // namespace t3d::toybox
