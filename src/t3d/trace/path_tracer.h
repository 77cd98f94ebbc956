#pragma once

#include <atomic>
#include <cstdint>

#include "t3d/io/image.h"
#include "t3d/trace/scene.h"

namespace t3d::trace {

struct RenderSettings {
  int samples = 32;        // paths per pixel
  int max_bounces = 1;     // reflections after the first surface
  uint64_t seed = 0;       // give each view its own
  int n_threads = 0;       // 0: all cores
  bool auxiliary = false;  // depth, normals and mask too
  bool unlit = false;      // base colours as they are: surfaces whose texture is their appearance
};

struct RenderedView {
  io::Image8 rgba;    // sRGB, straight alpha; fully transparent pixels are black
  io::ImageF depth;   // [1] distance to the pixel centre's first surface, 0: none
  io::Image8 normal;  // [3] world normal n as 127.5 n + 127.5; none: 127
  io::Image8 mask;    // [1] 255 where the pixel centre meets a surface
};

/// One view by path tracing: next-event estimation of the area light, sampled reflection for the environment.
/// Kajiya 1986, "The rendering equation". A function of the arguments alone: threads do not change a bit of
/// it.
RenderedView render_view(const Scene& scene, const Camera& camera, const RenderSettings& settings);

}  // namespace t3d::trace
