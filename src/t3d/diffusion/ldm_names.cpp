#include "t3d/diffusion/ldm_names.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "t3d/core/error.h"
#include "t3d/core/text_ends.h"
#include "t3d/diffusion/ldm_unet_names.h"
#include "t3d/diffusion/model_family.h"

namespace t3d::diffusion {
namespace {

const std::string kUNet = "model.diffusion_model.", kVae = "first_stage_model.", kText = "cond_stage_model.",
                  kOtherText = "conditioner.embedders.0.",  // Stability's own code
    kTransformers = "transformer.", kOpenClip = "model.";

/// "cond_stage_model." of a text encoder's tensor, whichever program wrote it; empty for other tensors.
std::string text_prefix(const std::string& name) {
  for (const std::string& prefix : {kText, kOtherText})
    if (starts_with(name, prefix + kTransformers) || starts_with(name, prefix + kOpenClip)) return prefix;
  return "";
}

/// As transformers has it inside a CLIPTextModel: some programs leave "text_model." out. Empty for what
/// Stable Diffusion has no use for.
std::string text_model_name(const std::string& name) {
  if (ends_with(name, "position_ids") || name == "text_projection.weight" || name == "logit_scale") return "";
  for (const char* start : {"embeddings.", "encoder.layers.", "final_layer_norm."})
    if (starts_with(name, start)) return "text_model." + name;
  return name;
}

/// `text` with the first of `pairs` that it begins with replaced; empty when it begins with none.
template <size_t N>
std::string replaced(const std::string& text, const std::pair<const char*, const char*> (&pairs)[N]) {
  for (const auto& [from, to] : pairs)
    if (starts_with(text, from)) return to + text.substr(std::string(from).size());
  return "";
}

constexpr std::pair<const char*, const char*> kVaeEnds[] = {
    {"conv_in.", "conv_in."}, {"norm_out.", "conv_norm_out."}, {"conv_out.", "conv_out."}};
constexpr std::pair<const char*, const char*> kVaeBlock[] = {{"norm1.", "norm1."},
                                                             {"conv1.", "conv1."},
                                                             {"norm2.", "norm2."},
                                                             {"conv2.", "conv2."},
                                                             {"nin_shortcut.", "conv_shortcut."}};
constexpr std::pair<const char*, const char*> kVaeAttention[] = {
    {"norm.", "group_norm."}, {"q.", "to_q."}, {"k.", "to_k."}, {"v.", "to_v."}, {"proj_out.", "to_out.0."}};
constexpr std::pair<const char*, const char*> kTextEnds[] = {
    {"token_embedding.weight", "embeddings.token_embedding.weight"},
    {"positional_embedding", "embeddings.position_embedding.weight"},
    {"ln_final.", "final_layer_norm."}};
constexpr std::pair<const char*, const char*> kTextLayer[] = {{"ln_1.", "layer_norm1."},
                                                              {"ln_2.", "layer_norm2."},
                                                              {"mlp.c_fc.", "mlp.fc1."},
                                                              {"mlp.c_proj.", "mlp.fc2."},
                                                              {"attn.out_proj.", "self_attn.out_proj."}};

/// Where one tensor of the new naming comes from.
struct Place {
  std::string name;
  int third = -1;          ///< rows [third/3, (third+1)/3) of a fused matrix; -1 the whole
  bool is_matrix = false;  ///< a 1x1 convolution that becomes a linear layer
};

class LdmPart : public TensorSource {
 public:
  LdmPart(std::shared_ptr<TensorSource> file, std::map<std::string, Place> places)
      : file_(std::move(file)), places_(std::move(places)) {}
  const std::string& where() const override { return file_->where(); }
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, place] : places_) names.push_back(name);
    return names;
  }
  bool has(const std::string& name) const override { return places_.count(name) > 0; }
  std::vector<int64_t> shape(const std::string& name) const override {
    const Place& place = places_.at(name);
    auto shape = file_->shape(place.name);
    if (place.third >= 0) shape.at(0) /= 3;
    if (place.is_matrix && shape.size() == 4 && shape[2] == 1 && shape[3] == 1) shape.resize(2);
    return shape;
  }
  at::Tensor load(const std::string& name, at::ScalarType dtype, c10::Device device) const override {
    const Place& place = places_.at(name);
    auto whole = file_->load(place.name, dtype, device);
    if (place.third >= 0) {
      const int64_t rows = whole.size(0) / 3;
      whole = whole.narrow(0, place.third * rows, rows).clone();
    }
    return whole.reshape(shape(name));
  }

 private:
  std::shared_ptr<TensorSource> file_;
  std::map<std::string, Place> places_;
};

void put(std::map<std::string, Place>& places, const std::string& to, Place from, const TensorSource& file) {
  const std::string name = from.name;
  if (!places.emplace(to, std::move(from)).second)
    throw UserError(cat(file.where(), ": tensors ", name, " and ", places.at(to).name,
                        " are the same part of the model. Keep one of them."));
}

