#pragma once

#include <memory>

#include "t3d/diffusion/weights.h"

namespace t3d::diffusion {

/// The names and shapes of a source without its numbers: each tensor is one zero, stretched over its shape,
/// so that a model of any size is made at once and Weights::check finds what is missing, left over or of
/// another shape. What is made of it cannot be used.
std::shared_ptr<TensorSource> shape_source(std::shared_ptr<TensorSource> source);

/// The source itself, or its shapes alone.
std::shared_ptr<TensorSource> source_or_shapes(bool reads_weights, std::shared_ptr<TensorSource> source);

}  // namespace t3d::diffusion
