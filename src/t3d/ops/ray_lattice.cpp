#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include "t3d/ops/composite.h"
#include "t3d/ops/level_cell.h"
#include "t3d/ops/ray_lists.h"

namespace t3d::ops {
namespace {

/// The cells of an OccupancyGrid along one ray.
class LevelWalk {
 public:
  struct Cell {
    bool is_occupied;
    int64_t index;
    float until;  ///< points from the one that was asked to this one lie in the same cell
  };

  LevelWalk(const OccupancyGrid& grid, const uint8_t* binary)
      : binary_(binary),
        side_(grid.resolution),
        n_levels_(grid.n_levels),
        centre_(grid.box.center()),
        size_(grid.box.size()) {}

  /// From here on blocks of 4^3 cells of which none is occupied count as one cell: of a grid of one level.
  void join_empty_cells(const std::vector<uint8_t>& blocks) { blocks_ = blocks.data(); }
  /// Whether each block holds an occupied cell.
  static std::vector<uint8_t> blocks_of(const OccupancyGrid& grid, const uint8_t* binary) {
    const int64_t n = grid.resolution, n_blocks = (n + kBlock - 1) / kBlock;
    std::vector<uint8_t> blocks(static_cast<size_t>(n_blocks * n_blocks * n_blocks));
    for (int64_t x = 0; x < n; ++x)
      for (int64_t y = 0; y < n; ++y) {
        uint8_t* const to = blocks.data() + (x / kBlock * n_blocks + y / kBlock) * n_blocks;
        for (int64_t z = 0; z < n; ++z) to[z / kBlock] |= binary[(x * n + y) * n + z] != 0 ? 1 : 0;
      }
    return blocks;
  }

  void set_ray(const Vec3f& origin, const Vec3f& direction) {
    o_ = origin;
    d_ = direction;
    for (int level = 0; level < n_levels_; ++level) {
      const Vec3f half = 0.5f * size_ * cascade_side(level), low = centre_ - half, high = centre_ + half;
      uint8_t hit;
      cpu::ray_box(o_.data(), d_.data(), 1, low.data(), high.data(), 1e10f, &enter_[level], &leave_[level],
                   &hit);
    }
  }

  float enter() const { return enter_[n_levels_ - 1]; }
  float leave() const { return leave_[n_levels_ - 1]; }

  /// The cell of the finest level that holds the ray's point at `t`.
  Cell at(float t) const {
    int level = n_levels_ - 1;
    float until = leave_[level];
    for (int finer = 0; finer < n_levels_; ++finer) {
      if (t < enter_[finer]) until = std::min(until, enter_[finer]);
      if (t >= enter_[finer] && t < leave_[finer]) {
        level = finer;
        until = std::min(until, leave_[finer]);
        break;
      }
    }
    const Vec3f size = size_ * cascade_side(level), low = centre_ - 0.5f * size;
    const int n_blocks = (side_ + kBlock - 1) / kBlock;
    int64_t index = level, block = 0;
    std::array<int, 3> cell{};
    for (int axis = 0; axis < 3; ++axis) {
      const int c = level_coordinate(o_[axis] + t * d_[axis], low[axis], size[axis], side_);
      cell[static_cast<size_t>(axis)] = c;
      index = index * side_ + c;
      block = block * n_blocks + c / kBlock;
    }
    const int run = blocks_ != nullptr && blocks_[block] == 0 ? kBlock : 1;
    for (int axis = 0; axis < 3; ++axis) {
      const int first = cell[static_cast<size_t>(axis)] / run * run;
      const int wall = d_[axis] > 0.0f ? std::min(first + run, side_) : first;
      if (d_[axis] != 0.0f) until = std::min(until, before_wall(axis, wall, low[axis], size[axis]));
    }
    return {binary_[index] != 0, index, until};
  }

