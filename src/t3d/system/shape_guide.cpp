#include "t3d/system/shape_guide.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "t3d/core/error.h"

namespace t3d::system {
namespace {

constexpr float kReach = 0.7f;         // of the farthest vertex
constexpr double kLength = 0.2;        // over which opacities are taken
constexpr double kNear = 0.3;          // width of the band around the surface that is left alone
constexpr double kCertain = 1 - 1e-4;  // the most that being inside is believed

}  // namespace

ShapeGuide::ShapeGuide(const std::string& path) {
  io::ReadMeshOptions read;
  read.load_textures = false;
  io::Mesh mesh = field::read_centred_mesh(path, read);
  float farthest = 0;
  for (const Vec3f& v : mesh.positions) farthest = std::max(farthest, v.norm());
  for (Vec3f& v : mesh.positions) v *= kReach / farthest;
  distance_ = field::distance_to(mesh);
}

at::Tensor ShapeGuide::loss(const at::Tensor& density, const at::Tensor& points,
                            const at::Tensor& t_intervals) const {
  const auto distance = distance_(points);  // [N,1]
  const auto inside = (distance < 0).to(density.scalar_type()).clamp(1 - kCertain, kCertain);
  const auto opacity = (1 - at::exp(-kLength * density)).clamp(0, 1.1);
  const auto entropy = -(opacity * inside.log() + (1 - opacity) * (1 - inside).log());
  const auto weight = 1 - at::exp(-distance.square() / (2 * kNear * kNear));
  return (entropy * weight * (t_intervals > 0)).sum();
}

}  // namespace t3d::system
