#include <torch/csrc/autograd/autograd.h>

#include "t3d/ops/composite.h"
#include "t3d/ops/frequency.h"
#include "t3d/ops/hash_grid.h"
#include "t3d/ops/spherical_harmonics.h"
#include "tests/golden/own_set.h"
#include "tests/support/every_middle.h"

namespace t3d::testing {
namespace {

std::vector<at::Tensor> gradients(const at::Tensor& y, const std::vector<at::Tensor>& x) {
  return torch::autograd::grad({y}, x);
}

at::Tensor unit_rows(const at::Tensor& x) {
  return in_float(x / x.norm(2, 1, true));
}

/// ------------------------------------------------------------------------------------ grid encodings

void add_grids(OwnSet& set) {
  const std::string file = "grid-encoding/cases_hashgrid.safetensors";
  nlohmann::json options;
  Tensors all;
  const auto add = [&](const std::string& name, int64_t n_points, const ops::HashGridConfig& config) {
    const auto layout = ops::HashGridLayout::make(config);
    const bool is_smooth = config.interpolation == ops::Interpolation::Smoothstep;
    all[name + ".config"] = at::tensor({double(config.n_levels), double(config.n_features),
                                        double(config.log2_table), double(config.base_resolution),
                                        config.per_level_scale, double(config.n_dims), is_smooth ? 1.0 : 0.0},
                                       at::kDouble);
    auto levels = at::empty({config.n_levels, 4}, at::kDouble);
    for (int64_t l = 0; l < config.n_levels; ++l) {
      const auto& level = layout.levels[l];
      levels[l] = at::tensor(
          {double(level.scale), double(level.resolution), double(level.n_entries), double(level.first_entry)},
          at::kDouble);
    }
    all[name + ".levels"] = levels;
    const auto x = learnt(in_float(at::rand({n_points, config.n_dims}, at::kDouble)));
    const auto params = learnt(in_float(at::rand({layout.n_params()}, at::kDouble) - 0.5));
    const auto y = ops::hash_grid_encode(x, params, layout);
    const auto dy = inputs(y.sizes());
    const auto grads = gradients((y * dy).sum(), {x, params});
    const auto touched = at::nonzero(grads[1]).reshape({-1});
    all[name + ".x"] = x, all[name + ".params"] = params, all[name + ".dy"] = dy;
    all[name + ".y"] = all[name + ".y_f64"] = y;
    all[name + ".dx"] = all[name + ".dx_f64"] = grads[0];
    all[name + ".dparams.index"] = touched;
    all[name + ".dparams.value"] = grads[1].index_select(0, touched);
    all[name + ".level_diff"] = at::zeros({config.n_levels});
    options["runs"][name] = {{"otype", "HashGrid"},
                             {"n_input_dims", config.n_dims},
                             {"interpolation", is_smooth ? "Smoothstep" : "Linear"},
                             {"n_points", n_points},
                             {"n_levels", config.n_levels},
                             {"n_features_per_level", config.n_features},
                             {"log2_hashmap_size", config.log2_table},
                             {"base_resolution", config.base_resolution},
                             {"per_level_scale", config.per_level_scale}};
  };
  ops::HashGridConfig config;
  config.n_levels = 7, config.log2_table = 8, config.base_resolution = 5, config.per_level_scale = 1.61f;
  add("coarse", 40, config);
  config.n_levels = 4, config.n_features = 4, config.log2_table = 7, config.base_resolution = 4;
  config.per_level_scale = 1.9f, config.interpolation = ops::Interpolation::Smoothstep;
  add("smooth", 24, config);
  config.n_dims = 2, config.n_features = 2, config.n_levels = 6;
  config.interpolation = ops::Interpolation::Linear;
  add("flat", 24, config);
  set.add(file, all, options);
}

void add_directions(OwnSet& set) {
  const std::string file = "grid-encoding/cases_directions.safetensors";
  nlohmann::json options;
  Tensors all;
  const auto x = in_float(unit_rows(normals({30, 3})) / 2 + 0.5);
  all["x"] = x;
  options["sh"] = {{"degrees", {2, 3, 4}}, {"grad_degree", 3}};
  for (const int degree : {2, 3, 4}) {
    const std::string name = cat("sh.degree", degree);
    const auto in = learnt(x.to(at::kFloat));  // polynomials of low degree: nothing is lost
    const auto y = ops::spherical_harmonics(in * 2 - 1, degree);
    all[name + ".y"] = y;
    if (degree != 3) continue;
    const auto dy = inputs(y.sizes()).to(at::kFloat);
    all[name + ".dy"] = dy;
    all[name + ".dx"] = gradients((y * dy).sum(), {in})[0];
  }
  constexpr int kFrequencies = 4;
  options["freq"]["n_frequencies"] = kFrequencies;
  const auto in = learnt(in_float(at::rand({20, 3}, at::kDouble)));
  const auto y = ops::frequency_encode(in, kFrequencies);
  const auto dy = inputs(y.sizes());
  all["freq.x"] = in, all["freq.y"] = y, all["freq.dy"] = dy;
  all["freq.dx"] = gradients((y * dy).sum(), {in})[0];
  set.add(file, all, options);
}

/// ------------------------------------------------------------------------------------ occupancy grid

struct Samples {
  std::vector<int64_t> ray;
  std::vector<float> t, dt;
  void put(const std::string& name, Tensors& all) const {
    const auto middle = at::tensor(t).to(at::kDouble), length = at::tensor(dt).to(at::kDouble);
    all[name + ".ray_indices"] = at::tensor(ray, at::kLong);
    all[name + ".t_starts"] = middle - length / 2;
    all[name + ".t_ends"] = middle + length / 2;
  }
};

std::vector<Ray> rays_for(const Box3f& box) {
  std::vector<Ray> rays;
  const Vec3f c = box.center();
  // Along the axes; two of them on walls by their decimals, as 0.2 is with 10 cells over -1..1.
  rays.push_back({Vec3f(-2.5f, 0.01f, 0.02f), Vec3f(1, 0, 0)});
  rays.push_back({Vec3f(0.2f, 2.2f, -0.31f), Vec3f(0, -1, 0)});
  rays.push_back({Vec3f(0.6f, 0.4f, 3.0f), Vec3f(0, 0, -1)});
  rays.push_back({c + Vec3f(0.03f, -0.02f, 0.04f), Vec3f(2, -1, 2) / 3});  // starts inside
  rays.push_back({Vec3f(4, 4, 4), Vec3f(0.6f, 0.8f, 0)});                  // misses
  constexpr int64_t kRandom = 16;
  const auto at_random = normals({kRandom, 6}).to(at::kFloat);
  for (int64_t i = 0; i < kRandom; ++i) {
    const float* v = at_random[i].data_ptr<float>();
    const Vec3f from = Vec3f(v[0], v[1], v[2]).normalized() * 2.4f + c;
    rays.push_back({from, (c + Vec3f(v[3], v[4], v[5]) * 0.4f - from).normalized()});
  }
  return rays;
}

void add_occupancy(OwnSet& set) {
  const std::string file = "volume-rendering/cases_occgrid.safetensors";
  constexpr int kSide = 10;
  constexpr float kStep = 0.0733f;
  nlohmann::json options{{"roi_aabb", {-1, -1, -1, 1, 1, 1}},
                         {"resolution", kSide},
                         {"levels", 1},
                         {"near_plane", 0.0},
                         {"far_plane", 1e10},
                         {"cone_angle", 0.0},
                         {"stratified", false},
                         {"aabb", {{"miss_value", 1e10}}},
                         {"runs",
                          {{"plain", nlohmann::json::object()},
                           {"planes", {{"near_plane", 1.4}, {"far_plane", 3.1}}},
                           {"cone", {{"cone_angle", 0.015}}},
                           {"stratified", {{"stratified", true}}},
                           {"pruned",
                            {{"early_stop_eps", 0.03},
                             {"effective_alpha_thre", 0.01},
                             {"sigma", {{"amplitude", 30.0}, {"falloff", 3.0}}}}}}}};
  Box3f box;
  box.min = Vec3f(-1, -1, -1), box.max = Vec3f(1, 1, 1);
  ops::OccupancyGrid grid = ops::OccupancyGrid::create(box, kSide);
  grid.binary = at::rand({1, kSide, kSide, kSide}) < 0.4;
  Tensors all;
  all["binaries"] = grid.binary[0].to(at::kByte);
  all["step"] = at::full({1}, kStep);
  const auto rays = rays_for(box);
  const auto n = static_cast<int64_t>(rays.size());
  auto o = at::empty({n, 3}), d = at::empty({n, 3}), t_min = at::empty({n}), t_max = at::empty({n});
  auto hit = at::empty({n}, at::kByte);
  for (int64_t r = 0; r < n; ++r)
    for (int axis = 0; axis < 3; ++axis) o[r][axis] = rays[r].o[axis], d[r][axis] = rays[r].d[axis];
  const double miss = options["aabb"]["miss_value"];
  for (int64_t r = 0; r < n; ++r) {  // slabs, in double
    double enter = -1e30, leave = 1e30;
    for (int axis = 0; axis < 3; ++axis) {
      const double from = rays[r].o[axis], along = rays[r].d[axis];
      if (along == 0 && (from < box.min[axis] || from > box.max[axis])) leave = -1e30;
      if (along == 0) continue;
      const double a = (box.min[axis] - from) / along, b = (box.max[axis] - from) / along;
      enter = std::max(enter, std::min(a, b)), leave = std::min(leave, std::max(a, b));
    }
    const bool is_hit = enter <= leave && leave > 0;
    hit[r] = is_hit ? 1 : 0, t_min[r] = is_hit ? enter : miss, t_max[r] = is_hit ? leave : miss;
  }
  all["rays_o"] = o, all["rays_d"] = d;
  all["aabb.hit"] = hit, all["aabb.t_min"] = t_min, all["aabb.t_max"] = t_max;
  const auto u = at::rand({n});
  all["stratified.u"] = u;
  for (const auto& [name, run] : options["runs"].items()) {
    nlohmann::json merged = options;
    merged.update(run);
    ops::LatticeConfig config;
    config.step = kStep;
    config.near_plane = merged["near_plane"], config.far_plane = merged["far_plane"];
    config.cone_angle = merged["cone_angle"];
    Samples samples;
    for (int64_t r = 0; r < n; ++r) {
      const float jitter = merged["stratified"].get<bool>() ? u[r].item<float>() : 0.0f;
      double depth = 0;
      for (const auto& [t, dt] : every_middle(grid, config, rays[r], jitter)) {
        if (run.contains("sigma")) {
          const Vec3d p = rays[r].o.cast<double>() + double{t} * rays[r].d.cast<double>();
          const double sigma = run["sigma"]["amplitude"].get<double>() *
                               std::exp(-run["sigma"]["falloff"].get<double>() * p.squaredNorm());
          const double transmittance = std::exp(-depth), alpha = 1 - std::exp(-sigma * dt);
          depth += sigma * dt;
          if (transmittance < run["early_stop_eps"] || alpha < run["effective_alpha_thre"]) continue;
        }
        samples.ray.push_back(r), samples.t.push_back(t), samples.dt.push_back(dt);
      }
    }
    samples.put(name, all);
  }

  constexpr int64_t kUpdated = 6;
  const nlohmann::json update{
      {"roi_aabb", {-1, -1, -1, 1, 1, 1}},
      {"resolution", kUpdated},
      {"occ_thre", 0.02},
      {"ema_decay", 0.9},
      {"runs",
       {{{"step", 0}, {"scale", 0.06}, {"amplitude", 2.5}, {"falloff", 5.0}, {"centre", -0.1}},
        {{"step", 1}, {"scale", 0.06}, {"amplitude", 1.5}, {"falloff", 4.0}, {"centre", 0.4}}}}};
  options["update"] = update;
  const int64_t n_cells = kUpdated * kUpdated * kUpdated;
  const auto cells = at::arange(n_cells, at::kDouble);
  const auto corners = at::stack({(cells / (kUpdated * kUpdated)).floor(),
                                  (cells / kUpdated).floor().remainder(kUpdated), cells.remainder(kUpdated)},
                                 1);
  auto occupancy = at::zeros({n_cells}, at::kDouble);
  for (const auto& run : update["runs"]) {
    const std::string suffix = std::to_string(run["step"].get<int>());
    const auto jitter = in_float(at::rand({n_cells, 3}, at::kDouble));
    const auto points = (corners + jitter) / kUpdated * 2 - 1;
    const auto value =
        run["scale"].get<double>() * run["amplitude"].get<double>() *
        at::exp(-run["falloff"].get<double>() * (points - run["centre"].get<double>()).square().sum(1));
    occupancy = at::maximum(occupancy * update["ema_decay"].get<double>(), value);
    const double threshold = std::min(occupancy.mean().item<double>(), update["occ_thre"].get<double>());
    all["update.jitter" + suffix] = jitter;
    all["update.occs" + suffix] = occupancy.clone();
    all["update.binaries" + suffix] =
        (occupancy > threshold).to(at::kByte).reshape({kUpdated, kUpdated, kUpdated});
  }

  // Importance resampling: the inverse of a piecewise linear distribution, in double.
  constexpr int64_t kRays = 4, kEdges = 13, kNew = 9;
  const auto rising = [](const at::Tensor& x) { return x.cumsum(1); };
  const auto edges = in_float(rising(at::rand({kRays, kEdges}, at::kDouble) + 0.1));
  auto cdf = rising(at::rand({kRays, kEdges}, at::kDouble) + 0.05);
  cdf = in_float((cdf - cdf.slice(1, 0, 1)) / (cdf.slice(1, -1) - cdf.slice(1, 0, 1)));
  auto samples = at::empty({kRays, kNew}, at::kDouble), intervals = at::empty({kRays, kNew + 1}, at::kDouble);
  for (int64_t r = 0; r < kRays; ++r) {
    const double *e = edges[r].data_ptr<double>(), *c = cdf[r].data_ptr<double>();
    double* s = samples[r].data_ptr<double>();
    double* b = intervals[r].data_ptr<double>();
    for (int64_t i = 0; i < kNew; ++i) {
      const double wanted = c[0] + (static_cast<double>(i) + 0.5) * (c[kEdges - 1] - c[0]) / kNew;
      int64_t k = 0;
      while (k < kEdges - 2 && c[k + 1] < wanted) ++k;
      s[i] = e[k] + (wanted - c[k]) / (c[k + 1] - c[k]) * (e[k + 1] - e[k]);
    }
    for (int64_t i = 1; i < kNew; ++i) b[i] = (s[i - 1] + s[i]) / 2;
    b[0] = std::max(e[0], 2 * s[0] - b[1]);
    b[kNew] = std::min(e[kEdges - 1], 2 * s[kNew - 1] - b[kNew - 1]);
  }
  all["importance.edges"] = edges, all["importance.cdf"] = cdf;
  all["importance.samples"] = samples, all["importance.intervals"] = intervals;
  set.add(file, all, options);
}

/// ------------------------------------------------------------------------------------ compositing

void add_compositing(OwnSet& set) {
  const std::string file = "volume-rendering/cases_render.safetensors";
  nlohmann::json options;
  const std::vector<int64_t> per_ray{3, 0, 21, 1, 40, 0, 9, 17};
  const auto n_rays = static_cast<int64_t>(per_ray.size());
  std::vector<int64_t> index;
  std::vector<double> starts, ends;
  for (int64_t r = 0; r < n_rays; ++r) {
    double t = 1.1;
    const auto gaps = at::rand({per_ray[r] + 1, 2}, at::kDouble);
    for (int64_t i = 0; i < per_ray[r]; ++i) {
      t += 0.02 * gaps[i][0].item<double>();
      starts.push_back(t);
      t += 0.01 + 0.05 * gaps[i][1].item<double>();
      ends.push_back(t);
      index.push_back(r);
    }
  }
  Tensors all;
  const auto ray_indices = at::tensor(index, at::kLong);
  const auto start = ops::ray_start_from_indices(ray_indices, n_rays);
  const auto t_starts = in_float(at::tensor(starts, at::kDouble)),
             t_ends = in_float(at::tensor(ends, at::kDouble));
  const auto dt = t_ends - t_starts, t = (t_starts + t_ends) / 2;
  const auto n = static_cast<int64_t>(index.size());
  const auto sigma = learnt(in_float(at::rand({n}, at::kDouble) * 12)),
             rgb = learnt(in_float(at::rand({n, 3}, at::kDouble)));
  const auto background = in_float(at::tensor({0.6, 0.1, 0.3}, at::kDouble));
  all["n_rays"] = at::full({1}, n_rays, at::kLong);
  all["ray_indices"] = ray_indices, all["t_starts"] = t_starts, all["t_ends"] = t_ends;
  all["sigmas"] = sigma, all["rgbs"] = rgb, all["background"] = background;
  const auto w = ops::weights_from_density(sigma, dt, start);
  all["weights"] = w.weights, all["transmittance"] = w.transmittance, all["alphas"] = w.alphas;
  const auto opacity = ops::accumulate_along_rays(w.weights, {}, start);
  const auto colour = ops::accumulate_along_rays(w.weights, rgb, start) + background * (1 - opacity);
  const auto depth = ops::accumulate_along_rays(w.weights, t.unsqueeze(1), start);
  const auto mean = depth.detach().index_select(0, ray_indices);
  const auto zvar = ops::accumulate_along_rays(w.weights, (t.unsqueeze(1) - mean).square(), start);
  auto loss = at::zeros({}, at::kDouble);
  for (const auto& [name, out] : std::map<std::string, at::Tensor>{
           {"color", colour}, {"opacity", opacity}, {"depth", depth}, {"zvar", zvar}}) {
    const auto r = inputs(out.sizes());
    all["R." + name] = r, all["out." + name] = out;
    loss = loss + (out * r).sum();
  }
  const auto grads = gradients(loss, {sigma, rgb});
  all["grad.sigmas"] = grads[0], all["grad.rgbs"] = grads[1];

  for (const auto& [eps, alpha] : {std::pair{0.001, 0.0}, {0.2, 0.05}}) {
    const std::string name = cat("visible.eps", eps, "_thre", alpha);
    options["runs"][name] = {{"early_stop_eps", eps}, {"alpha_thre", alpha}};
    all[name] = ops::visible_samples(sigma, dt, start, eps, alpha).to(at::kByte);
  }
  const auto alpha = learnt(in_float(at::rand({n}, at::kDouble) * 0.4)), r = inputs({n});
  const auto by_alpha = ops::weights_from_alpha(alpha, start);
  all["alpha_in"] = alpha, all["alpha.R"] = r;
  all["alpha.weights"] = by_alpha.weights, all["alpha.transmittance"] = by_alpha.transmittance;
  all["alpha.grad"] = gradients((by_alpha.weights * r).sum(), {alpha})[0];

  options["batched"] = {
      {"n_rays", 5}, {"n_samples", 18}, {"near_plane", 0.8}, {"far_plane", 3.2}, {"spacing", "uniform"}};
  const auto batch = in_float(at::rand({5, 18}, at::kDouble) * 6);
  const auto batched = ops::weights_from_density_batched(batch, at::full({5, 18}, 2.4 / 18, at::kDouble));
  all["batched.sigmas"] = batch;
  all["batched.weights"] = batched.weights, all["batched.transmittance"] = batched.transmittance;
  set.add(file, all, options);
}

}  // namespace

void add_ops_cases(OwnSet& set) {
  add_grids(set);
  add_directions(set);
  add_occupancy(set);
  add_compositing(set);
}

}  // namespace t3d::testing
