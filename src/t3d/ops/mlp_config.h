#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace t3d::ops {

/// What follows the last layer of a small network.
///   TruncExp: exp(x) whose derivative is exp(clamp(x, -15, 15)) (instant-ngp's density).
///   Softplus: log(1 + exp(x)).
enum class Activation { None, Relu, Sigmoid, TruncExp, Softplus };

/// Of the products inside a small network on the CPU; what goes in and comes out is float, and so are sums.
///   Bfloat16: inputs, weights, hidden activations and their gradients are rounded to bfloat16 before they
///   are multiplied, where the processor has a matrix_unit(); elsewhere the same as Float32.
enum class Precision { Float32, Bfloat16 };

/// "float32", "bfloat16", or "auto": bfloat16 where has_fast_matrix_unit(). Throws UserError for bfloat16 on
/// a processor that has no matrix_unit(), and for another name.
Precision precision_from_name(const std::string& name);

/// A small network without biases: n_hidden_layers ReLU layers of n_neurons, then one linear layer and
/// `output_activation`.
struct MlpConfig {
  int n_in = 32;
  int n_out = 16;
  int n_neurons = 64;
  int n_hidden_layers = 1;
  Activation output_activation = Activation::None;
  Precision precision = Precision::Float32;
};

/// One layer's weight matrix inside the flat vector: [n_out,n_in] row-major, from `first` on.
struct MlpLayer {
  int n_in, n_out;
  int64_t first;
};

/// The layers in order, first [n_neurons,n_in], last [n_out,n_neurons].
/// Throws UserError unless 1 <= n_in <= 1024, 1 <= n_out <= 128, n_neurons is a multiple of 16 in 16..128 and
/// 1 <= n_hidden_layers <= 4.
std::vector<MlpLayer> mlp_layers(const MlpConfig& config);
int64_t mlp_n_params(const MlpConfig& config);

}  // namespace t3d::ops
