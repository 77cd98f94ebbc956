#pragma once

#include <map>
#include <memory>
#include <string>

#include "t3d/diffusion/adapter_names.h"
#include "t3d/diffusion/weight_change.h"

namespace t3d::diffusion {

/// A file that changes the weights of a model: LoRA in the namings of kohya, diffusers, PEFT and threestudio,
/// LoCon, LoHa, LoKr, DoRA, whole differences; docs/lora.md. The change is added into the weights when they
/// are read, so that any layer can have one and a call costs nothing. (Low-rank weights that are trained are
/// lora.h's.)
class Adapter {
 public:
  /// .safetensors, .pt, .bin, .pth or .ckpt, or a folder with pytorch_lora_weights.* or adapter_model.*.
  /// Reads the alpha of PEFT from adapter_config.json beside it, and that of diffusers from the file's
  /// metadata. Throws UserError for names that are of none of the namings: it lists them and says what they
  /// are of.
  static Adapter open(const std::string& path);
  /// The same from tensors. `description`: a JSON text as the two above, or empty.
  static Adapter from(std::shared_ptr<TensorSource> source, const std::string& description = "");

  /// Whether the file changes this part of a model.
  bool changes(AdaptedPart part) const;
  size_t n_layers(AdaptedPart part) const;
  const std::string& where() const { return source_->where(); }

  /// The part's tensors (names as open_part gives them) with the changes added `strength` times. The source
  /// itself where the file does not change that part. Throws UserError that lists layers which the model does
  /// not have, or whose tensors do not fit.
  std::shared_ptr<TensorSource> onto(std::shared_ptr<TensorSource> model, AdaptedPart part,
                                     double strength) const;

 private:
  struct Description {
    double alpha = 0;
    bool is_rank_stabilised = false;
    std::map<std::string, double> alphas;  ///< of layers whose names end so
  };
  void read_names();
  void read_description(const std::string& text);
  AlphaRule rule_of(AdaptedPart part, const std::string& layer) const;

  std::shared_ptr<TensorSource> source_;
  std::map<AdaptedPart, std::map<std::string, LayerTensors>> layers_;  // by the file's names
  std::map<AdaptedPart, Description> descriptions_;
};

/// An adapter as options name it; an empty path stands for none.
struct AdapterUse {
  std::string path;
  double strength = 1;
};

/// open_part (model_store.h) with the adapter's changes, where it has some for the part.
std::shared_ptr<TensorSource> open_adapted_part(const std::string& model, const std::string& part,
                                                const AdapterUse& use);

}  // namespace t3d::diffusion