 private:
  /// Where the ray comes so near to wall number `at` that rounding in at() may put its points on either side; a
  /// ray that grazes the wall takes long from there to the wall itself.
  float before_wall(int axis, int at, float low, float size) const {
    const float slack = 4e-7f * (std::fabs(o_[axis]) + std::fabs(low) + 2.0f * size);
    const bool is_up = d_[axis] > 0.0f;
    const float wall = low + static_cast<float>(at) / static_cast<float>(side_) * size;
    const float t = ((is_up ? wall - slack : wall + slack) - o_[axis]) / d_[axis];
    return t * (t > 0.0f ? 1.0f - 5e-7f : 1.0f + 5e-7f);
  }

  static constexpr int kBlock = 4;
  const uint8_t* binary_;
  const uint8_t* blocks_ = nullptr;
  int side_, n_levels_;
  Vec3f centre_, size_, o_, d_;
  std::array<float, kMaxCascades> enter_{}, leave_{};
};

/// A stretch of a ray.
struct Stretch {
  float enter, leave;
};

/// The box of the occupied cells of a grid of one level, and a cell more on each side.
class OccupiedBox {
 public:
  OccupiedBox(const OccupancyGrid& grid, const uint8_t* binary) {
    const int64_t n = grid.resolution;
    std::array<int64_t, 3> first{n, n, n}, last{-1, -1, -1};
    for (int64_t x = 0; x < n; ++x)
      for (int64_t y = 0; y < n; ++y) {
        const uint8_t* const row = binary + (x * n + y) * n;
        const uint8_t* const begin = std::find_if(row, row + n, [](uint8_t b) { return b != 0; });
        if (begin == row + n) continue;
        int64_t end = n;
        while (row[end - 1] == 0) --end;
        const std::array<int64_t, 3> low{x, y, begin - row}, high{x, y, end - 1};
        for (size_t axis = 0; axis < 3; ++axis) {
          first[axis] = std::min(first[axis], low[axis]);
          last[axis] = std::max(last[axis], high[axis]);
        }
      }
    is_empty_ = last[0] < 0;
    const Vec3f width = grid.box.size() / static_cast<float>(n);
    for (int axis = 0; axis < 3; ++axis) {
      const auto at = static_cast<size_t>(axis);
      low_[axis] = grid.box.min[axis] + static_cast<float>(first[at] - 1) * width[axis];
      high_[axis] = grid.box.min[axis] + static_cast<float>(last[at] + 2) * width[axis];
    }
  }

  /// Of the ray within the box; nothing where it passes by.
  std::optional<Stretch> stretch(const float* origin, const float* direction) const {
    Stretch s{};
    uint8_t hit = 0;
    if (!is_empty_)
      cpu::ray_box(origin, direction, 1, low_.data(), high_.data(), 1e10f, &s.enter, &s.leave, &hit);
    return hit != 0 ? std::optional<Stretch>(s) : std::nullopt;
  }

