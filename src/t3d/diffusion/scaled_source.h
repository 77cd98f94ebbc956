#pragma once

#include <memory>

#include "t3d/diffusion/weights.h"

namespace t3d::diffusion {

/// Checkpoints of 8-bit floats may store a weight divided by a scale of its own: "x.weight" with
/// "x.scale_weight" or "x.weight_scale", one number or one a row. Gives the products under "x.weight" and
/// hides what else such files have ("scaled_fp8", "x.scale_input", "x.input_scale"). The source itself where
/// there is nothing of the kind.
///
/// Throws UserError for scales of blocks, scales without a weight, and weights that were quantized to
/// integers (bitsandbytes, GPTQ), by the name of the tensor that says so.
std::shared_ptr<TensorSource> scaled_source(std::shared_ptr<TensorSource> source);

}  // namespace t3d::diffusion
