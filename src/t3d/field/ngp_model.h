#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "t3d/ops/adam_config.h"
#include "t3d/ops/hash_grid_layout.h"
#include "t3d/ops/mlp_config.h"

namespace t3d::field {

/// Settings of an instant-NGP radiance field and its optimization. Müller et al. 2022, arXiv:2201.05989.
struct NgpConfig {
  int n_levels = 16;          ///< resolution levels of the hash grid
  int n_features = 2;         ///< features per entry
  int log2_table = 19;        ///< log2 of the entries per level
  int base_resolution = 16;   ///< coarsest level, vertices per side of the whole box
  int max_resolution = 2048;  ///< finest level, vertices per unit of scene space
  int n_neurons = 64;         ///< width of both networks
  int density_hidden = 1;     ///< hidden layers of the density network
  int colour_hidden = 2;      ///< hidden layers of the colour network
  int n_geometry = 16;        ///< outputs of the density network; the first is log density
  int sh_degree = 4;          ///< spherical harmonics of the direction
  double learning_rate = 1e-2;
  double final_learning_rate = 3e-4;  ///< reached exponentially over the second half of the run
  double network_l2 = 1e-6;           ///< on the networks' weights
  int64_t target_samples = 1 << 18;   ///< samples per step that the number of rays adapts to
  int64_t first_rays = 4096;          ///< rays of the first step
  bool random_background = true;      ///< behind images with alpha, during training; otherwise `background`
  std::array<float, 3> background = {0, 0, 0};
  bool huber = true;        ///< Huber loss (threshold 0.1) instead of the squared error
  float distortion = 0.0f;  ///< weight of the distortion loss
  /// Of the networks' products on the CPU (CUDA has half precision of its own). The parameters are float
  /// either way, so a run may go on with another.
  ops::Precision precision = ops::Precision::Float32;
};

/// What a machine can train in a minute: smaller tables, batches and networks for the CPU.
NgpConfig ngp_config_for_cpu();

/// How Adam moves the two kinds of parameters.
struct NgpAdam {
  ops::AdamConfig table;     ///< entries that no sample touched stay as they are
  ops::AdamConfig networks;  ///< weights, kept small by network_l2
};
NgpAdam ngp_adam(const NgpConfig& config);

/// Throws UserError when a value is out of range, naming it.
void check(const NgpConfig& config);
nlohmann::json to_json(const NgpConfig& config);

/// How one flat vector holds all parameters: hash table, density network, colour network.
///   density: hash grid features -> n_geometry; density = exp(output 0)
///   colour:  [spherical harmonics | density output] -> 3, sigmoid
struct NgpLayout {
  ops::HashGridLayout grid;
  ops::MlpConfig density, colour;
  int sh_degree = 4;
  int64_t n_grid = 0, n_density = 0, n_colour = 0;
  int64_t n_params() const { return n_grid + n_density + n_colour; }
  int n_sh() const { return sh_degree * sh_degree; }

  static NgpLayout make(const NgpConfig& config, float aabb_scale);
};

/// Everything that a checkpoint holds: with it, the data set and the config, training goes on exactly.
struct NgpState {
  at::Tensor params, adam_m, adam_v;  ///< [P] float
  at::Tensor density;                 ///< [K*128^3] float, occupancy grid
  at::Tensor bits;                    ///< [K*128^3/8] uint8
  int64_t step = 0;
  int64_t n_rays = 0;  ///< of the next step
  uint64_t seed = 0;
  float aabb_scale = 1;

  /// Fresh parameters: table uniform +-1e-4, networks Xavier-uniform, a function of the seed.
  static NgpState create(const NgpConfig& config, float aabb_scale, uint64_t seed);
  std::map<std::string, at::Tensor> tensors() const;
};

}  // namespace t3d::field
