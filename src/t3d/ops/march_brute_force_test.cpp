#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <vector>

#include "t3d/core/rng.h"
#include "t3d/ops/ray_march.h"
#include "tests/support/every_middle.h"

// Marches against a look at the middle of every interval: all resolutions, levels and cascades, rays along
// the axes and on walls, rays that graze walls.
namespace t3d::ops {
namespace {

using testing::every_middle;
using testing::Found;
using testing::look;
using testing::Ray;

/// Rays of every kind for a box of ±1 with `side` cells: through it, along axes on walls and beside them
/// (walls by their decimals included), grazing walls, starting inside.
std::vector<Ray> awkward_rays(int side, uint64_t seed, float scale = 1.0f) {
  Rng rng(seed);
  std::vector<Ray> rays;
  const auto inside = [&] { return rng.uniform(-0.99f, 0.99f) * scale; };
  const auto decimal = [&] { return std::round(rng.uniform(-9.5f, 9.5f)) / 10.0f * scale; };
  const auto wall = [&] { return (std::floor(rng.uniform() * side) / side * 2.0f - 1.0f) * scale; };
  for (int i = 0; i < 12; ++i) {  // anywhere
    const Vec3f from = Vec3f(rng.normal(), rng.normal(), rng.normal()).normalized() * 2.5f * scale;
    rays.push_back({from, (Vec3f(inside(), inside(), inside()) - from).normalized()});
    rays.push_back(
        {Vec3f(inside(), inside(), inside()), Vec3f(rng.normal(), rng.normal(), rng.normal()).normalized()});
  }
  for (int i = 0; i < 18; ++i) {  // along an axis
    const int axis = i % 3;
    const float way = i % 2 == 0 ? 1.0f : -1.0f;
    Vec3f o(decimal(), i % 5 == 0 ? inside() : decimal(), wall()), d = Vec3f::Zero();
    if (i >= 9) o = Vec3f(wall(), decimal(), inside());
    o[axis] = -2.5f * way * scale, d[axis] = way;
    rays.push_back({o, d});
    // Beside the wall, with a slope that carries it over somewhere on its way, or nearly.
    const int other = (axis + 1) % 3;
    const float slope = std::pow(10.0f, rng.uniform(-9.0f, -2.0f)) * (rng.uniform() < 0.5f ? 1.0f : -1.0f);
    o[other] = wall() - slope * rng.uniform(1.5f, 3.5f) * scale;
    d[other] = slope;
    rays.push_back({o, d.normalized()});
  }
  return rays;
}

struct RayTensors {
  at::Tensor o, d, jitter;
  RayTensors(const std::vector<Ray>& rays, uint64_t seed) {
    const auto n = static_cast<int64_t>(rays.size());
    Rng rng(seed);
    o = at::empty({n, 3}), d = at::empty({n, 3}), jitter = at::empty({n});
    for (int64_t r = 0; r < n; ++r) {
      std::copy_n(rays[r].o.data(), 3, o.data_ptr<float>() + 3 * r);
      std::copy_n(rays[r].d.data(), 3, d.data_ptr<float>() + 3 * r);
      jitter.data_ptr<float>()[r] = rng.uniform();
    }
  }
};

OccupancyGrid random_grid(int side, int n_levels, uint64_t seed) {
  Box3f box;
  box.min.setConstant(-1), box.max.setConstant(1);
  OccupancyGrid grid = OccupancyGrid::create(box, side, n_levels);
  Rng rng(seed);
  auto* cell = grid.binary.data_ptr<bool>();
  for (int64_t i = 0; i < grid.binary.numel(); ++i) cell[i] = rng.uniform() < 0.45f;
  return grid;
}

std::vector<float> of_ray(const RaySamples& samples, int64_t r) {
  const int32_t* start = samples.ray_start.data_ptr<int32_t>();
  const float* t = samples.t.data_ptr<float>();
  return {t + start[r], t + start[r + 1]};
}

void expect_every_middle(int side, int n_levels, float cone_angle) {
  const OccupancyGrid grid = random_grid(side, n_levels, 100 + side);
  const std::vector<Ray> rays = awkward_rays(side, 7 * side + n_levels);
  const RayTensors tensors(rays, 3);
  LatticeConfig config;
  config.step = 1.732f * 2 / 61;
  config.cone_angle = cone_angle;
  if (side % 3 == 0) config.near_plane = 1.7f, config.far_plane = 2.9f;
  const bool has_jitter = side % 2 == 0;
  const RaySamples samples =
      sample_lattice(tensors.o, tensors.d, grid, config, has_jitter ? tensors.jitter : at::Tensor());
  for (size_t r = 0; r < rays.size(); ++r) {
    const float jitter = has_jitter ? tensors.jitter.data_ptr<float>()[r] : 0.0f;
    std::vector<float> middles;
    for (const auto& [t, dt] : every_middle(grid, config, rays[r], jitter)) middles.push_back(t);
    EXPECT_EQ(of_ray(samples, static_cast<int64_t>(r)), middles)
        << side << " cells, " << n_levels << " levels, cone " << cone_angle << ", ray " << r << " from "
        << rays[r].o.transpose() << " along " << rays[r].d.transpose();
  }
}

TEST(BruteForce, LatticeOfEveryResolution) {
  for (int side = 1; side <= 130; ++side) expect_every_middle(side, 1, 0.0f);
}

TEST(BruteForce, LatticeWithConesAndLevels) {
  for (const int side : {1, 2, 3, 7, 10, 16, 20, 30, 33, 50, 64, 100})
    for (const int n_levels : {1, 2, 3, 5})
      for (const float cone : {0.0f, 0.02f}) expect_every_middle(side, n_levels, cone);
}

/// The same in exact arithmetic, but for points that rounding may carry over a wall.
TEST(BruteForce, LatticeAgreesWithDoubleAwayFromWalls) {
  int64_t n_samples = 0;
  for (int side = 1; side <= 130; side += 3) {
    const OccupancyGrid grid = random_grid(side, 1, side);
    std::vector<Ray> rays = awkward_rays(side, side);
    const RayTensors tensors(rays, 3);
    LatticeConfig config;
    config.step = 0.0371f;
    const RaySamples samples = sample_lattice(tensors.o, tensors.d, grid, config);
    for (size_t r = 0; r < rays.size(); ++r) {
      if ((rays[r].d.array() == 0.0f).any()) continue;  // on a wall by its decimals: float's rule decides
      std::vector<float> middles = of_ray(samples, static_cast<int64_t>(r));
      size_t next = 0;
      for (float t = 0.0f; t < 6.0f; t += config.step) {
        const float middle = t + 0.5f * config.step;
        const bool is_sample = next < middles.size() && middles[next] == middle;
        next += is_sample ? 1 : 0;
        const Found<double> found = look<double>(grid, rays[r], middle);
        if (found.to_wall < 2e-6) continue;
        bool is_in_box = true;
        for (int axis = 0; axis < 3; ++axis)
          is_in_box = is_in_box && std::fabs(double{rays[r].o[axis]} + double{middle} * rays[r].d[axis]) < 1;
        ASSERT_EQ(is_sample, is_in_box && found.is_occupied)
            << side << " cells, ray " << r << ", t " << middle;
        n_samples += is_sample ? 1 : 0;
      }
      ASSERT_EQ(next, middles.size());
    }
  }
  EXPECT_GT(n_samples, 10000);
}

/// Every kind of density grid: bits at random, so that a coarse cell says nothing about the finer ones.
TEST(BruteForce, CascadesOfEveryScale) {
  for (const float scale : {1.0f, 2.0f, 4.0f, 16.0f, 128.0f}) {
    DensityGrid grid = DensityGrid::create(scale);
    Rng rng(static_cast<uint64_t>(scale));
    auto* words = reinterpret_cast<uint64_t*>(grid.bits.data_ptr<uint8_t>());
    for (int64_t i = 0; i < grid.bits.numel() / 8; ++i)  // blocks of 4^3: empty, full, mixed
      words[i] = rng.uniform() < 0.6f   ? 0
                 : rng.uniform() < 0.2f ? ~uint64_t{0}
                                        : uint64_t{rng.next_u32()} << 32 | rng.next_u32();
    std::vector<Ray> rays;
    for (const float reach : {0.5f, 0.5f * scale})
      for (uint64_t seed = 0; seed < 12; ++seed)
        for (const Ray& ray : awkward_rays(32 << (seed % 3), seed, reach)) rays.push_back(ray);
    const RayTensors tensors(rays, 5);
    for (const float cone : {0.0f, 1.0f / 256, 1.0f / 30}) {
      MarchConfig config = MarchConfig::for_scale(scale);
      config.cone_angle = cone;
      config.max_samples = 1 << 20;
      const RaySamples fast = march(tensors.o, tensors.d, grid, config, tensors.jitter);
      const RaySamples slow = march_reference(tensors.o, tensors.d, grid, config, tensors.jitter);
      EXPECT_GT(fast.n_samples(), 1000);
      for (size_t r = 0; r < rays.size(); ++r) {
        const auto found = of_ray(fast, static_cast<int64_t>(r)), all = of_ray(slow, static_cast<int64_t>(r));
        if (found == all) continue;
        const auto differ = std::mismatch(found.begin(), found.end(), all.begin(), all.end());
        ADD_FAILURE() << "scale " << scale << ", cone " << cone << ", ray " << r << " from "
                      << rays[r].o.transpose() << " along " << rays[r].d.transpose() << ": " << found.size()
                      << " of " << all.size() << " samples, from number " << differ.first - found.begin()
                      << ": " << (differ.first != found.end() ? *differ.first : -1.0f) << " instead of "
                      << (differ.second != all.end() ? *differ.second : -1.0f);
        break;
      }
    }
  }
}

/// All points at once, as CUDA tensors take them: the walk adds up steps, a hundred of them here, and rounds
/// each sum, so that a point near a wall of a moving axis may fall to either side. Everything else is the
/// same, rays on walls included.
void expect_dense_agrees(c10::Device device) {
  for (int side = 1; side <= 130; ++side) {
    const OccupancyGrid grid = random_grid(side, 1, side);
    std::vector<Ray> rays = awkward_rays(side, side);
    const RayTensors tensors(rays, 3);
    LatticeConfig config;
    config.step = 0.0371f;
    const RaySamples walk = sample_lattice(tensors.o, tensors.d, grid, config);
    const RaySamples dense =
        sample_lattice_dense(tensors.o.to(device), tensors.d.to(device), grid, config).to(at::kCPU);
    for (size_t r = 0; r < rays.size(); ++r) {
      std::map<int64_t, double> only_one;  // step: distance to the nearest wall
      for (const RaySamples* samples : {&walk, &dense})
        for (const float t : of_ray(*samples, static_cast<int64_t>(r))) {
          const int64_t step = std::llround(t / config.step - 0.5f);
          if (only_one.erase(step) == 0) only_one[step] = look<double>(grid, rays[r], t).to_wall;
        }
      for (const auto& [step, to_wall] : only_one)
        EXPECT_LT(to_wall, 2e-5) << side << " cells, ray " << r << ", step " << step;
    }
  }
}

TEST(BruteForce, AllPointsAtOnceAgreeWithTheWalk) {
  expect_dense_agrees(at::kCPU);
}

TEST(BruteForce, AllPointsAtOnceAgreeWithTheWalkOnCuda) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no CUDA device";
  expect_dense_agrees(at::kCUDA);
}

}  // namespace
}  // namespace t3d::ops
