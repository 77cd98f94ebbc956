#include "t3d/ops/mlp_config.h"

#include "t3d/core/error.h"
#include "t3d/ops/matrix_unit.h"

namespace t3d::ops {

Precision precision_from_name(const std::string& name) {
  if (name == "auto") return has_fast_matrix_unit() ? Precision::Bfloat16 : Precision::Float32;
  if (name == "float32") return Precision::Float32;
  if (name != "bfloat16")
    throw UserError(cat("precision is ", name, "; expected auto, float32 or bfloat16."));
  if (matrix_unit() == MatrixUnit::None)
    throw UserError("precision bfloat16: this processor cannot multiply bfloat16. Take auto or float32.");
  return Precision::Bfloat16;
}

std::vector<MlpLayer> mlp_layers(const MlpConfig& c) {
  const auto require = [](bool holds, const char* key, int found, const char* expected) {
    if (!holds) throw UserError(cat("network: ", key, " is ", found, ", expected ", expected, "."));
  };
  require(c.n_in >= 1 && c.n_in <= 1024, "n_in", c.n_in, "1 to 1024");
  require(c.n_out >= 1 && c.n_out <= 128, "n_out", c.n_out, "1 to 128");
  require(c.n_neurons >= 16 && c.n_neurons <= 128 && c.n_neurons % 16 == 0, "n_neurons", c.n_neurons,
          "a multiple of 16 from 16 to 128");
  require(c.n_hidden_layers >= 1 && c.n_hidden_layers <= 4, "n_hidden_layers", c.n_hidden_layers, "1 to 4");
  std::vector<MlpLayer> layers;
  int n_in = c.n_in;
  int64_t first = 0;
  for (int l = 0; l <= c.n_hidden_layers; ++l) {
    const int n_out = l < c.n_hidden_layers ? c.n_neurons : c.n_out;
    layers.push_back({n_in, n_out, first});
    first += int64_t{n_out} * n_in;
    n_in = n_out;
  }
  return layers;
}

int64_t mlp_n_params(const MlpConfig& config) {
  const MlpLayer last = mlp_layers(config).back();
  return last.first + int64_t{last.n_out} * last.n_in;
}

}  // namespace t3d::ops
