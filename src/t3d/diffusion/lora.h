#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "t3d/diffusion/weights.h"

namespace t3d::diffusion {

/// A linear layer that low-rank weights can be added to, by the name its own weight has without ".weight":
/// "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q".
struct LoraSite {
  std::string name;
  int64_t n_in = 0, n_out = 0;
};

/// The projections to_q, to_k, to_v and to_out.0 of every attn1 and attn2 among a model's parameters
/// (Weights::parameters), sorted by name.
std::vector<LoraSite> attention_sites(const std::map<std::string, at::Tensor>& parameters);

/// How the tensors of a file are called.
enum class LoraNaming {
  AttnProcs,  ///< diffusers up to 0.21, threestudio: ....attn1.processor.to_q_lora.down.weight
  Peft,       ///< ....attn1.to_q.lora_A.weight
  Diffusers,  ///< save_lora_weights: unet.....attn1.to_q.lora.down.weight
};

struct LoraConfig {
  int64_t rank = 4;
  double alpha = 0;  ///< the sum's factor is alpha / rank; 0 stands for the rank itself
};

/// Low-rank weights added to the attention projections of a UNet: y = W x + scale * alpha/rank * up(down(x)).
/// Hu et al. 2021, arXiv:2106.09685, eq. 3. They are single precision and worked with in single precision,
/// whatever the model's type.
class Lora {
 public:
  /// New ones to train: down ~ N(0, 1/rank^2) from `seed` and the site's name, up = 0.
  static Lora make(const LoraConfig& config, const std::vector<LoraSite>& sites, uint64_t seed,
                   c10::Device device = c10::kCPU);
  /// In any of the namings, also mixed with a "unet." or "base_model.model." in front. Tensors of a text
  /// encoder are left out with a warning. Throws UserError that lists tensors that belong to no site or do
  /// not fit it, and halves without the other half.
  static Lora load(const TensorSource& source, const std::vector<LoraSite>& sites,
                   c10::Device device = c10::kCPU);
  /// Complete or absent. An alpha that is not the rank is written as "<site>.alpha".
  void save(const std::string& path, LoraNaming naming) const;

  /// y plus the low-rank part of this site times `scale`; y itself where the site has none.
  at::Tensor add(const std::string& site, const at::Tensor& x, const at::Tensor& y, double scale) const;

  void require_grad(bool wanted);
  /// down [rank,in] and up [out,rank] in the AttnProcs naming, shared with this object.
  std::map<std::string, at::Tensor> parameters() const;
  /// Those of the sites whose names begin with `prefix`.
  std::vector<at::Tensor> parameters_under(const std::string& prefix) const;
  size_t n_sites() const { return pairs_.size(); }

 private:
  struct Pair {
    at::Tensor down, up;  // [rank,in], [out,rank]
    double alpha = 0;
  };
  std::map<std::string, Pair> pairs_;
};

}  // namespace t3d::diffusion