 private:
  Vec3f low_, high_;
  bool is_empty_ = false;
};

/// Appends the samples of one ray, all of which are `within`. As nerfacc does, the step is chosen anew for every
/// sample, but only once for the stretch before the box and for each empty cell; with cones this moves the later
/// samples.
void sample_ray(const LevelWalk& walk, const LatticeConfig& config, float near_plane, const Stretch& within,
                std::vector<Interval>* samples) {
  const float enter = std::max({walk.enter(), near_plane, within.enter}),
              leave = std::min({walk.leave(), config.far_plane, within.leave});
  const auto step_at = [&](float t) { return std::max(t * config.cone_angle, config.step); };
  const auto can_go = [](float t, float dt) { return t + dt > t; };
  float t = near_plane;
  for (const float dt = step_at(t); t + 0.5f * dt < enter && can_go(t, dt);) t += dt;
  for (float dt = step_at(t); t + 0.5f * dt < leave && can_go(t, dt); dt = step_at(t)) {
    const LevelWalk::Cell cell = walk.at(t + 0.5f * dt);
    const float until = std::min(cell.until, leave);
    if (cell.is_occupied) {
      do {
        samples->emplace_back(t + 0.5f * dt, dt);
        t += dt;
        dt = step_at(t);
      } while (t + 0.5f * dt < until && can_go(t, dt));
      continue;
    }
    const auto is_in_cell = [&](float middle) {
      return middle < until ||
             (config.cone_angle > 0.0f && middle < leave && walk.at(middle).index == cell.index);
    };
    do t += dt;
    while (is_in_cell(t + 0.5f * dt) && can_go(t, dt));
  }
}

/// The samples of some rays, by testing every point of their lattices at once.
struct DensePart {
  at::Tensor ray, t;  // [M] int64, float
};
DensePart dense_part(const at::Tensor& o, const at::Tensor& d, const at::Tensor& shift,
                     const OccupancyGrid& grid, const at::Tensor& binary, const LatticeConfig& config) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const Vec3f box_size = grid.box.size(), corner = grid.box.center() - 0.5f * box_size;
  const auto low = at::tensor({corner.x(), corner.y(), corner.z()}).to(o.device());
  const auto size = at::tensor({box_size.x(), box_size.y(), box_size.z()}).to(o.device());
  const auto high = low + size;
  const auto a = (low - o) / d, b = (high - o) / d;  // [R,3]
  // An axis that the ray does not move along gives infinities, or NaN on the slab itself: no bound then.
  const auto enters = at::minimum(a, b), leaves = at::maximum(a, b);
  const auto enter = at::nan_to_num(enters, -kInfinity, kInfinity, -kInfinity).amax(1, true);  // [R,1]
  const auto leave = at::nan_to_num(leaves, kInfinity, kInfinity, -kInfinity).amin(1, true);
  const auto is_hit = (enter <= leave).logical_and(leave > 0).logical_and(leave < kInfinity);
  const auto first_t = config.near_plane + shift.unsqueeze(1) * config.step;  // [R,1]
  const auto first = ((enter.clamp_min(config.near_plane) - first_t) / config.step - 0.5).ceil().clamp_min(0);
  const auto n_points = static_cast<int64_t>(std::ceil(grid.box.size().norm() / config.step)) + 1;
  const auto k = at::arange(n_points, o.options());                                 // [K]
  const auto t = first_t + (first + k + 0.5) * config.step;                         // [R,K]
  const auto inside = is_hit.logical_and(t < leave.clamp_max(config.far_plane));    // [R,K]
  const auto points = o.unsqueeze(1) + t.unsqueeze(2) * d.unsqueeze(1);             // [R,K,3]
  const auto place = (points - low) / size * static_cast<double>(grid.resolution);  // level_coordinate's
  const auto index = at::nan_to_num(place, 0, 0, 0).clamp(0, grid.resolution - 1).to(at::kLong);
  const auto flat = (index.select(2, 0) * grid.resolution + index.select(2, 1)) * grid.resolution +
                    index.select(2, 2);                                  // [R,K]
  const auto rows = at::nonzero(binary.take(flat).logical_and(inside));  // [M,2]
  const auto ray = rows.select(1, 0), at_k = rows.select(1, 1);
  return {ray, t.reshape({-1}).index_select(0, ray * n_points + at_k)};
}

}  // namespace

