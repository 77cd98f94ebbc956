#include "t3d/ops/occupancy.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <set>

namespace t3d::ops {
namespace {

TEST(Morton, RoundTripsAndOrdersXFirst) {
  EXPECT_EQ(morton_code(1, 0, 0), 1u);
  EXPECT_EQ(morton_code(0, 1, 0), 2u);
  EXPECT_EQ(morton_code(0, 0, 1), 4u);
  for (uint32_t code = 0; code < kCellsPerCascade; code += 977)
    EXPECT_EQ(morton_code(morton_gather(code), morton_gather(code >> 1), morton_gather(code >> 2)), code);
}

TEST(DensityGrid, PointOfACellLiesInThatCell) {
  for (uint32_t cell = 5; cell < 3u * kCellsPerCascade; cell += 99991) {
    float p[3];
    cell_point(cell, 0.01f, 0.5f, 0.99f, p);
    EXPECT_EQ(cell_number(p[0], p[1], p[2], static_cast<int>(cell / kCellsPerCascade)), cell);
  }
  EXPECT_EQ(cascade_count(1), 1);
  EXPECT_EQ(cascade_count(16), 5);
  EXPECT_EQ(cascade_of_position(0.49f, 3), 0);
  EXPECT_EQ(cascade_of_position(0.6f, 3), 1);
  EXPECT_EQ(cascade_of_position(9.0f, 3), 2);
}

TEST(DensityGrid, ThresholdIsAnOpticalThicknessPerStep) {
  EXPECT_NEAR(DensityGridConfig().density_threshold(), 5.912f, 1e-3f);
}

TEST(DensityGrid, EmptyFieldEndsWithNoSetBits) {
  DensityGrid grid = DensityGrid::create(2);
  EXPECT_EQ(grid.occupied_share(), 1.0);
  grid.update({}, 1, 0, [](const at::Tensor& p) { return at::zeros({p.size(0)}); });
  EXPECT_EQ(grid.occupied_share(), 0.0);
  grid.update({}, 1, 512, [](const at::Tensor& p) { return at::zeros({p.size(0)}); });
  EXPECT_EQ(grid.occupied_share(), 0.0);
}

at::Tensor ball(const at::Tensor& points) {
  return 50 * (points.square().sum(1) < 0.04).to(at::kFloat);
}

TEST(DensityGrid, BallOfDensityGivesABallOfBits) {
  DensityGrid grid = DensityGrid::create(1);
  const float threshold = grid.update({}, 1, 0, ball);
  EXPECT_NEAR(threshold, 5.912f, 1e-3f);
  EXPECT_NEAR(grid.occupied_share(), 4.0 / 3 * M_PI * 0.008, 0.002);
  for (int step = 256; step < 320; step += 16) grid.update({}, 1, step, ball);
  EXPECT_NEAR(grid.occupied_share(), 4.0 / 3 * M_PI * 0.008, 0.002);
}

TEST(DensityGrid, AllCellsDecayAndUnvisitedOnesFade) {
  DensityGrid grid = DensityGrid::create(1);
  grid.density.fill_(1.0f);
  grid.density[17] = -1.0f;
  grid.update({}, 1, 1000, [](const at::Tensor& p) { return at::zeros({p.size(0)}); });
  EXPECT_EQ(grid.density[17].item<float>(), -1.0f);
  EXPECT_FLOAT_EQ(grid.density[18].item<float>(), 0.95f);
  EXPECT_FLOAT_EQ(grid.density.max().item<float>(), 0.95f);
}

TEST(DensityGrid, LaterUpdatesVisitAQuarterUniformAndAQuarterOccupied) {
  DensityGrid grid = DensityGrid::create(1);
  grid.bits.zero_();
  grid.bits[1000] = 0xFF;
  int64_t n_points = 0, n_inside = 0;
  grid.update({}, 3, 256, [&](const at::Tensor& p) {
    const float* x = p.data_ptr<float>();
    for (int64_t i = 0; i < p.size(0); ++i)
      n_inside += cell_number(x[3 * i], x[3 * i + 1], x[3 * i + 2], 0) / 8 == 1000;
    n_points += p.size(0);
    return at::zeros({p.size(0)});
  });
  EXPECT_EQ(n_points, kCellsPerCascade / 2);
  EXPECT_GE(n_inside, kCellsPerCascade / 4);
  EXPECT_LT(n_inside, kCellsPerCascade / 4 + 40);
}

TEST(DensityGrid, UpdateDoesNotDependOnChunksOrThreads) {
  DensityGrid a = DensityGrid::create(1), b = DensityGrid::create(1);
  const int threads = at::get_num_threads();
  for (const int step : {0, 256, 272}) {
    at::set_num_threads(1);
    a.update({}, 9, step, ball, 1 << 18);
    at::set_num_threads(3);
    b.update({}, 9, step, ball, 100003);
  }
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(a.density, b.density));
  EXPECT_TRUE(at::equal(a.bits, b.bits));
}

TEST(DensityGrid, CoarserCascadesHoldWhatTheFinerOnesDo) {
  DensityGrid grid = DensityGrid::create(2);
  const float p[3] = {0.2f, -0.3f, 0.1f};
  grid.density[cell_number(p[0], p[1], p[2], 0)] = 100.0f;
  cpu::update_bits(grid.density.data_ptr<float>(), 2, 5.9f, grid.bits.data_ptr<uint8_t>());
  const uint32_t coarse = cell_number(p[0], p[1], p[2], 1);
  const uint8_t* bits = grid.bits.data_ptr<uint8_t>();
  EXPECT_TRUE(bits[coarse >> 3] & (1u << (coarse & 7u)));
  std::vector<uint32_t> list(kCellsPerCascade);
  ASSERT_EQ(cpu::list_occupied(bits, 1, list.data()), 1);
  EXPECT_EQ(list[0], coarse);
}

Camera camera_at(const Vec3f& position, const Vec3f& target) {
  Camera camera;
  camera.lens = Lens::from_fov_x(64, 64, 0.7f);
  camera.camera_to_world = look_at(position, target);
  return camera;
}

float density_at(const DensityGrid& grid, const Vec3f& p, int cascade) {
  return grid.density[cell_number(p.x(), p.y(), p.z(), cascade)].item<float>();
}

TEST(DensityGrid, CellsBehindAllCamerasAreAndStayUnoccupied) {
  DensityGrid grid = DensityGrid::create(4);
  grid.mark_unseen({camera_at({0, -1.2f, 0}, {0, 0, 0}), camera_at({0.3f, -1.2f, 0}, {0, 0, 0})});
  EXPECT_EQ(density_at(grid, {0, 0, 0}, 0), 0.0f);
  EXPECT_EQ(density_at(grid, {0, 1.5f, 0}, 2), 0.0f);
  EXPECT_EQ(density_at(grid, {0, -1.6f, 0}, 2), -1.0f) << "behind both";
  EXPECT_EQ(density_at(grid, {0.9f, -1.0f, 0}, 1), -1.0f) << "beside the image";
  grid.update({}, 1, 0, [](const at::Tensor& p) { return at::full({p.size(0)}, 9.0f); });
  EXPECT_EQ(density_at(grid, {0, -1.6f, 0}, 2), -1.0f);
  EXPECT_EQ(density_at(grid, {0, 0, 0}, 0), 9.0f);
}

TEST(DensityGrid, CellsAtTheLensAreUnoccupied) {
  DensityGrid grid = DensityGrid::create(1);
  grid.mark_unseen({camera_at({0, -0.3f, 0}, {0, 1, 0})}, 0.05f);
  EXPECT_EQ(density_at(grid, {0, -0.27f, 0}, 0), -1.0f);
  EXPECT_EQ(density_at(grid, {0, -0.2f, 0}, 0), 0.0f);
}

TEST(OccupancyGrid, WarmUpVisitsEveryCellOnceInsideItself) {
  OccupancyGrid grid = OccupancyGrid::create(Box3f(), 8);
  const auto pick = grid.pick(1, 0);
  EXPECT_TRUE(at::equal(pick.cells, at::arange(512, at::kLong)));
  const at::Tensor coordinate = ((pick.points + 1) * 4).floor().to(at::kLong);  // [M,3]
  const at::Tensor number =
      coordinate.select(1, 0) * 64 + coordinate.select(1, 1) * 8 + coordinate.select(1, 2);
  EXPECT_TRUE(at::equal(number, pick.cells));
}

TEST(OccupancyGrid, LaterUpdatesVisitAllOccupiedCellsWhileTheyAreFew) {
  OccupancyGrid grid = OccupancyGrid::create(Box3f(), 8);
  grid.binary[0][1][2][3] = true;
  grid.binary[0][7][7][7] = true;
  const auto pick = grid.pick(1, 256);
  ASSERT_EQ(pick.cells.numel(), 128 + 2);
  EXPECT_EQ(pick.cells[128].item<int64_t>(), 1 * 64 + 2 * 8 + 3);
  EXPECT_EQ(pick.cells[129].item<int64_t>(), 511);
}

TEST(OccupancyGrid, OnlyVisitedCellsDecay) {
  OccupancyGrid grid = OccupancyGrid::create(Box3f(), 4);
  grid.occupancy.fill_(0.5f);
  grid.apply(at::tensor({3, 3, 5}, at::kLong), at::tensor({0.1f, 0.2f, 0.9f}));
  EXPECT_FLOAT_EQ(grid.occupancy[3].item<float>(), 0.475f);
  EXPECT_FLOAT_EQ(grid.occupancy[5].item<float>(), 0.9f);
  EXPECT_FLOAT_EQ(grid.occupancy[4].item<float>(), 0.5f);
  EXPECT_EQ(grid.binary.sum().item<int64_t>(), 64);
}

}  // namespace
}  // namespace t3d::ops
