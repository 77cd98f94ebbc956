#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

/// The two networks of instant-NGP fused on tensor cores: half operands, float accumulators. No torch header.
///   density: 32 -> 64 ReLU -> 16;  sigma = exp(output 0)
///   colour:  16 spherical harmonics | 16 density outputs -> 64 ReLU -> 64 ReLU -> 3 sigmoid
namespace t3d::ops::cuda {

/// Weight matrices [out,in] row-major in one vector: density 64x32, 16x64, colour 64x32, 64x64, 3x64.
constexpr int kDensity1 = 0, kDensity2 = 64 * 32, kColour1 = kDensity2 + 16 * 64,
              kColour2 = kColour1 + 64 * 32, kColour3 = kColour2 + 64 * 64, kNetworkSize = kColour3 + 3 * 64;

/// sigma [n] of features [n,32]. n is read from *n_points on the device, here and below.
void density_forward(const __half* weights, const __half* features, const uint32_t* n_points, float* sigma,
                     cudaStream_t stream);

/// What the backward pass needs of the forward pass, [n,width] half each.
struct NetworkActivations {
  __half *features, *density_hidden, *colour_input, *colour_hidden1, *colour_hidden2;  ///< 32, 64, 32, 64, 64
};
/// Gradients of every layer's output before its activation, [n,width] half each, scaled like d_sigma and
/// d_rgb.
struct NetworkGradients {
  __half *features, *density_hidden, *geometry, *colour_hidden1, *colour_hidden2,
      *rgb;  ///< 32, 64, 16, 64, 64, 16
};

/// sigma [n] and rgb [n,3] of rows source[i] (null: row i) of features, seen along the unit direction of
/// ray[i]. kept: null, or where the activations of row i go.
void network_forward(const __half* weights, const __half* features, const uint32_t* source,
                     const float* directions, const uint32_t* ray, const uint32_t* n_points, float* sigma,
                     float* rgb, const NetworkActivations* kept, cudaStream_t stream);

/// From d_sigma [n] and d_rgb [n,3] (with respect to sigma and rgb as network_forward gave them).
void network_backward(const __half* weights, const NetworkActivations& kept, const float* rgb,
                      const float* sigma, const float* d_sigma, const float* d_rgb, const uint32_t* n_points,
                      const NetworkGradients& gradients, cudaStream_t stream);

/// d_weights [kNetworkSize] float += the weight gradients.
void network_weight_gradients(const NetworkActivations& kept, const NetworkGradients& gradients,
                              const uint32_t* n_points, float* d_weights, cudaStream_t stream);

}  // namespace t3d::ops::cuda
