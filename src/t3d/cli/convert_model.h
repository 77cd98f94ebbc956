#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace t3d::cli {

/// "fp16", "bf16" or "fp32". Throws UserError for another word.
at::ScalarType dtype_named(const std::string& name);

/// The folder with vocab.json and merges.txt: `from` itself, or the one in a model's folder. Throws UserError
/// where one is missing.
std::string tokenizer_folder(const std::string& from);

/// Copies vocab.json and merges.txt of `from` (a tokenizer's folder, or a model's) to `folder`/tokenizer.
void copy_tokenizer(const std::string& from, const std::string& folder);

}  // namespace t3d::cli
