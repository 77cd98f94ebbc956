#include "t3d/train/ngp_start.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "t3d/ops/occupancy.h"
#include "t3d/ops/ray_march_step.h"

namespace t3d::train {
namespace {

using ops::kCellsPerCascade;

/// Counts of pixels that are not empty, over rectangles, from one summed table.
class OpaquePixels {
 public:
  /// Pixels that the view's mask hides may hold anything.
  explicit OpaquePixels(const data::View& view) : width_(view.rgba.width), height_(view.rgba.height) {
    const size_t stride = static_cast<size_t>(width_) + 1;
    sums_.assign(stride * (static_cast<size_t>(height_) + 1), 0);
    for (int y = 0; y < height_; ++y) {
      uint32_t row = 0;
      for (int x = 0; x < width_; ++x) {
        const bool counts = view.mask.empty() || *view.mask.at(x, y) != 0;
        row += !counts || view.rgba.at(x, y)[3] != 0 ? 1u : 0u;
        sums_[(static_cast<size_t>(y) + 1) * stride + x + 1] =
            sums_[static_cast<size_t>(y) * stride + x + 1] + row;
      }
    }
  }
  bool has_empty() const {
    return sums_.back() < static_cast<uint32_t>(width_) * static_cast<uint32_t>(height_);
  }
  /// Pixels x0..x1-1, y0..y1-1.
  uint32_t count(int x0, int y0, int x1, int y1) const {
    return at(x1, y1) - at(x0, y1) - at(x1, y0) + at(x0, y0);
  }
  int width() const { return width_; }
  int height() const { return height_; }

 private:
  uint32_t at(int x, int y) const {
    return sums_[static_cast<size_t>(y) * (static_cast<size_t>(width_) + 1) + x];
  }
  int width_, height_;
  std::vector<uint32_t> sums_;
};

/// Carves one cascade with one image, from blocks of 16^3 cells down: Morton order keeps a block together.
class Carver {
 public:
  Carver(const Camera& camera, const OpaquePixels& pixels, int cascade, float* density)
      : lens_(camera.lens),
        largest_angle_(camera.lens.largest_angle()),
        world_to_camera_(camera.camera_to_world.inverse()),
        pixels_(pixels),
        cascade_(cascade),
        density_(density) {}

  void carve(uint32_t first_cell, int side) const {
    const uint32_t n_cells = static_cast<uint32_t>(side) * side * side;
    float* cells = density_ + static_cast<size_t>(cascade_) * kCellsPerCascade + first_cell;
    if (side <= 2 && std::all_of(cells, cells + n_cells, [](float d) { return d < 0; })) return;
    const Footprint footprint = look(first_cell, side);
    if (footprint == Footprint::Empty) std::fill_n(cells, n_cells, -1.0f);
    if (footprint != Footprint::Mixed || side == 1) return;
    for (uint32_t child = 0; child < 8; ++child) carve(first_cell + child * (n_cells / 8), side / 2);
  }

 private:
  enum class Footprint { Empty, Mixed, Full };

