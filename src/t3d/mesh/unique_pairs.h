#pragma once

#include <ATen/core/Tensor.h>

namespace t3d::mesh {

struct UniquePairs {
  at::Tensor pairs;  ///< [E,2] int64: each pair once, sorted by its first number and then its second
  at::Tensor place;  ///< [M] int64: where each pair that was given is among them
};

/// Pairs [M,2] int64, none negative, without repetition. Numbers are indices: on the CPU room for one count
/// for each up to the largest first one is taken, and the cost is linear.
UniquePairs unique_pairs(const at::Tensor& pairs);

/// The pairs with the smaller number first.
at::Tensor undirected(const at::Tensor& pairs);

}  // namespace t3d::mesh
