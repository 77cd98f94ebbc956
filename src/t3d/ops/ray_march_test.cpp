#include "t3d/ops/ray_march.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "t3d/core/rng.h"
#include "t3d/ops/composite.h"
#include "t3d/ops/importance.h"

namespace t3d::ops {
namespace {

struct RandomRays {
  at::Tensor o, d, jitter;
  RandomRays(int64_t n, uint64_t seed, float distance) {
    Rng rng(seed);
    o = at::empty({n, 3});
    d = at::empty({n, 3});
    jitter = at::empty({n});
    for (int64_t r = 0; r < n; ++r) {
      const Vec3f from = Vec3f(rng.normal(), rng.normal(), rng.normal()).normalized() * distance;
      const Vec3f to = Vec3f(rng.uniform(-.5f, .5f), rng.uniform(-.5f, .5f), rng.uniform(-.5f, .5f));
      const Vec3f direction = (to - from).normalized();
      for (int i = 0; i < 3; ++i) {
        o.data_ptr<float>()[3 * r + i] = from[i];
        d.data_ptr<float>()[3 * r + i] = direction[i];
      }
      jitter.data_ptr<float>()[r] = rng.uniform();
    }
  }
};

/// A shell of some thickness around the origin in every cascade, and noise cells.
DensityGrid shell_grid(float aabb_scale) {
  DensityGrid grid = DensityGrid::create(aabb_scale);
  grid.bits.zero_();
  uint8_t* bits = grid.bits.data_ptr<uint8_t>();
  for (uint32_t cell = 0; cell < static_cast<uint32_t>(grid.n_cascades) * kCellsPerCascade; ++cell) {
    Vec3f p;
    cell_point(cell, .5f, .5f, .5f, p.data());
    const bool is_set =
        std::fabs(p.norm() - 0.3f) < 0.01f || draw(3, DrawStream::MarchJitter, 0, cell).v[0] < (1u << 22);
    if (is_set) bits[cell >> 3] |= static_cast<uint8_t>(1u << (cell & 7u));
  }
  return grid;
}

TEST(RayMarch, SkippingFindsTheSamplesOfTheWholeLattice) {
  for (const float scale : {1.0f, 4.0f}) {
    const DensityGrid grid = shell_grid(scale);
    const RandomRays rays(300, 5, 1.2f * scale);
    const MarchConfig config = MarchConfig::for_scale(scale);
    const RaySamples fast = march(rays.o, rays.d, grid, config, rays.jitter);
    const RaySamples slow = march_reference(rays.o, rays.d, grid, config, rays.jitter);
    ASSERT_GT(fast.n_samples(), 300);
    EXPECT_TRUE(at::equal(fast.ray_start, slow.ray_start)) << "scale " << scale;
    ASSERT_EQ(fast.n_samples(), slow.n_samples());
    EXPECT_TRUE(at::equal(fast.t, slow.t));
    EXPECT_TRUE(at::equal(fast.dt, slow.dt));
    EXPECT_TRUE(at::equal(fast.ray_indices, slow.ray_indices));
  }
}

struct Marched {
  at::Tensor start, t, dt, positions, indices;
  int64_t n_fitting;
};

Marched march_once(const RandomRays& rays, const DensityGrid& grid, int64_t capacity) {
  const int64_t n = rays.o.size(0);
  Marched out{at::empty({n + 1}, at::kInt), at::zeros({capacity}),           at::zeros({capacity}),
              at::zeros({capacity, 3}),     at::zeros({capacity}, at::kInt), 0};
  out.n_fitting =
      cpu::march_rays(rays.o.data_ptr<float>(), rays.d.data_ptr<float>(), rays.jitter.data_ptr<float>(), n,
                      grid.bits.data_ptr<uint8_t>(), grid.n_cascades, {}, capacity,
                      out.start.data_ptr<int32_t>(), out.t.data_ptr<float>(), out.dt.data_ptr<float>(),
                      out.positions.data_ptr<float>(), out.indices.data_ptr<int32_t>());
  return out;
}

TEST(RayMarch, OneMarchEqualsTwoPassesOnAnyNumberOfThreads) {
  const DensityGrid grid = shell_grid(1);
  const RandomRays rays(300, 6, 1.5f);
  const RaySamples two = march(rays.o, rays.d, grid, {}, rays.jitter);
  const int threads = at::get_num_threads();
  for (const int n_threads : {1, 3}) {
    at::set_num_threads(n_threads);
    const Marched one = march_once(rays, grid, two.n_samples() + 10);
    EXPECT_EQ(one.n_fitting, 300);
    EXPECT_TRUE(at::equal(one.start, two.ray_start));
    EXPECT_TRUE(at::equal(one.t.slice(0, 0, two.n_samples()), two.t));
    EXPECT_TRUE(at::equal(one.indices.slice(0, 0, two.n_samples()).to(at::kLong), two.ray_indices));
    const at::Tensor expected = rays.o.index_select(0, two.ray_indices) +
                                two.t.unsqueeze(1) * rays.d.index_select(0, two.ray_indices);
    EXPECT_LT((one.positions.slice(0, 0, two.n_samples()) - expected).abs().max().item<float>(), 1e-6f);
  }
  at::set_num_threads(threads);
}

TEST(RayMarch, RaysPastTheCapacityGetNoSamples) {
  const DensityGrid grid = shell_grid(1);
  const RandomRays rays(300, 6, 1.5f);
  const RaySamples all = march(rays.o, rays.d, grid, {}, rays.jitter);
  const int64_t capacity = all.n_samples() / 2;
  const Marched half = march_once(rays, grid, capacity);
  EXPECT_LT(half.n_fitting, 300);
  const int32_t last = half.start[-1].item<int32_t>();
  EXPECT_LE(last, capacity);
  EXPECT_EQ(last, all.ray_start[half.n_fitting].item<int32_t>());
  EXPECT_TRUE(at::equal(half.t.slice(0, 0, last), all.t.slice(0, 0, last)));
}

TEST(RayMarch, ConstantDensityGivesTheOpacityOfTheChord) {
  const DensityGrid grid = DensityGrid::create(1);  // every bit set
  const RandomRays rays(200, 7, 1.5f);
  Box3f box;
  box.min.setConstant(-.5f);
  box.max.setConstant(.5f);
  const RayBoxHits hits = intersect_box(rays.o, rays.d, box);
  const at::Tensor length = at::where(hits.hit, hits.t_max - hits.t_min, at::zeros_like(hits.t_min));  // [R]
  const RaySamples s = march(rays.o, rays.d, grid, {});
  const double sigma = 1.7;
  const RayWeights w = weights_from_density(at::full_like(s.t, sigma), s.dt, s.ray_start);
  const at::Tensor opacity = accumulate_along_rays(w.weights, {}, s.ray_start).view({-1});  // [R]
  const at::Tensor expected = 1 - at::exp(-sigma * length);
  // Half a step at each end.
  EXPECT_LT((opacity - expected).abs().max().item<double>(), sigma * kMinStep * 1.01);
  EXPECT_GT(expected.max().item<double>(), 0.8);
}

TEST(RayMarch, StepsGrowWithTheConeAndStayInBounds) {
  const MarchConfig config = MarchConfig::for_scale(16);
  EXPECT_FLOAT_EQ(config.step_at(0.01f), kMinStep);
  EXPECT_FLOAT_EQ(config.step_at(2.0f), 2.0f / 256);
  EXPECT_FLOAT_EQ(config.step_at(1e4f), kSqrt3 * 16 / 128);
  EXPECT_EQ(MarchConfig::for_scale(1).cone_angle, 0.0f);
}

TEST(RayMarch, NeverTakesMoreThanTheLimit) {
  const DensityGrid grid = DensityGrid::create(1);
  const RandomRays rays(20, 8, 1.0f);
  MarchConfig config;
  config.max_samples = 17;
  const RaySamples s = march(rays.o, rays.d, grid, config);
  EXPECT_EQ(s.n_samples(), 20 * 17);
}

TEST(RayMarch, RaysThatAreNotRaysGetNoSamples) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const at::Tensor o = at::tensor({nan, 0.f, 0.f, 0.f, 0.f, 0.f, inf, 0.f, 0.f, 5.f, 0.f, 0.f}).view({4, 3});
  const at::Tensor d = at::tensor({1.f, 0.f, 0.f, nan, nan, nan, 0.f, 1.f, 0.f, 1.f, 0.f, 0.f}).view({4, 3});
  EXPECT_LE(march(o, d, DensityGrid::create(1), {}).n_samples(), 4 * 1024);
  EXPECT_EQ(march(o.slice(0, 3), d.slice(0, 3), DensityGrid::create(1), {}).n_samples(), 0);
  OccupancyGrid grid = OccupancyGrid::create(Box3f());
  grid.fill(true);
  EXPECT_EQ(sample_lattice(o.slice(0, 3), d.slice(0, 3), grid, {}).n_samples(), 0);
  sample_lattice(o, d, grid, {});  // must end
}

TEST(RayBox, FloatAgreesWithDoubleOnRandomRays) {
  const RandomRays rays(500, 9, 1.0f);
  Box3f box;
  box.min = Vec3f(-.3f, -.2f, -.5f);
  box.max = Vec3f(.4f, .1f, .2f);
  const RayBoxHits f = intersect_box(rays.o, rays.d, box);
  const RayBoxHits g = intersect_box(rays.o.to(at::kDouble), rays.d.to(at::kDouble), box);
  const at::Tensor both = f.hit.logical_and(g.hit);
  EXPECT_GE(at::eq(f.hit, g.hit).sum().item<int64_t>(), 499);
  EXPECT_LT((f.t_min - g.t_min).masked_select(both).abs().max().item<double>(), 1e-5);
  EXPECT_LT((f.t_max - g.t_max).masked_select(both).abs().max().item<double>(), 1e-5);
}

TEST(Lattice, AllPointsAtOnceGiveTheSamplesOfTheWalk) {
  Box3f box;
  box.min = Vec3f(-1, -0.8f, -0.9f), box.max = Vec3f(1, 0.9f, 0.7f);
  OccupancyGrid grid = OccupancyGrid::create(box, 16);
  grid.binary = at::rand({1, 16, 16, 16}) > 0.6;
  const RandomRays rays(4000, 12, 2.0f);
  LatticeConfig config;
  config.step = 0.013f, config.near_plane = 0.3f, config.far_plane = 2.4f;
  const RaySamples walk = sample_lattice(rays.o, rays.d, grid, config, rays.jitter);
  const RaySamples dense = sample_lattice_dense(rays.o, rays.d, grid, config, rays.jitter);
  const auto counts = [](const RaySamples& s) {
    return (s.ray_start.slice(0, 1) - s.ray_start.slice(0, 0, -1)).to(at::kFloat);
  };
  ASSERT_GT(walk.n_samples(), 10000);
  const auto difference = (counts(walk) - counts(dense)).abs();
  EXPECT_LT(difference.sum().item<float>(), 2e-3 * static_cast<double>(walk.n_samples()));  // walls
  const auto same = difference.eq(0);
  const auto of = [&](const RaySamples& s) { return s.t.masked_select(same.index_select(0, s.ray_indices)); };
  const auto off = (of(walk) - of(dense)).abs();
  EXPECT_GT((off < 1e-4).to(at::kFloat).mean().item<float>(), 0.999);
  EXPECT_TRUE(dense.dt.eq(config.step).all().item<bool>());
}

/// A cone of no width takes the same steps and walks through the whole grid.
TEST(Lattice, OnlyTheStretchNearOccupiedCellsIsWalkedAndNothingIsLost) {
  Box3f box;
  box.min = Vec3f(-1, -0.8f, -0.9f), box.max = Vec3f(1, 0.9f, 0.7f);
  for (const int64_t side : {1, 5, 20, 32}) {
    OccupancyGrid grid = OccupancyGrid::create(box, static_cast<int>(side));
    std::vector<at::Tensor> contents{at::zeros({side, side, side}, at::kBool),
                                     at::ones({side, side, side}, at::kBool),
                                     at::rand({side, side, side}) > 0.98, at::rand({side, side, side}) > 0.5};
    for (const int64_t corner : {int64_t{0}, side - 1}) {
      contents.push_back(at::zeros({side, side, side}, at::kBool));
      contents.back()[corner][side / 2][corner] = true;
    }
    const RandomRays rays(1000, 12, 2.0f);
    LatticeConfig config;
    config.step = 0.013f, config.near_plane = 0.3f, config.far_plane = 2.4f;
    LatticeConfig whole = config;
    whole.cone_angle = 1e-20f;
    for (const at::Tensor& binary : contents) {
      grid.binary = binary.unsqueeze(0);
      const RaySamples found = sample_lattice(rays.o, rays.d, grid, config, rays.jitter);
      const RaySamples truth = sample_lattice(rays.o, rays.d, grid, whole, rays.jitter);
      EXPECT_TRUE(found.ray_start.equal(truth.ray_start)) << side;
      EXPECT_TRUE(found.t.equal(truth.t)) << side;
      EXPECT_TRUE(found.dt.equal(truth.dt)) << side;
      EXPECT_TRUE(found.ray_indices.equal(truth.ray_indices)) << side;
    }
  }
}

TEST(Lattice, ARayThatHardlyLeavesAWallSeesTheCellBesideIt) {
  Box3f box;
  box.min = Vec3f::Constant(-1), box.max = Vec3f::Constant(1);
  OccupancyGrid grid = OccupancyGrid::create(box, 32);
  grid.fill(true);
  grid.binary.slice(1, 0, 16).zero_();  // only the half that rays come to first
  LatticeConfig config;
  config.step = 0.01f;
  // y = 0 is a wall between cells, and 1e-8 is less than a float can move it by.
  const auto origins = at::tensor({2.5f, 0.f, 0.02f}).expand({3, 3}).contiguous();
  const auto directions = at::tensor({-1.f, 0.f, 0.f, -1.f, -1e-8f, 0.f, -1.f, 1e-8f, 0.f}).reshape({3, 3});
  const auto start = sample_lattice(origins, directions, grid, config).ray_start;
  EXPECT_EQ((start[1] - start[0]).item<int>(), 100);
  EXPECT_EQ((start[2] - start[1]).item<int>(), 100);
  EXPECT_EQ((start[3] - start[2]).item<int>(), 100);
}

TEST(Lattice, AllPointsAtOnceStandRaysThatMissOrAreNoRays) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor o = at::tensor({nan, 0.f, 0.f, 0.f, 0.f, 0.f, 5.f, 5.f, 0.f, -3.f, 0.f, 0.f}).view({4, 3});
  const at::Tensor d = at::tensor({1.f, 0.f, 0.f, nan, nan, nan, 1.f, 0.f, 0.f, 1.f, 0.f, 0.f}).view({4, 3});
  OccupancyGrid grid = OccupancyGrid::create(Box3f());
  grid.fill(true);
  LatticeConfig config;
  config.step = 0.1f;
  const RaySamples s = sample_lattice_dense(o, d, grid, config);
  EXPECT_EQ(s.ray_indices.min().item<int64_t>(), 3);  // along an axis, in the middle
  EXPECT_EQ(s.n_samples(), 20);
  EXPECT_EQ(sample_lattice_dense(o.slice(0, 0, 0), d.slice(0, 0, 0), grid, config).n_samples(), 0);
}

