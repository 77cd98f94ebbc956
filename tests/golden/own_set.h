#pragma once

#include <ATen/ATen.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "t3d/core/text.h"

/// Writes the set of parity cases that lies in tests/golden/own: of the same form as the recorded one, with
/// small models, a tokenizer, options, sizes and inputs of its own. It depends on nothing outside of the
/// repository. Outputs come from our reference versions in double precision, not from other programs: the set
/// shows that the parity tests take everything from the files, and holds single precision against double.
namespace t3d::testing {

using Tensors = std::map<std::string, at::Tensor>;

class OwnSet {
 public:
  explicit OwnSet(std::string folder) : folder_(std::move(folder)) {}

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  void write_json(const std::string& name, const nlohmann::json& value) const;
  void write_text(const std::string& name, const std::string& text) const;
  /// As they are, doubles as single precision.
  void write_tensors(const std::string& name, Tensors tensors) const;
  /// Writes a case file and keeps its options.
  void add(const std::string& file, Tensors tensors, const nlohmann::json& options);
  void set_options(const std::string& file, const nlohmann::json& options) { options_[file] = options; }
  /// Writes options.json.
  void finish() const { write_json("options.json", options_); }

 private:
  std::string folder_;
  nlohmann::json options_ = nlohmann::json::object();
};

/// Small models with random weights in the layouts of published checkpoints, and two tokenizers.
void write_models(const OwnSet& set);
/// "mvdream-tiny": all parts in one file, in the naming of Stable Diffusion's own repository.
void write_single_file_model(const OwnSet& set);
/// vocab.json, merges.txt and tokenizer_config.json; `pads` is the token that fills up.
void write_tokenizer(const OwnSet& set, const std::string& folder, const std::string& pads);
int64_t vocabulary_size();
/// Each writes the cases of some modules, and must run in this order, after the models: guidance reads the
/// prompts' embeddings.
void add_tokenizer_cases(OwnSet& set);
void add_io_cases(OwnSet& set);
void add_ops_cases(OwnSet& set);
void add_diffusion_cases(OwnSet& set);
void add_guidance_cases(OwnSet& set);

/// Tokens of one prompt, and of the text encoders' positions.
constexpr int64_t kPromptLength = 20;

/// Each tensor of `like` drawn anew by its name, as a linear layer's weight; the scales of norms about one.
Tensors random_tensors(const std::map<std::string, at::Tensor>& like, uint64_t seed);
/// In half precision, as published weights are.
Tensors in_half(Tensors tensors);

/// Keys of a scheduler's configuration.
inline nlohmann::json schedule_options(double beta_start, double beta_end) {
  return {{"beta_start", beta_start},    {"beta_end", beta_end}, {"beta_schedule", "scaled_linear"},
          {"num_train_timesteps", 1000}, {"clip_sample", false}, {"set_alpha_to_one", false},
          {"skip_prk_steps", true},      {"steps_offset", 1}};
}

inline at::Tensor normals(at::IntArrayRef sizes) {
  return at::randn(sizes, at::kDouble);
}
/// Numbers that single precision holds: what tests will read is what the references were given.
inline at::Tensor in_float(const at::Tensor& x) {
  return x.to(at::kFloat).to(at::kDouble);
}
inline at::Tensor inputs(at::IntArrayRef sizes) {
  return in_float(normals(sizes));
}
/// A copy that gradients are taken by.
inline at::Tensor learnt(const at::Tensor& x) {
  return x.clone().set_requires_grad(true);
}

}  // namespace t3d::testing