void need(const std::map<std::string, Place>& places, const TensorSource& file, const std::string& part) {
  if (!places.empty()) return;
  const std::string family = foreign_family(file.names());
  throw UserError(cat(file.where(), ": holds no ", part, " in the naming of single-file checkpoints (", kUNet,
                      "*, ", kVae, "*, cond_stage_model.*)",
                      family.empty() ? "" : cat("; by its tensors it is of ", family),
                      ". Name the file of a whole model of Stable Diffusion 1 or 2."));
}

int64_t count_numbers(const std::vector<std::string>& names, const std::string& prefix) {
  int64_t n = 0;
  for (const auto& name : names) {
    if (!starts_with(name, prefix)) continue;
    std::string rest = name.substr(prefix.size());
    n = std::max(n, take_number(rest) + 1);
  }
  return n;
}

int64_t dimension(const TensorSource& source, const std::string& name, size_t axis) {
  if (!source.has(name) || source.shape(name).size() <= axis)
    throw UserError(
        cat(source.where(), ": tensor ", name,
            " is missing, so this is not a model of the Stable Diffusion family. Name another file."));
  return source.shape(name)[axis];
}

}  // namespace

LdmKind ldm_kind(const TensorSource& file) {
  LdmKind kind;
  for (const auto& name : file.names()) {
    kind.has_unet |= starts_with(name, kUNet);
    kind.has_vae |= starts_with(name, kVae);
    const std::string text = text_prefix(name);
    kind.has_text |= !text.empty();
    kind.is_open_clip |= !text.empty() && starts_with(name, text + kOpenClip);
    kind.has_camera |= starts_with(name, kUNet + "camera_embed.");
  }
  return kind;
}

std::string ldm_vae_name(const std::string& name, int64_t n_levels) {
  if (starts_with(name, "quant_conv.") || starts_with(name, "post_quant_conv.")) return name;
  const bool is_encoder = starts_with(name, "encoder.");
  if (!is_encoder && !starts_with(name, "decoder.")) return "";
  const std::string half = name.substr(0, 8);
  std::string rest = name.substr(8);
  const std::string end = replaced(rest, kVaeEnds);
  if (!end.empty()) return half + end;
  const auto joined = [&](const std::string& place, const std::string& tail) {
    return tail.empty() ? "" : half + place + tail;
  };
  if (starts_with(rest, "mid.attn_1."))
    return joined("mid_block.attentions.0.", replaced(rest.substr(11), kVaeAttention));
  for (const int i : {1, 2})
    if (starts_with(rest, cat("mid.block_", i, ".")))
      return joined(cat("mid_block.resnets.", i - 1, "."), replaced(rest.substr(12), kVaeBlock));
  if (!starts_with(rest, is_encoder ? "down." : "up.")) return "";
  rest = rest.substr(is_encoder ? 5 : 3);
  const int64_t level = take_number(rest);
  if (level < 0 || level >= n_levels) return "";
  // The decoder's levels count from the outermost in ldm, in the order of use in diffusers.
  const std::string base =
      is_encoder ? cat("down_blocks.", level, ".") : cat("up_blocks.", n_levels - 1 - level, ".");
  const std::string resize = is_encoder ? "downsample.conv." : "upsample.conv.";
  if (starts_with(rest, resize))
    return half + base + (is_encoder ? "downsamplers.0.conv." : "upsamplers.0.conv.") +
           rest.substr(resize.size());
  if (!starts_with(rest, "block.")) return "";
  rest = rest.substr(6);
  const int64_t block = take_number(rest);
  return block < 0 ? "" : joined(cat(base, "resnets.", block, "."), replaced(rest, kVaeBlock));
}

std::string transformers_text_name(const std::string& name) {
  const std::string end = replaced(name, kTextEnds);
  if (!end.empty()) return "text_model." + end;
  const std::string start = "transformer.resblocks.";
  if (!starts_with(name, start)) return "";
  std::string rest = name.substr(start.size());
  const int64_t layer = take_number(rest);
  const std::string tail = replaced(rest, kTextLayer);
  return layer < 0 || tail.empty() ? "" : cat("text_model.encoder.layers.", layer, ".", tail);
}

std::shared_ptr<TensorSource> ldm_unet_source(const std::shared_ptr<TensorSource>& file) {
  const auto names = file->names();
  const int64_t n_layers = ldm_unet_layers(names, kUNet);
  std::map<std::string, Place> places;
  for (const auto& name : names) {
    if (!starts_with(name, kUNet)) continue;
    const std::string to = ldm_unet_name(name.substr(kUNet.size()), n_layers);
    // A tensor that no rule knows keeps its name, so that the reader lists it as unused.
    put(places, to.empty() ? name : to, {name}, *file);
  }
  need(places, *file, "UNet");
  return std::make_shared<LdmPart>(file, std::move(places));
}

std::shared_ptr<TensorSource> ldm_vae_source(const std::shared_ptr<TensorSource>& file) {
  const auto names = file->names();
  const int64_t n_levels = count_numbers(names, kVae + "encoder.down.");
  std::map<std::string, Place> places;
  for (const auto& name : names) {
    if (!starts_with(name, kVae) || starts_with(name, kVae + "loss.")) continue;
    const std::string to = ldm_vae_name(name.substr(kVae.size()), n_levels);
    put(places, to.empty() ? name : to, {name, -1, to.find(".attentions.") != std::string::npos}, *file);
  }
  need(places, *file, "VAE");
  return std::make_shared<LdmPart>(file, std::move(places));
}