  Footprint look(uint32_t first_cell, int side) const {
    const float cell = ops::cascade_side(cascade_) / ops::kGridSide, half = 0.5f * static_cast<float>(side);
    const auto axis = [&](int i) {
      return (static_cast<float>(ops::morton_gather(first_cell >> i)) + half) * cell -
             0.5f * ops::cascade_side(cascade_);
    };
    const Vec4f p = world_to_camera_ * Vec4f(axis(0), axis(1), axis(2), 1.0f);
    const Vec3f point(p.x(), -p.y(), -p.z());
    const float radius = half * cell * ops::kSqrt3;
    const float depth = lens_.is_fisheye ? point.norm() : point.z();
    if (depth <= 1.5f * radius) return depth <= -radius ? Footprint::Full : Footprint::Mixed;
    // The ball's outline is at most this far from its centre; lens distortion may stretch it a little.
    float slant;
    if (lens_.is_fisheye) {
      const float angle = std::atan2(std::hypot(point.x(), point.y()), point.z());
      if (angle + radius / (depth - radius) >= largest_angle_) return Footprint::Full;
      slant = std::max(1.0f, angle / std::max(1e-3f, std::sin(angle)));
    } else {
      const float x = point.x() / depth, y = point.y() / depth;
      slant = std::sqrt(1.0f + x * x + y * y);
    }
    const float reach =
        radius / (depth - radius) * slant * (lens_.has_distortion() || lens_.is_fisheye ? 1.5f : 1.0f);
    const Vec2f centre = lens_.project(point);
    const int x0 = static_cast<int>(std::floor(centre.x() - lens_.fx * reach));
    const int x1 = static_cast<int>(std::ceil(centre.x() + lens_.fx * reach));
    const int y0 = static_cast<int>(std::floor(centre.y() - lens_.fy * reach));
    const int y1 = static_cast<int>(std::ceil(centre.y() + lens_.fy * reach));
    if (x1 <= 0 || y1 <= 0 || x0 >= pixels_.width() || y0 >= pixels_.height()) return Footprint::Full;
    const bool is_inside = x0 >= 0 && y0 >= 0 && x1 <= pixels_.width() && y1 <= pixels_.height();
    const int cx0 = std::max(0, x0), cy0 = std::max(0, y0), cx1 = std::min(pixels_.width(), x1),
              cy1 = std::min(pixels_.height(), y1);
    const uint32_t opaque = pixels_.count(cx0, cy0, cx1, cy1);
    const auto area = static_cast<uint32_t>(cx1 - cx0) * static_cast<uint32_t>(cy1 - cy0);
    if (opaque == area) return Footprint::Full;
    return opaque == 0 && is_inside ? Footprint::Empty : Footprint::Mixed;
  }

  Lens lens_;
  float largest_angle_;
  Mat4f world_to_camera_;
  const OpaquePixels& pixels_;
  int cascade_;
  float* density_;
};

/// True when a camera stands so that cells lie nearer to it than `distance`.
bool any_inside(const std::vector<Camera>& cameras, float half, float distance) {
  return std::any_of(cameras.begin(), cameras.end(), [&](const Camera& camera) {
    return camera.position().cwiseAbs().maxCoeff() < half + distance;
  });
}

}  // namespace

void carve_visual_hull(const std::vector<data::View>& views, int n_cascades, float* density) {
  constexpr int kBlockSide = 16, kBlocks = kCellsPerCascade / (kBlockSide * kBlockSide * kBlockSide);
  for (const auto& view : views) {
    const OpaquePixels pixels(view);
    if (!pixels.has_empty()) continue;
    for (int cascade = 0; cascade < n_cascades; ++cascade) {
      const Carver carver(view.camera, pixels, cascade, density);
#pragma omp parallel for schedule(dynamic, 8)
      for (int block = 0; block < kBlocks; ++block)
        carver.carve(static_cast<uint32_t>(block) * (kCellsPerCascade / kBlocks), kBlockSide);
    }
  }
}

field::NgpState make_initial_state(const field::NgpConfig& config, const std::vector<data::View>& views,
                                   float aabb_scale, uint64_t seed) {
  field::NgpState state = field::NgpState::create(config, aabb_scale, seed);
  const int n_cascades = ops::cascade_count(aabb_scale);
  std::vector<Camera> cameras;
  for (const auto& view : views) cameras.push_back(view.camera);
  const float near = ops::MarchConfig{}.near_distance;
  float* density = state.density.data_ptr<float>();
  ops::cpu::mark_unseen(cameras.data(), static_cast<int64_t>(cameras.size()), n_cascades,
                        any_inside(cameras, 0.5f * aabb_scale, near) ? near : 0.0f, density);
  carve_visual_hull(views, n_cascades, density);
  auto* bits = state.bits.data_ptr<uint8_t>();
  for (int64_t byte = 0; byte < state.bits.numel(); ++byte) {
    unsigned value = 0;
    for (int bit = 0; bit < 8; ++bit) value |= (density[8 * byte + bit] >= 0 ? 1u : 0u) << bit;
    bits[byte] = static_cast<uint8_t>(value);
  }
  return state;
}

}  // namespace t3d::train
