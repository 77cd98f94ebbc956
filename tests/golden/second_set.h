#pragma once

#include <ATen/ATen.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "t3d/core/text.h"

/// Writes a set of parity cases of the same form as the recorded ones, with other options, sizes and inputs.
/// Outputs come from our reference versions in double precision, not from other programs: the set shows that
/// the parity tests take everything from the files, and holds single precision against double.
namespace t3d::testing {

using Tensors = std::map<std::string, at::Tensor>;

class SecondSet {
 public:
  SecondSet(std::string source_folder, std::string target_folder)
      : source_(std::move(source_folder)), target_(std::move(target_folder)) {}

  std::string source(const std::string& name) const { return source_ + "/" + name; }
  std::string target(const std::string& name) const { return target_ + "/" + name; }

  /// A file or folder of the recorded set, linked: weights, tokenizers, configurations.
  void link(const std::string& name) const;
  /// The entry of the recorded set's options, to change a few of.
  nlohmann::json recorded_options(const std::string& file) const;
  /// Writes a case file, doubles as single precision, and keeps its options.
  void add(const std::string& file, Tensors tensors, const nlohmann::json& options);
  void set_options(const std::string& file, const nlohmann::json& options) { options_[file] = options; }
  /// Writes options.json.
  void finish() const;

 private:
  std::string source_, target_;
  nlohmann::json options_ = nlohmann::json::object();
};

/// Each writes the cases of some modules, and must run in this order: guidance reads the prompts' embeddings.
void add_io_cases(SecondSet& set);
void add_ops_cases(SecondSet& set);
void add_diffusion_cases(SecondSet& set);
void add_guidance_cases(SecondSet& set);

inline at::Tensor normals(at::IntArrayRef sizes) {
  return at::randn(sizes, at::kDouble);
}
/// Numbers that single precision holds: what tests will read is what the references saw.
inline at::Tensor in_float(const at::Tensor& x) {
  return x.to(at::kFloat).to(at::kDouble);
}
inline at::Tensor inputs(at::IntArrayRef sizes) {
  return in_float(normals(sizes));
}

}  // namespace t3d::testing
