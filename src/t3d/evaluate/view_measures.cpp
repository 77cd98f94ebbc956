#include "t3d/evaluate/view_measures.h"

#include <algorithm>
#include <cmath>

#include "t3d/core/error.h"
#include "t3d/toybox/palette.h"

namespace t3d::evaluate {
namespace {

bool is_object(const uint8_t* rgba) {
  return rgba[3] > 127;
}

double iou(const io::Image8& a, const io::Image8& b) {
  T3D_CHECK(a.channels == 4 && b.channels == 4 && a.width == b.width && a.height == b.height,
            "pictures of other forms");
  int64_t n_both = 0, n_any = 0;
  for (size_t i = 0; i < a.pixels.size(); i += 4) {
    const bool in_a = is_object(&a.pixels[i]), in_b = is_object(&b.pixels[i]);
    n_both += in_a && in_b;
    n_any += in_a || in_b;
  }
  return n_any == 0 ? 0 : static_cast<double>(n_both) / static_cast<double>(n_any);
}

float longest_side(const Box3f& box) {
  return std::max(1e-6f, box.size().maxCoeff());
}

}  // namespace

double silhouette_iou(const std::vector<io::Image8>& a, const std::vector<io::Image8>& b) {
  T3D_CHECK(!a.empty() && a.size() == b.size(), a.size(), " and ", b.size(), " views");
  double sum = 0;
  for (size_t v = 0; v < a.size(); ++v) sum += iou(a[v], b[v]);
  return sum / static_cast<double>(a.size());
}

std::optional<double> mean_chroma(const std::vector<io::Image8>& views) {
  double sum = 0;
  int64_t n = 0;
  for (const io::Image8& view : views)
    for (size_t i = 0; i < view.pixels.size(); i += 4) {
      const uint8_t* p = &view.pixels[i];
      if (!is_object(p)) continue;
      const Vec3f lab = toybox::srgb_to_lab(Vec3f(p[0], p[1], p[2]) / 255);
      sum += std::hypot(lab[1], lab[2]);
      ++n;
    }
  if (n == 0) return std::nullopt;
  return sum / static_cast<double>(n);
}

Camera camera_for_fitted(const Camera& camera, const Box3f& from, const Box3f& to) {
  // x' = scale (x - from) + to moves the object; its inverse moves the camera, whose angles stay.
  const float scale = longest_side(to) / longest_side(from);
  Camera out = camera;
  out.camera_to_world.block<3, 1>(0, 3) = (camera.position() - to.center()) / scale + from.center();
  return out;
}

}  // namespace t3d::evaluate