std::shared_ptr<TensorSource> ldm_text_source(const std::shared_ptr<TensorSource>& file) {
  const auto names = file->names();
  std::map<std::string, Place> places;
  const int64_t n_layers = std::max(count_numbers(names, kText + kOpenClip + "transformer.resblocks."),
                                    count_numbers(names, kOtherText + kOpenClip + "transformer.resblocks."));
  const std::string last = cat("transformer.resblocks.", n_layers - 1, ".");
  for (const auto& name : names) {
    const std::string prefix = text_prefix(name);
    if (prefix.empty()) continue;
    if (starts_with(name, prefix + kTransformers)) {
      const std::string to = text_model_name(name.substr((prefix + kTransformers).size()));
      if (!to.empty()) put(places, to, {name}, *file);
      continue;
    }
    const std::string rest = name.substr((prefix + kOpenClip).size());
    if (rest == "text_projection" || rest == "logit_scale" || rest == "attn_mask" || starts_with(rest, last))
      continue;
    const size_t fused = rest.find(".attn.in_proj_");
    if (fused != std::string::npos && starts_with(rest, "transformer.resblocks.")) {
      const auto shape = file->shape(name);
      if (shape.empty() || shape[0] % 3 != 0)
        throw UserError(cat(file->where(), ": tensor ", name, " has ", shape.empty() ? 0 : shape[0],
                            " rows, which are not query, key and value. Get the file again."));
      const std::string layer = rest.substr(22, fused - 22), kind = rest.substr(fused + 14);
      const char* parts[] = {"q_proj.", "k_proj.", "v_proj."};
      for (int i = 0; i < 3; ++i)
        put(places, cat("text_model.encoder.layers.", layer, ".self_attn.", parts[i], kind), {name, i},
            *file);
      continue;
    }
    const std::string to = transformers_text_name(rest);
    put(places, to.empty() ? name : to, {name}, *file);
  }
  need(places, *file, "text encoder");
  return std::make_shared<LdmPart>(file, std::move(places));
}

std::shared_ptr<TensorSource> text_model_source(const std::shared_ptr<TensorSource>& file) {
  return renamed_source(file, text_model_name);
}

nlohmann::json vae_config_from_shapes(const TensorSource& vae) {
  const auto names = vae.names();
  const int64_t n_levels = count_numbers(names, "encoder.down_blocks.");
  std::vector<int64_t> channels;
  for (int64_t i = 0; i < n_levels; ++i)
    channels.push_back(dimension(vae, cat("encoder.down_blocks.", i, ".resnets.0.conv1.weight"), 0));
  const int64_t groups = 32;
  return {{"_class_name", "AutoencoderKL"},
          {"act_fn", "silu"},
          {"block_out_channels", channels},
          {"down_block_types", std::vector<std::string>(channels.size(), "DownEncoderBlock2D")},
          {"up_block_types", std::vector<std::string>(channels.size(), "UpDecoderBlock2D")},
          {"in_channels", dimension(vae, "encoder.conv_in.weight", 1)},
          {"out_channels", dimension(vae, "decoder.conv_out.weight", 0)},
          {"latent_channels", dimension(vae, "decoder.conv_in.weight", 1)},
          {"layers_per_block", count_numbers(names, "encoder.down_blocks.0.resnets.")},
          {"norm_num_groups", groups},
          {"sample_size", 512},
          {"scaling_factor", 0.18215}};
}

nlohmann::json text_config_from_shapes(const TensorSource& text, bool is_open_clip,
                                       const nlohmann::json& config) {
  const std::string embeddings = "text_model.embeddings.", layers = "text_model.encoder.layers.";
  const int64_t width = dimension(text, embeddings + "token_embedding.weight", 1);
  int64_t n_heads = std::max<int64_t>(1, width / 64);
  if (config.is_object() && config.contains("cond_stage_text") && config["cond_stage_text"].is_object())
    n_heads = config["cond_stage_text"].value("heads", n_heads);
  return {{"architectures", {"CLIPTextModel"}},
          {"model_type", "clip_text_model"},
          {"hidden_size", width},
          {"intermediate_size", dimension(text, layers + "0.mlp.fc1.weight", 0)},
          {"num_hidden_layers", count_numbers(text.names(), layers)},
          {"num_attention_heads", n_heads},
          {"hidden_act", is_open_clip ? "gelu" : "quick_gelu"},
          {"max_position_embeddings", dimension(text, embeddings + "position_embedding.weight", 0)},
          {"vocab_size", dimension(text, embeddings + "token_embedding.weight", 0)},
          {"layer_norm_eps", 1e-5},
          {"bos_token_id", 0},
          {"eos_token_id", 2},
          {"pad_token_id", 1}};
}

}  // namespace t3d::diffusion
