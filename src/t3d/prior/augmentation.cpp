#include "t3d/prior/augmentation.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>

#include "t3d/core/error.h"

namespace t3d::prior {
namespace {

constexpr double kZoom = 0.12, kShift = 0.06, kTurnDeg = 6, kGain = 0.08;
constexpr double kFineNoise = 0.08, kCoarseNoise = 0.05;
constexpr int64_t kCoarse = 8;  // pixels of a grain of the coarse noise

/// Uniform in [-1,1], one for each picture: [B].
at::Tensor signs(const at::Tensor& like, int64_t n) {
  return at::rand({n}, like.options()) * 2 - 1;
}

/// Similarity maps of the output's square to the input's, [B,2,3].
at::Tensor random_maps(const at::Tensor& like, int64_t n, double strength) {
  const auto zoom = (signs(like, n) * (kZoom * strength)).exp();
  const auto turn = signs(like, n) * (kTurnDeg * strength * M_PI / 180);
  const auto mirror = at::rand({n}, like.options()).lt(0.5).to(like.scalar_type()) * 2 - 1;
  const auto c = zoom * turn.cos(), s = zoom * turn.sin();
  const auto x = signs(like, n) * (kShift * strength), y = signs(like, n) * (kShift * strength);
  return at::stack({c * mirror, -s, x, s * mirror, c, y}, 1).view({n, 2, 3});
}

}  // namespace

at::Tensor augment(const at::Tensor& pictures, const at::Tensor& grey, double strength) {
  T3D_CHECK(pictures.dim() == 4 && pictures.size(1) == 3, "pictures ", pictures.sizes());
  if (strength <= 0) return pictures;
  const c10::NoGradGuard no_grad;
  const int64_t n = pictures.size(0), height = pictures.size(2), width = pictures.size(3);
  const auto behind = (grey * 2 - 1).view({n, 1, 1, 1});
  // Above the background everything outside is zero, so that no edge comes into sight.
  const auto grid = at::affine_grid_generator(random_maps(pictures, n, strength), pictures.sizes(), false);
  auto x = at::grid_sampler(pictures - behind, grid, /*bilinear*/ 0, /*zeros*/ 0, false);
  const auto soft = at::avg_pool2d(x, {3, 3}, {1, 1}, {1, 1}, false, false);
  const auto blend = (signs(x, n) * 0.75 + 0.25).clamp_min(-0.5) * std::min(1.0, strength);  // [-0.5,1]
  x = x + blend.view({n, 1, 1, 1}) * (soft - x);
  x = x * (1 + signs(x, n) * (kGain * strength)).view({n, 1, 1, 1}) + behind;
  // Most pictures get little noise.
  const auto fine = at::rand({n, 1, 1, 1}, x.options()).square() * (kFineNoise * strength);
  const auto coarse = at::rand({n, 1, 1, 1}, x.options()).square() * (kCoarseNoise * strength);
  const auto grains =
      at::randn({n, 3, (height + kCoarse - 1) / kCoarse, (width + kCoarse - 1) / kCoarse}, x.options());
  x = x + fine * at::randn_like(x) + coarse * at::upsample_bilinear2d(grains, {height, width}, false);
  return x.clamp(-1, 1);
}

}  // namespace t3d::prior
