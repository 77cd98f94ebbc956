#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "t3d/diffusion/weights.h"

namespace t3d::diffusion {

/// One part of a model: "unet", "vae", "text_encoder", "tokenizer", "scheduler".
struct ModelPart {
  std::string name;
  std::vector<std::string> files;
  uint64_t n_bytes = 0;
  std::string missing;  ///< what is not there; empty when the part is complete
};

struct ModelInfo {
  std::string name;  ///< as it can be given to --model
  std::string path;  ///< a folder in diffusers' layout, or a single-file checkpoint
  bool is_single_file = false;
  std::vector<ModelPart> parts;
  bool is_complete() const;
  /// "unet: config.json; vae: ..."; empty when the model is complete.
  std::string missing() const;
  uint64_t n_bytes() const;
};

/// Folders in which names are looked up, in this order: those of T3D_MODELS (separated by ':'), the Hugging
/// Face cache (HF_HUB_CACHE, HF_HOME/hub, ~/.cache/huggingface/hub), ./models, and models/ of t3d's own
/// sources, where the toybox prior is.
struct ModelPlaces {
  std::vector<std::string> folders;
  std::string hub_cache;
  static ModelPlaces from_environment();
};

/// The other names under which a model is known: Stability's SD 2 repositories left the hub in 2025.
std::vector<std::string> model_aliases(const std::string& name);

/// The folder or file of a model named by path or by name. Throws UserError that lists what was looked at and
/// says what to put where.
std::string find_model(const std::string& name, const ModelPlaces& places = ModelPlaces::from_environment());

/// The folder of a language model in transformers' layout (config.json, vocab.txt, weights), by path or by
/// name in the same places. Throws as find_model.
std::string find_language_model(const std::string& name,
                                const ModelPlaces& places = ModelPlaces::from_environment());

/// A folder that comes with a model but is none itself, by its path in one of the places' folders:
/// "toybox/judge". Empty when no place has it.
std::string find_beside_models(const std::string& path,
                               const ModelPlaces& places = ModelPlaces::from_environment());

/// Parts, sizes and what is missing. Reads no weights. Throws UserError when `path` is no model.
ModelInfo inspect_model(const std::string& path);

/// Every model in the places, by name.
std::vector<ModelInfo> list_models(const ModelPlaces& places = ModelPlaces::from_environment());

/// The folder of a model's CLIP tokenizer: tokenizer/, the model's own folder (or that of its single file),
/// or text_encoder/, the first that holds vocab.json with merges.txt, or tokenizer.json. Empty when none
/// does.
std::string find_tokenizer(const std::string& model);

/// The weights file in a part's folder, or the index or first shard of a sharded one: the best of
/// weight_sets(). Throws SystemError that names what was expected, or the shards that are missing.
std::string find_weights(const std::string& folder);

/// The tensors of "unet", "vae" or "text_encoder" in diffusers' naming, from either layout. `path` is what
/// find_model returned.
std::shared_ptr<TensorSource> open_part(const std::string& path, const std::string& part);

/// config.json of "unet", "vae", "text_encoder" or scheduler_config.json of "scheduler" in diffusers' layout;
/// for a single file made from its tensors' shapes and, if there is one, the ldm config.json beside it.
nlohmann::json part_config(const std::string& path, const std::string& part);

}  // namespace t3d::diffusion
