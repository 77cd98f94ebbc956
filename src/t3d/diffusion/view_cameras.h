#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace t3d::diffusion {

/// Cameras as MVDream takes them (Shi et al. 2023, arXiv:2308.16512, section 3.1): camera_to_world matrices
/// on the unit sphere, looking at the origin, OpenGL axes, z up, row-major: [n,16] float. View k stands at
/// azimuth `azimuth_deg + k * span_deg / n`, azimuth 0 on -y, 90 on +x.
at::Tensor orbit_cameras(int64_t n, double elevation_deg = 15, double azimuth_deg = 0, double span_deg = 360);

/// Any cameras in the same form: camera_to_world [...,4,4] -> [N,16], the distance to the origin made one.
/// The argument is left as it is. Our world (docs/conventions.md) is MVDream's: z up, so nothing is turned;
/// its azimuth 90 is our azimuth 0.
at::Tensor unit_cameras(const at::Tensor& camera_to_world);

}  // namespace t3d::diffusion
