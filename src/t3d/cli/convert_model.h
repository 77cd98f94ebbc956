#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace t3d::cli {

/// "fp16", "bf16" or "fp32". Throws UserError for another word.
at::ScalarType dtype_named(const std::string& name);

/// Copies vocab.json and merges.txt of `from` (a tokenizer's folder, or a model's) to `folder`/tokenizer.
void copy_tokenizer(const std::string& from, const std::string& folder);

}  // namespace t3d::cli