TEST(Lattice, TwoLevelsCoverTheEnlargedBoxAndTheFinestWins) {
  Box3f box;
  OccupancyGrid grid = OccupancyGrid::create(box, 8, 2);
  grid.binary[1].fill_(true);
  const at::Tensor o = at::tensor({-5.f, .1f, .1f}).view({1, 3}),
                   d = at::tensor({1.f, 0.f, 0.f}).view({1, 3});
  LatticeConfig config;
  config.step = 0.1f;
  const RaySamples s = sample_lattice(o, d, grid, config);
  const at::Tensor x = s.t - 5;  // [S]
  EXPECT_EQ(s.n_samples(), 20);
  EXPECT_GE(x.abs().min().item<float>(), 1.0f);
  EXPECT_LE(x.abs().max().item<float>(), 2.0f);
}

TEST(Importance, SamplesFollowTheDistribution) {
  const at::Tensor edges = at::linspace(0, 1, 5).view({1, 5});
  const at::Tensor cdf = at::tensor({0.f, 0.f, 0.f, 1.f, 1.f}).view({1, 5});  // all mass in [0.5,0.75]
  const Resampled out = importance_resample(edges, cdf, 10, at::tensor({0.3f}));
  EXPECT_GE(out.samples.min().item<float>(), 0.5f);
  EXPECT_LE(out.samples.max().item<float>(), 0.75f);
  EXPECT_NEAR(out.samples[0][4].item<float>(), 0.5f + 0.25f * 0.43f, 1e-6f);
  EXPECT_EQ(merge_edges(edges, out.intervals).size(1), 16);
  const at::Tensor c = cdf_from_transmittance(at::tensor({1.f, .5f, .25f}).view({1, 3}));
  EXPECT_TRUE(at::equal(c, at::tensor({0.f, .5f, .75f, 1.f}).view({1, 4})));
}

}  // namespace
}  // namespace t3d::ops
