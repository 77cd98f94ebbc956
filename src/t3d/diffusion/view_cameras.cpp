#include "t3d/diffusion/view_cameras.h"

#include <ATen/ATen.h>

#include <cmath>

namespace t3d::diffusion {

at::Tensor orbit_cameras(int64_t n, double elevation_deg, double azimuth_deg, double span_deg) {
  auto out = at::empty({n, 16}, at::kFloat);
  const double e = elevation_deg * M_PI / 180;
  for (int64_t k = 0; k < n; ++k) {
    const double a = (azimuth_deg + span_deg * static_cast<double>(k) / static_cast<double>(n)) * M_PI / 180;
    const double ce = std::cos(e), se = std::sin(e), ca = std::cos(a), sa = std::sin(a);
    // Columns: right, up, backward, position; backward is the position, of length 1.
    const double m[16] = {ca,  -se * sa, ce * sa,  ce * sa,   //
                          sa,  se * ca,  -ce * ca, -ce * ca,  //
                          0.0, ce,       se,       se,        //
                          0.0, 0.0,      0.0,      1.0};
    for (int64_t i = 0; i < 16; ++i) out[k][i] = m[i];
  }
  return out;
}

at::Tensor unit_cameras(const at::Tensor& camera_to_world) {
  auto out = camera_to_world.detach().reshape({-1, 4, 4}).clone();
  auto place = out.slice(1, 0, 3).select(2, 3);  // [N,3]
  place.div_(place.norm(2, 1, true).clamp_min(1e-8));
  return out.reshape({-1, 16});
}

}  // namespace t3d::diffusion
