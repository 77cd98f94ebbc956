#include "t3d/diffusion/adapter_names.h"

#include <algorithm>

#include "t3d/core/text.h"
#include "t3d/core/text_ends.h"
#include "t3d/diffusion/ldm_unet_names.h"

namespace t3d::diffusion {
namespace {

using Role = AdapterRole;

constexpr size_t kLongestLayer = 200;

struct RoleEnding {
  const char* text;
  Role role;
};
constexpr RoleEnding kRoleEndings[] = {{".lora_down.weight", Role::Down},
                                       {".lora_up.weight", Role::Up},
                                       {".lora_mid.weight", Role::Mid},
                                       {".lora_up.bias", Role::UpBias},
                                       {".lora_linear_layer.down.weight", Role::Down},
                                       {".lora_linear_layer.up.weight", Role::Up},
                                       {".lora_conv2d_layer.down.weight", Role::Down},
                                       {".lora_conv2d_layer.up.weight", Role::Up},
                                       {".lora.down.weight", Role::Down},
                                       {".lora.up.weight", Role::Up},
                                       {"_lora.down.weight", Role::Down},
                                       {"_lora.up.weight", Role::Up},
                                       {".lora.alpha", Role::Alpha},
                                       {"_lora.alpha", Role::Alpha},
                                       {".alpha", Role::Alpha},
                                       {".hada_w1_a", Role::HadaW1A},
                                       {".hada_w1_b", Role::HadaW1B},
                                       {".hada_w2_a", Role::HadaW2A},
                                       {".hada_w2_b", Role::HadaW2B},
                                       {".hada_t1", Role::HadaT1},
                                       {".hada_t2", Role::HadaT2},
                                       {".lokr_w1", Role::LokrW1},
                                       {".lokr_w1_a", Role::LokrW1A},
                                       {".lokr_w1_b", Role::LokrW1B},
                                       {".lokr_w2", Role::LokrW2},
                                       {".lokr_w2_a", Role::LokrW2A},
                                       {".lokr_w2_b", Role::LokrW2B},
                                       {".lokr_t2", Role::LokrT2},
                                       {".dora_scale", Role::DoraScale},
                                       {".diff", Role::Diff},
                                       {".diff_b", Role::DiffBias},
                                       {".w_norm", Role::Diff},
                                       {".b_norm", Role::DiffBias}};

/// PEFT puts an adapter's name behind: ".lora_A.weight", ".lora_A.default.weight".
struct Infix {
  const char* text;
  Role weight;
  Role bias;
  bool has_bias;
};
constexpr Infix kInfixes[] = {{".lora_A", Role::Down, Role::Down, false},
                              {".lora_B", Role::Up, Role::UpBias, true},
                              {".lora_magnitude_vector", Role::Magnitude, Role::Magnitude, false},
                              {".hada_w1_a", Role::HadaW1A, Role::HadaW1A, false},
                              {".hada_w1_b", Role::HadaW1B, Role::HadaW1B, false},
                              {".hada_w2_a", Role::HadaW2A, Role::HadaW2A, false},
                              {".hada_w2_b", Role::HadaW2B, Role::HadaW2B, false},
                              {".hada_t1", Role::HadaT1, Role::HadaT1, false},
                              {".hada_t2", Role::HadaT2, Role::HadaT2, false},
                              {".lokr_w1_a", Role::LokrW1A, Role::LokrW1A, false},
                              {".lokr_w1_b", Role::LokrW1B, Role::LokrW1B, false},
                              {".lokr_w2_a", Role::LokrW2A, Role::LokrW2A, false},
                              {".lokr_w2_b", Role::LokrW2B, Role::LokrW2B, false},
                              {".lokr_w1", Role::LokrW1, Role::LokrW1, false},
                              {".lokr_w2", Role::LokrW2, Role::LokrW2, false},
                              {".lokr_t2", Role::LokrT2, Role::LokrT2, false}};

/// What is recognised in a name and not read.
struct Other {
  const char* text;
  const char* kind;
};
constexpr Other kOthers[] = {{".on_input", "IA3"},
                             {".ia3_l", "IA3"},
                             {".oft_blocks", "OFT"},
                             {".oft_diag", "OFT"},
                             {".oft_r", "OFT"},
                             {".oft_R", "OFT"},
                             {".boft_", "BOFT"},
                             {".a1.weight", "GLoRA"},
                             {".a2.weight", "GLoRA"},
                             {".b1.weight", "GLoRA"},
                             {".b2.weight", "GLoRA"},
                             {".bm.weight", "GLoRA"},
                             {".vera_lambda", "VeRA"},
                             {".lora_embedding_", "LoRA of an embedding"},
                             {".lora_down.bias", "LoRA with a bias between its halves"},
                             {".lora_A.bias", "LoRA with a bias between its halves"},
                             {".set_weight", "whole replaced weights"},
                             {".reshape_weight", "reshaped weights"},
                             {"unet:", "the first LoRA programs, which count layers"},
                             {"text_encoder:", "the first LoRA programs, which count layers"},
                             {"string_to_param", "textual inversion"},
                             {"emb_params", "textual inversion"}};

/// Programs' own beginnings of a name, in the order in which they are taken off.
constexpr const char* kWrappers[] = {"base_model.model.", "module.", "lycoris_"};

struct Prefix {
  const char* text;
  AdaptedPart part;
};
constexpr Prefix kPrefixes[] = {
    {"lora_unet_", AdaptedPart::UNet},           {"lora_te_", AdaptedPart::TextEncoder},
    {"lora_te1_", AdaptedPart::TextEncoder},     {"unet.", AdaptedPart::UNet},
    {"text_encoder.", AdaptedPart::TextEncoder}, {"model.diffusion_model.", AdaptedPart::UNet},
    {"diffusion_model.", AdaptedPart::UNet}};

std::string with_underscores(std::string name) {
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

bool take_off_front(std::string& text, const char* front) {
  if (!starts_with(text, front)) return false;
  text = text.substr(std::string(front).size());
  return true;
}

/// Splits the role off `name`, which becomes the layer.
bool take_role(std::string& name, Role& role) {
  for (const Infix& infix : kInfixes) {
    const size_t at = name.rfind(infix.text);
    if (at == std::string::npos || at == 0) continue;
    const std::string behind =
        name.substr(at + std::string(infix.text).size());  // ".weight", ".default.weight"
    const bool is_bias = ends_with(behind, ".bias");
    if ((!behind.empty() && behind[0] != '.') || (is_bias && !infix.has_bias)) continue;
    role = is_bias ? infix.bias : infix.weight;
    name.resize(at);
    return true;
  }
  for (const RoleEnding& ending : kRoleEndings) {
    const size_t n = std::string(ending.text).size();
    if (name.size() <= n || !ends_with(name, ending.text)) continue;
    role = ending.role;
    name.resize(name.size() - n);
    return true;
  }
  return false;
}

void replace_once(std::string& text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  if (at != std::string::npos) text.replace(at, from.size(), to);
}

/// Old names of one thing: attention processors, and transformers' projections as diffusers called them.
std::string present_layer(std::string layer, AdaptedPart part) {
  replace_once(layer, ".processor.", ".");
  replace_once(layer, ".base_layer", "");
  if (part == AdaptedPart::UNet) return ends_with(layer, ".to_out") ? layer + ".0" : layer;
  for (const char* projection : {"q", "k", "v", "out"})
    if (ends_with(layer, cat("self_attn.to_", projection)))
      layer = layer.substr(0, layer.size() - std::string(projection).size() - 3) + projection + "_proj";
  return layer;
}

}  // namespace

bool parse_adapter_name(const std::string& name, AdapterName& out, std::string& problem) {
  problem.clear();
  std::string rest = name;
  for (const char* wrapper : kWrappers) take_off_front(rest, wrapper);
  bool is_told = false;
  for (const Prefix& prefix : kPrefixes)
    if (!is_told && take_off_front(rest, prefix.text)) {
      out.part = prefix.part;
      is_told = true;
    }
  for (const char* wrapper : kWrappers) take_off_front(rest, wrapper);  // "unet.base_model.model." too
  for (const Other& other : kOthers)
    if (name.find(other.text) != std::string::npos) {
      problem = cat("is of ", other.kind, ", which is not read");
      return false;
    }
  if (name.find_first_not_of("0123456789.") == std::string::npos) {
    problem = "has a number for a name: of the first LoRA programs, which count layers, which is not read";
    return false;
  }
  if (!take_role(rest, out.role) || rest.empty()) return false;
  if (!is_told) {
    const std::string flat = with_underscores(rest);
    out.part = starts_with(flat, "text_model_") || starts_with(flat, "encoder_layers_")
                   ? AdaptedPart::TextEncoder
                   : AdaptedPart::UNet;
  }
  out.layer = present_layer(rest, out.part);
  return true;
}

bool is_beside_adapter(const std::string& name) {
  return starts_with(name, "bundle_emb.");
}

AdapterLayers::AdapterLayers(const TensorSource& model, AdaptedPart part) {
  const std::vector<std::string> names = model.names();
  const int64_t n_layers = part == AdaptedPart::UNet ? diffusers_unet_layers(names) : 0;
  for (const std::string& name : names) {
    if (!ends_with(name, ".weight")) continue;
    const std::string layer = name.substr(0, name.size() - 7);
    add(layer, layer);
    if (part == AdaptedPart::UNet)
      for (const std::string& ldm : ldm_names_of(layer, n_layers)) add(ldm, layer);
    if (starts_with(layer, "text_model.")) add(layer.substr(11), layer);
  }
}

void AdapterLayers::add(const std::string& name, const std::string& layer) {
  layers_.emplace(name, layer);
  layers_.emplace(with_underscores(name), layer);
}

std::string AdapterLayers::find(const std::string& layer) const {
  const auto found = layers_.find(layer);
  return found == layers_.end() ? "" : found->second;
}

std::string AdapterLayers::suggestion(const std::string& layer) const {
  if (layer.size() > kLongestLayer) return "";
  const bool has_dots = layer.find('.') != std::string::npos;
  std::vector<std::string> known;
  for (const auto& [name, target] : layers_)
    if ((name.find('.') != std::string::npos) == has_dots) known.push_back(name);
  return did_you_mean(layer, known);
}

}  // namespace t3d::diffusion
