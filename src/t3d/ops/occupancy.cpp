#include "t3d/ops/occupancy.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "t3d/core/error.h"

namespace t3d::ops {

DensityGrid DensityGrid::create(float aabb_scale) {
  DensityGrid grid;
  grid.n_cascades = cascade_count(aabb_scale);
  const int64_t n_cells = int64_t{grid.n_cascades} * kCellsPerCascade;
  grid.density = at::zeros({n_cells}, at::kFloat);      // [K*128^3]
  grid.bits = at::full({n_cells / 8}, 255, at::kByte);  // [K*128^3/8]
  return grid;
}

float DensityGrid::update(const DensityGridConfig& config, uint64_t seed, int64_t step,
                          const DensityFunction& density_of, int64_t chunk) {
  c10::NoGradGuard no_grad;
  const OccupancyPick pick{step < config.warmup_steps, n_cascades};
  std::vector<at::Tensor> lists(n_cascades);
  std::vector<const uint32_t*> occupied(n_cascades, nullptr);
  std::vector<int64_t> n_occupied(n_cascades, 0);
  for (int k = 0; k < n_cascades && !pick.is_warmup; ++k) {
    lists[k] = at::empty({kCellsPerCascade}, at::kInt);
    auto* list = reinterpret_cast<uint32_t*>(lists[k].data_ptr<int32_t>());
    n_occupied[k] = cpu::list_occupied(bits.data_ptr<uint8_t>(), k, list);
    occupied[k] = list;
  }
  cpu::decay_density(density.data_ptr<float>(), density.numel(), config.decay);
  std::vector<uint32_t> cells(std::min(chunk, pick.size()));
  for (int64_t first = 0; first < pick.size(); first += chunk) {
    const int64_t n = std::min(chunk, pick.size() - first);
    at::Tensor points = at::empty({n, 3}, at::kFloat);  // [n,3]
    cpu::pick_cells(pick, seed, static_cast<uint32_t>(step), first, n, occupied.data(), n_occupied.data(),
                    cells.data(), points.data_ptr<float>());
    const at::Tensor sigma = density_of(points).to(at::kFloat).reshape({-1}).contiguous();  // [n]
    T3D_CHECK(sigma.numel() == n, "density of ", n, " points gave ", sigma.numel(), " values");
    cpu::apply_density(density.data_ptr<float>(), cells.data(), sigma.data_ptr<float>(), n);
  }
  return cpu::update_bits(density.data_ptr<float>(), n_cascades, config.density_threshold(),
                          bits.data_ptr<uint8_t>());
}

void DensityGrid::mark_unseen(const std::vector<Camera>& cameras, float near_distance) {
  cpu::mark_unseen(cameras.data(), static_cast<int64_t>(cameras.size()), n_cascades, near_distance,
                   density.data_ptr<float>());
}

double DensityGrid::occupied_share() const {
  int64_t n = 0;
  const uint8_t* bytes = bits.data_ptr<uint8_t>();
  for (int64_t i = 0; i < bits.numel(); ++i) n += __builtin_popcount(bytes[i]);
  return static_cast<double>(n) / static_cast<double>(8 * bits.numel());
}

OccupancyGrid OccupancyGrid::create(const Box3f& box, int resolution, int n_levels) {
  OccupancyGrid grid;
  grid.box = box;
  grid.resolution = resolution;
  grid.n_levels = n_levels;
  const int64_t n = resolution;
  grid.occupancy = at::zeros({n_levels * n * n * n}, at::kFloat);  // [L*X*Y*Z]
  grid.binary = at::zeros({n_levels, n, n, n}, at::kBool);         // [L,X,Y,Z]
  return grid;
}

OccupancyGrid::Pick OccupancyGrid::pick(uint64_t seed, int64_t step, int64_t warmup_steps) const {
  const int64_t per_level = occupancy.numel() / n_levels, quarter = per_level / 4;
  const auto step32 = static_cast<uint32_t>(step);
  std::vector<int64_t> cells;
  for (int64_t level = 0; level < n_levels; ++level) {
    const int64_t first = level * per_level;
    if (step < warmup_steps) {
      for (int64_t i = 0; i < per_level; ++i) cells.push_back(first + i);
      continue;
    }
    for (int64_t i = 0; i < quarter; ++i) {
      const uint32_t word = draw(seed, DrawStream::OccupancyUniform, step32, first + i).v[3];
      cells.push_back(first + static_cast<int64_t>((uint64_t{word} * per_level) >> 32));
    }
    const at::Tensor set = at::nonzero(binary[level].reshape({-1})).reshape({-1});  // [n]
    const int64_t n_set = set.numel();
    const int64_t* list = set.data_ptr<int64_t>();
    for (int64_t i = 0; i < std::min(n_set, quarter); ++i) {
      const uint32_t word = draw(seed, DrawStream::OccupancyOccupied, step32, first + i).v[3];
      cells.push_back(first + list[n_set > quarter ? (uint64_t{word} * n_set) >> 32 : i]);
    }
  }
  Pick out;
  const auto m = static_cast<int64_t>(cells.size());
  out.cells = at::empty({m}, at::kLong);       // [M]
  out.points = at::empty({m, 3}, at::kFloat);  // [M,3]
  std::copy(cells.begin(), cells.end(), out.cells.data_ptr<int64_t>());
  float* points = out.points.data_ptr<float>();
  const float inverse = 1.0f / static_cast<float>(resolution);
  for (int64_t i = 0; i < m; ++i) {
    const Philox r = draw(seed, DrawStream::OccupancyAll, step32, i);
    const int64_t within = cells[i] % per_level;
    const float scale = cascade_side(static_cast<int>(cells[i] / per_level));
    const int64_t coordinate[3] = {within / (resolution * resolution), within / resolution % resolution,
                                   within % resolution};
    for (int axis = 0; axis < 3; ++axis) {
      const float share = (static_cast<float>(coordinate[axis]) + r.uniform(axis)) * inverse;
      points[3 * i + axis] = box.center()[axis] + (share - 0.5f) * box.size()[axis] * scale;
    }
  }
  return out;
}

void OccupancyGrid::apply(const at::Tensor& cells, const at::Tensor& values, float decay,
                          float max_threshold) {
  c10::NoGradGuard no_grad;
  const at::Tensor fresh = values.to(at::kFloat).reshape({-1}).contiguous();  // [M]
  T3D_CHECK(fresh.numel() == cells.numel(), cells.numel(), " cells, ", fresh.numel(), " values");
  const int64_t* index = cells.data_ptr<int64_t>();
  const float* value = fresh.data_ptr<float>();
  float* occ = occupancy.data_ptr<float>();
  // Every visit starts from the value before the update, so a cell that comes twice decays once.
  const at::Tensor before = occupancy.clone();  // [L*X*Y*Z]
  const float* old = before.data_ptr<float>();
  std::vector<bool> is_visited(occupancy.numel(), false);
  for (int64_t i = 0; i < cells.numel(); ++i) {
    const int64_t cell = index[i];
    if (old[cell] < 0.0f) continue;
    const float next = std::max(decay * old[cell], value[i]);
    occ[cell] = is_visited[cell] ? std::max(occ[cell], next) : next;
    is_visited[cell] = true;
  }
  const double threshold = std::min(mean(), static_cast<double>(max_threshold));
  binary = (occupancy > threshold).reshape(binary.sizes());  // [L,X,Y,Z]
}

void OccupancyGrid::update(uint64_t seed, int64_t step,
                           const std::function<at::Tensor(const at::Tensor& points)>& values, int interval) {
  if (step % interval != 0) return;
  c10::NoGradGuard no_grad;
  const Pick visited = pick(seed, step);
  apply(visited.cells, values(visited.points));
}

void OccupancyGrid::fill(bool is_occupied) {
  binary.fill_(is_occupied);
}

double OccupancyGrid::mean() const {
  const at::Tensor valid = occupancy.masked_select(occupancy >= 0);  // [n]
  return valid.numel() == 0 ? 0.0 : valid.mean().item<float>();
}

}  // namespace t3d::ops
