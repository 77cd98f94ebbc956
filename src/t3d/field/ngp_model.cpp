#include "t3d/field/ngp_model.h"

#include <ATen/ATen.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "t3d/ops/hash_grid.h"
#include "t3d/ops/mlp.h"
#include "t3d/ops/occupancy.h"

namespace t3d::field {

NgpConfig ngp_config_for_cpu() {
  NgpConfig config;
  config.log2_table = 15;
  config.n_levels = 10;
  config.max_resolution = 256;
  config.final_learning_rate = 1e-3;
  config.colour_hidden = 1;
  config.target_samples = 1 << 15;
  config.first_rays = 1024;
  return config;
}

NgpAdam ngp_adam(const NgpConfig& config) {
  NgpAdam adam;
  adam.table.skip_zero_gradients = true;
  adam.networks.l2 = config.network_l2;
  return adam;
}

void check(const NgpConfig& c) {
  const auto in_range = [](const char* name, double value, double low, double high) {
    if (!(value >= low && value <= high))
      throw UserError(cat(name, " is ", value, "; expected ", low, " to ", high, "."));
  };
  in_range("max_resolution", c.max_resolution, c.base_resolution, 1 << 20);
  in_range("n_geometry", c.n_geometry, 1, 64);
  in_range("sh_degree", c.sh_degree, 1, 8);
  in_range("learning_rate", c.learning_rate, 1e-8, 10);
  in_range("final_learning_rate", c.final_learning_rate, 1e-10, c.learning_rate);
  in_range("target_samples", static_cast<double>(c.target_samples), 256, 1 << 24);
  in_range("first_rays", static_cast<double>(c.first_rays), 16, 1 << 20);
  in_range("distortion", c.distortion, 0, 1e3);
}

nlohmann::json to_json(const NgpConfig& c) {
  nlohmann::json json = {{"n_levels", c.n_levels},
                         {"n_features", c.n_features},
                         {"log2_table", c.log2_table},
                         {"base_resolution", c.base_resolution},
                         {"max_resolution", c.max_resolution},
                         {"n_neurons", c.n_neurons},
                         {"density_hidden", c.density_hidden},
                         {"colour_hidden", c.colour_hidden},
                         {"n_geometry", c.n_geometry},
                         {"sh_degree", c.sh_degree},
                         {"learning_rate", c.learning_rate},
                         {"final_learning_rate", c.final_learning_rate},
                         {"network_l2", c.network_l2},
                         {"target_samples", c.target_samples},
                         {"first_rays", c.first_rays},
                         {"random_background", c.random_background},
                         {"huber", c.huber},
                         {"distortion", c.distortion}};
  if (!c.random_background) json["background"] = c.background;
  return json;
}

NgpLayout NgpLayout::make(const NgpConfig& config, float aabb_scale) {
  check(config);
  ops::HashGridConfig grid;
  grid.n_levels = config.n_levels;
  grid.n_features = config.n_features;
  grid.log2_table = config.log2_table;
  grid.base_resolution = config.base_resolution;
  grid.per_level_scale = config.n_levels < 2 ? 1.0
                                             : std::exp(std::log(static_cast<double>(config.max_resolution) *
                                                                 aabb_scale / config.base_resolution) /
                                                        (config.n_levels - 1));
  NgpLayout layout;
  layout.grid = ops::HashGridLayout::make(grid);
  layout.sh_degree = config.sh_degree;
  layout.density = {layout.grid.n_outputs(), config.n_geometry,     config.n_neurons,
                    config.density_hidden,   ops::Activation::None, config.precision};
  layout.colour = {layout.n_sh() + config.n_geometry,
                   3,
                   config.n_neurons,
                   config.colour_hidden,
                   ops::Activation::Sigmoid,
                   config.precision};
  layout.n_grid = layout.grid.n_params();
  layout.n_density = ops::mlp_n_params(layout.density);
  layout.n_colour = ops::mlp_n_params(layout.colour);
  return layout;
}

NgpState NgpState::create(const NgpConfig& config, float aabb_scale, uint64_t seed) {
  const NgpLayout layout = NgpLayout::make(config, aabb_scale);
  NgpState state;
  state.params =
      at::cat({ops::hash_grid_init(layout.grid, seed), ops::mlp_init_xavier(layout.density, seed + 1),
               ops::mlp_init_xavier(layout.colour, seed + 2)});
  state.adam_m = at::zeros_like(state.params);
  state.adam_v = at::zeros_like(state.params);
  const auto grid = ops::DensityGrid::create(aabb_scale);
  state.density = grid.density;
  state.bits = grid.bits;
  state.n_rays = config.first_rays;
  state.seed = seed;
  state.aabb_scale = aabb_scale;
  return state;
}

std::map<std::string, at::Tensor> NgpState::tensors() const {
  return {{"params", params}, {"adam_m", adam_m}, {"adam_v", adam_v}, {"density", density}, {"bits", bits}};
}

}  // namespace t3d::field