RaySamples sample_lattice_dense(const at::Tensor& origins, const at::Tensor& directions,
                                const OccupancyGrid& grid, const LatticeConfig& config,
                                const at::Tensor& jitter) {
  T3D_CHECK(config.step > 0.0f, "the lattice needs a positive step, not ", config.step);
  T3D_CHECK(grid.n_levels == 1 && config.cone_angle == 0, "the dense lattice has one level and even steps");
  constexpr int64_t kAtOnce = 1 << 22;
  const Rays rays(origins, directions, jitter);
  const auto binary = grid.binary.to(rays.o.device(), at::kBool).reshape({-1});  // [X*Y*Z]
  const auto shift = jitter.defined() ? rays.jitter : at::zeros({rays.size()}, rays.o.options());
  const auto n_points = static_cast<int64_t>(std::ceil(grid.box.size().norm() / config.step)) + 1;
  const int64_t n_rays = std::max<int64_t>(1, kAtOnce / n_points);
  std::vector<at::Tensor> ray, t;
  for (int64_t i = 0; i < rays.size() || i == 0; i += n_rays) {
    const auto part = dense_part(rays.o.slice(0, i, i + n_rays), rays.d.slice(0, i, i + n_rays),
                                 shift.slice(0, i, i + n_rays), grid, binary, config);
    ray.push_back(part.ray + i);
    t.push_back(part.t);
  }
  RaySamples out;
  out.ray_indices = at::cat(ray);
  out.t = at::cat(t);
  out.dt = at::full_like(out.t, config.step);
  out.ray_start = ray_start_from_indices(out.ray_indices, rays.size());
  return out;
}

RaySamples sample_lattice(const at::Tensor& origins, const at::Tensor& directions, const OccupancyGrid& grid,
                          const LatticeConfig& config, const at::Tensor& jitter) {
  T3D_CHECK(config.step > 0.0f, "the lattice needs a positive step, not ", config.step);
  T3D_CHECK(grid.n_levels <= kMaxCascades, "at most ", kMaxCascades, " levels, not ", grid.n_levels);
  if (!origins.device().is_cpu() && grid.n_levels == 1 && config.cone_angle == 0)
    return sample_lattice_dense(origins, directions, grid, config, jitter);
  if (!origins.device().is_cpu()) {
    // The walk runs on the CPU whatever the device: rays go there and samples come back.
    OccupancyGrid on_cpu = grid;
    on_cpu.binary = grid.binary.cpu();
    return sample_lattice(origins.cpu(), directions.cpu(), on_cpu, config,
                          jitter.defined() ? jitter.cpu() : jitter)
        .to(origins.device());
  }
  const Rays rays(origins, directions, jitter);
  const at::Tensor binary = grid.binary.to(at::kByte).contiguous();  // [L,X,Y,Z]
  const int64_t n = grid.resolution;
  T3D_CHECK(binary.numel() == grid.n_levels * n * n * n, "binary ", binary.sizes(), " for ", grid.n_levels,
            " levels of ", n, "^3");
  // With even steps nothing depends on how empty cells are walked through.
  std::optional<OccupiedBox> occupied;
  std::vector<uint8_t> blocks;
  if (grid.n_levels == 1 && config.cone_angle == 0) {
    occupied.emplace(grid, binary.data_ptr<uint8_t>());
    blocks = LevelWalk::blocks_of(grid, binary.data_ptr<uint8_t>());
  }
  std::vector<std::vector<Interval>> lists(rays.size());
  at::parallel_for(0, rays.size(), 64, [&](int64_t begin, int64_t end) {
    LevelWalk walk(grid, binary.data_ptr<uint8_t>());
    if (!blocks.empty()) walk.join_empty_cells(blocks);
    std::vector<Interval> samples;
    for (int64_t r = begin; r < end; ++r) {
      walk.set_ray(Vec3f(rays.origin(r)), Vec3f(rays.direction(r)));
      if (walk.leave() >= 1e10f) continue;  // missed
      Stretch within{0.0f, walk.leave()};
      if (occupied) {
        const auto found = occupied->stretch(rays.origin(r), rays.direction(r));
        if (!found) continue;
        within = *found;
      }
      const float shift = rays.shifts() != nullptr ? rays.shifts()[r] * config.step : 0.0f;
      samples.clear();
      sample_ray(walk, config, config.near_plane + shift, within, &samples);
      lists[r].assign(samples.begin(), samples.end());
    }
  });
  return pack(lists);
}

}  // namespace t3d::ops
