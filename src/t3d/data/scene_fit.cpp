#include "t3d/data/scene_fit.h"

#include <Eigen/Eigenvalues>
#include <Eigen/LU>
#include <algorithm>
#include <cmath>

#include "t3d/core/error.h"

namespace t3d::data {
namespace {

constexpr double kLeastSpread = 0.004;  // of the axes' directions; about 4 degrees around their mean
constexpr double kMostInFront = 0.7;    // of the cameras
constexpr int kGrid = 12;               // rays a side that are followed in each image
constexpr double kLeastObject = 0.7, kLeastPhotograph = 0.25, kLeastAtAll = 0.01;
constexpr double kOutermost = 0.98;  // of the rays' distances: a few stray pixels decide nothing
constexpr int kLargestBox = 32;

Vec3d position(const Mat4d& pose) {
  return pose.block<3, 1>(0, 3);
}

/// The mean of the points without the outer hundredth on either side of each axis.
Vec3d middle(const std::vector<Vec3d>& points) {
  Vec3d centre;
  for (int axis = 0; axis < 3; ++axis) {
    std::vector<double> values;
    for (const Vec3d& p : points) values.push_back(p[axis]);
    std::sort(values.begin(), values.end());
    const size_t cut = values.size() / 100;
    double sum = 0;
    for (size_t i = cut; i < values.size() - cut; ++i) sum += values[i];
    centre[axis] = sum / static_cast<double>(values.size() - 2 * cut);
  }
  return centre;
}

int smallest_box(double reach) {
  int scale = 1;
  while (scale < kLargestBox && 0.5 * scale < reach) scale *= 2;
  return scale;
}

bool meets_box(const Ray& ray, float half) {
  float begin = 0, end = 1e30f;
  for (int axis = 0; axis < 3; ++axis) {
    const float d = std::abs(ray.direction[axis]) > 1e-12f ? ray.direction[axis] : 1e-12f;
    const float a = (-half - ray.origin[axis]) / d, b = (half - ray.origin[axis]) / d;
    begin = std::max(begin, std::min(a, b));
    end = std::min(end, std::max(a, b));
  }
  return begin < end;
}

/// Rays through a grid of pixels of all training images: those with something, where images have
/// transparency.
std::vector<Ray> sample_rays(const PosedImages& images) {
  std::vector<Ray> rays;
  for (const View& view : images.train) {
    const Lens& lens = view.camera.lens;
    for (int i = 0; i < kGrid * kGrid; ++i) {
      const int x = (2 * (i % kGrid) + 1) * lens.width / (2 * kGrid),
                y = (2 * (i / kGrid) + 1) * lens.height / (2 * kGrid);
      if (!view.mask.empty() && *view.mask.at(x, y) == 0) continue;
      if (images.has_alpha && !view.rgba.empty() && view.rgba.at(x, y)[3] < 128) continue;
      rays.push_back(view.camera.ray(static_cast<float>(x) + 0.5f, static_cast<float>(y) + 0.5f));
    }
  }
  return rays;
}

double part_that_meets(const std::vector<Ray>& rays, float half) {
  const auto n =
      std::count_if(rays.begin(), rays.end(), [half](const Ray& ray) { return meets_box(ray, half); });
  return rays.empty() ? 1.0 : static_cast<double>(n) / static_cast<double>(rays.size());
}

/// Radius of the ball around `centre` that most rays touch.
double radius_seen(const std::vector<Ray>& rays, const Vec3f& centre) {
  std::vector<float> distances;
  for (const Ray& ray : rays) distances.push_back((centre - ray.origin).cross(ray.direction).norm());
  const auto at = static_cast<size_t>(kOutermost * static_cast<double>(distances.size() - 1));
  std::nth_element(distances.begin(), distances.begin() + static_cast<std::ptrdiff_t>(at), distances.end());
  return distances[at];
}

void apply(PosedImages& images, float scale, const Vec3f& centre) {
  for (auto* views : {&images.train, &images.val, &images.test})
    for (View& view : *views)
      view.camera.camera_to_world.block<3, 1>(0, 3) = scale * (view.camera.position() - centre);
  Mat4f change = Mat4f::Identity();
  change.block<3, 3>(0, 0) *= scale;
  change.block<3, 1>(0, 3) = -scale * centre;
  images.scene_from_world = change * images.scene_from_world;
}

}  // namespace

CameraFocus camera_focus(const std::vector<Mat4d>& poses) {
  const auto n = static_cast<double>(poses.size());
  Eigen::Matrix3d a = Eigen::Matrix3d::Zero();
  Vec3d b = Vec3d::Zero();
  for (const Mat4d& pose : poses) {
    const Vec3d axis = pose.block<3, 1>(0, 2);
    const Eigen::Matrix3d across = Eigen::Matrix3d::Identity() - axis * axis.transpose();
    a += across;
    b += across * position(pose);
  }
  const double spread = Eigen::SelfAdjointEigenSolver<Eigen::Matrix3d>(a / n).eigenvalues()[0];
  a += 1e-6 * n * Eigen::Matrix3d::Identity();  // parallel axes
  CameraFocus focus;
  focus.centre = a.ldlt().solve(b);
  const auto n_before = std::count_if(poses.begin(), poses.end(), [&focus](const Mat4d& pose) {
    return pose.block<3, 1>(0, 2).dot(position(pose) - focus.centre) > 0;
  });
  focus.is_certain = spread > kLeastSpread && static_cast<double>(n_before) >= kMostInFront * n;
  return focus;
}

Mat4d fit_photographs(const std::vector<Mat4d>& poses, const std::vector<Vec3d>& points,
                      const std::string& place, int& aabb_scale) {
  const Vec3d centre = points.size() >= 10 ? middle(points) : camera_focus(poses).centre;
  Vec3d up = Vec3d::Zero();
  double nearest = 1e300;
  for (const Mat4d& pose : poses) {
    up += pose.block<3, 1>(0, 1);
    nearest = std::min(nearest, (position(pose) - centre).norm());
  }
  if (up.norm() < 1e-3 * static_cast<double>(poses.size())) up = Vec3d::UnitZ();
  if (!(nearest > 1e-9))
    throw UserError(cat(place,
                        ": a camera stands at the scene's centre, so that the scene cannot be scaled. "
                        "Convert the data set to a transforms.json with its own scale and offset."));
  const Eigen::Matrix3d rotation = Eigen::Quaterniond::FromTwoVectors(up, Vec3d::UnitZ()).toRotationMatrix();
  Mat4d scene_from_world = Mat4d::Identity();
  scene_from_world.block<3, 3>(0, 0) = rotation / nearest;
  scene_from_world.block<3, 1>(0, 3) = -(rotation * centre) / nearest;
  aabb_scale = box_around(poses, points, scene_from_world);
  return scene_from_world;
}

int box_around(const std::vector<Mat4d>& poses, const std::vector<Vec3d>& places,
               const Mat4d& scene_from_world) {
  const auto reach_of = [&scene_from_world](const Vec3d& p) {
    return (scene_from_world * p.homogeneous()).head<3>().cwiseAbs().maxCoeff();
  };
  std::vector<double> reach;
  for (const Vec3d& place : places) reach.push_back(reach_of(place));
  double largest = 0;
  if (!reach.empty()) {
    std::sort(reach.begin(), reach.end());
    largest = reach[reach.size() * 95 / 100];
  }
  for (const Mat4d& pose : poses) largest = std::max(largest, reach_of(position(pose)));
  return smallest_box(largest);
}

void check_box(PosedImages& images, bool is_scaled, bool aabb_is_given, float box_margin,
               std::vector<std::string>& notes) {
  std::vector<Ray> rays = sample_rays(images);
  const double part = part_that_meets(rays, 0.5f * images.aabb_scale);
  const auto percent = [](double share) { return cat(static_cast<int>(std::lround(100 * share)), " %"); };
  const auto fail = [&](const std::string& what, const std::string& advice) {
    throw UserError(cat(images.folder, ": ", percent(part), " of the pixels",
                        images.has_alpha ? " with something" : "", " look at the scene's box of side ",
                        images.aabb_scale, what, ". ", advice));
  };
  std::vector<Mat4d> poses;
  for (const View& view : images.train) poses.push_back(view.camera.camera_to_world.cast<double>());
  const CameraFocus focus = camera_focus(poses);
  const bool is_off = focus.centre.cwiseAbs().maxCoeff() > 0.5 * images.aabb_scale;
  const bool is_wrong = part < (images.has_alpha ? kLeastObject : kLeastPhotograph) ||
                        (!images.has_alpha && focus.is_certain && is_off);
  if (!is_wrong) return;
  if (is_scaled) {
    if (part < kLeastAtAll)
      fail(", so that nothing could be learned",
           "Correct the data set's scale, offset or box, and the axes of its cameras.");
    notes.push_back(cat("only ", percent(part), " of the pixels", images.has_alpha ? " with something" : "",
                        " look at the scene's box: its scale, offset or box may be wrong"));
    return;
  }
  if (!focus.is_certain) {
    if (part < kLeastAtAll)
      fail(", and the cameras do not look at one place, so that the scene cannot be scaled by itself",
           "Give scale and offset, or the object's box as aabb, in the file.");
    notes.push_back(
        cat("only ", percent(part), " of the pixels", images.has_alpha ? " with something" : "",
            " look at the scene's box; give scale and offset, or the object's box as aabb, in the file"));
    return;
  }
  const Vec3f centre = focus.centre.cast<float>();
  double scale = 0;
  if (images.has_alpha) {
    scale = 0.5 / (box_margin * std::max(1e-9, radius_seen(rays, centre)));
  } else {
    double nearest = 1e300;
    for (const Mat4d& pose : poses) nearest = std::min(nearest, (position(pose) - focus.centre).norm());
    scale = 1 / std::max(1e-9, nearest);
  }
  const float world_scale = images.scene_scale() * static_cast<float>(scale);
  apply(images, static_cast<float>(scale), centre);
  double reach = 0;
  for (const View& view : images.train)
    reach = std::max<double>(reach, view.camera.position().cwiseAbs().maxCoeff());
  if (!aabb_is_given) images.aabb_scale = images.has_alpha ? 1.0f : static_cast<float>(smallest_box(reach));
  rays = sample_rays(images);
  const double part_now = part_that_meets(rays, 0.5f * images.aabb_scale);
  if (part_now < kLeastAtAll)
    fail(", and scaling it by the place that the cameras look at does not help",
         "Give scale and offset, or the object's box as aabb, in the file.");
  notes.push_back(cat("the file gives no scale, and ", percent(part),
                      " of the pixels would look at the scene's box: scaled by ", world_scale,
                      " around the place that the cameras look at (now ", percent(part_now), ", aabb_scale ",
                      images.aabb_scale, ")"));
}

}  // namespace t3d::data
