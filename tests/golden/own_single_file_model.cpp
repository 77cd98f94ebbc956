#include <stdexcept>

#include "t3d/core/text_ends.h"
#include "t3d/diffusion/autoencoder.h"
#include "t3d/diffusion/ldm_names.h"
#include "t3d/diffusion/ldm_unet_names.h"
#include "t3d/diffusion/text_encoder.h"
#include "t3d/diffusion/unet.h"
#include "tests/golden/own_set.h"

/// MVDream's kind of model: all parts in one file, each in the naming of the program that trained it.
namespace t3d::testing {
namespace {

namespace ds = t3d::diffusion;

/// With 32 groups in each norm, a level of 64 channels is the least that the time embedding has an effect on.
/// "cond_stage_text" holds what shapes do not tell of open_clip's text encoder, whose last layer is unused.
nlohmann::json model_config() {
  return {{"model",
           {{"params",
             {{"linear_start", 0.00085},
              {"linear_end", 0.012},
              {"timesteps", 1000},
              {"scale_factor", 0.18215},
              {"parameterization", "eps"},
              {"unet_config",
               {{"params",
                 {{"image_size", 8},
                  {"in_channels", 4},
                  {"out_channels", 4},
                  {"model_channels", 32},
                  {"attention_resolutions", {1}},
                  {"num_res_blocks", 1},
                  {"channel_mult", {1, 2}},
                  {"num_head_channels", 16},
                  {"use_linear_in_transformer", true},
                  {"transformer_depth", 1},
                  {"context_dim", 8},
                  {"camera_dim", 16}}}}},
              {"first_stage_config", {{"params", {{"ddconfig", {{"ch", 32}, {"ch_mult", {1}}}}}}}}}}}},
          {"cond_stage_text", {{"width", 8}, {"heads", 2}, {"layers", 3}, {"vocab_size", 50}}}};
}

/// `name` with each `from` in it replaced, one after the other.
template <size_t N>
std::string replaced(std::string name, const std::pair<const char*, const char*> (&pairs)[N]) {
  for (const auto& [from, to] : pairs) {
    const size_t place = name.find(from);
    if (place != std::string::npos) name.replace(place, std::string(from).size(), to);
  }
  return name;
}

[[noreturn]] void refuse(const std::string& name) {
  throw std::runtime_error(name + ": has no name in a single file");
}

std::string unet_name(const std::string& name, const Tensors& all, int64_t layers) {
  const size_t dot = name.rfind('.');
  const auto names = ds::ldm_names_of(name.substr(0, dot), layers);
  if (names.empty()) refuse(name);
  // An upsampler stands behind the attention where its block has one.
  const auto behind = all.lower_bound(name.substr(0, name.find("upsamplers")) + "attentions.");
  const bool has_attention =
      names.size() > 1 && behind != all.end() &&
      starts_with(behind->first, name.substr(0, name.find("upsamplers")) + "attentions.");
  const std::string out = (has_attention ? names.back() : names.front()) + name.substr(dot);
  if (ds::ldm_unet_name(out, layers) != name) refuse(name);
  return out;
}

constexpr std::pair<const char*, const char*> kVae[] = {{"mid_block.resnets.0", "mid.block_1"},
                                                        {"mid_block.resnets.1", "mid.block_2"},
                                                        {"mid_block.attentions.0", "mid.attn_1"},
                                                        {"group_norm", "norm"},
                                                        {".to_q.", ".q."},
                                                        {".to_k.", ".k."},
                                                        {".to_v.", ".v."},
                                                        {".to_out.0.", ".proj_out."},
                                                        {"down_blocks", "down"},
                                                        {"resnets", "block"},
                                                        {"downsamplers.0", "downsample"},
                                                        {"upsamplers.0", "upsample"},
                                                        {"conv_shortcut", "nin_shortcut"},
                                                        {"conv_norm_out", "norm_out"}};

std::string vae_name(const std::string& name, int64_t n_levels) {
  std::string out = replaced(name, kVae);
  const size_t up = out.find("up_blocks.");
  if (up != std::string::npos) {  // counted from the outermost
    std::string rest = out.substr(up + 10);
    const int64_t block = ds::take_number(rest);
    out = cat(out.substr(0, up), "up.", n_levels - 1 - block, ".", rest);
  }
  if (ds::ldm_vae_name(out, n_levels) != name) refuse(name);
  return out;
}

constexpr std::pair<const char*, const char*> kText[] = {
    {"text_model.", ""},
    {"embeddings.token_embedding", "token_embedding"},
    {"embeddings.position_embedding.weight", "positional_embedding"},
    {"final_layer_norm", "ln_final"},
    {"encoder.layers", "transformer.resblocks"},
    {"layer_norm1", "ln_1"},
    {"layer_norm2", "ln_2"},
    {"mlp.fc1", "mlp.c_fc"},
    {"mlp.fc2", "mlp.c_proj"},
    {"self_attn.out_proj", "attn.out_proj"}};

/// Query, key and value are one matrix.
void put_text(const Tensors& text, int64_t n_layers, Tensors& all) {
  const std::string prefix = "cond_stage_model.model.";
  for (const auto& [name, tensor] : text) {
    if (name.find("self_attn.") != std::string::npos && name.find("out_proj") == std::string::npos) continue;
    const std::string to = replaced(name, kText);
    if (ds::transformers_text_name(to) != name) refuse(name);
    all[prefix + to] = tensor;
  }
  for (int64_t i = 0; i < n_layers; ++i)
    for (const char* kind : {"weight", "bias"}) {
      std::vector<at::Tensor> thirds;
      for (const char* part : {"q", "k", "v"})
        thirds.push_back(text.at(cat("text_model.encoder.layers.", i, ".self_attn.", part, "_proj.", kind)));
      all[cat(prefix, "transformer.resblocks.", i, ".attn.in_proj_", kind)] = at::cat(thirds);
    }
}

}  // namespace

void write_single_file_model(const OwnSet& set) {
  const std::string folder = "mvdream-tiny";
  const auto config = model_config();
  const auto& parts = config["model"]["params"];
  Tensors all;
  const auto unet_config = ds::unet_config_from_ldm(parts["unet_config"]["params"], folder);
  const ds::UNet unet(unet_config, ds::Weights::random(1));
  const auto of_unet = random_tensors(unet.parameters(), 21);
  for (const auto& [name, tensor] : of_unet)
    all["model.diffusion_model." + unet_name(name, of_unet, unet_config.layers_per_block)] = tensor;

  ds::AutoencoderConfig vae_config;
  vae_config.block_channels = {32};
  vae_config.layers_per_block = 1;
  const ds::Autoencoder vae(vae_config, ds::Weights::random(1));
  for (const auto& [name, tensor] : random_tensors(vae.parameters(), 22)) {
    const bool is_matrix = tensor.dim() == 2;  // a convolution of one pixel there
    all["first_stage_model." + vae_name(name, 1)] = is_matrix ? tensor.unsqueeze(-1).unsqueeze(-1) : tensor;
  }

  const auto& of_text = config["cond_stage_text"];
  ds::ClipTextConfig text_config;
  text_config.tower.n_channels = of_text["width"];
  text_config.tower.n_hidden = 2 * text_config.tower.n_channels;
  text_config.tower.n_layers = of_text["layers"];
  text_config.tower.n_heads = of_text["heads"];
  text_config.n_words = of_text["vocab_size"];
  const auto weights = ds::Weights::random(1);
  const ds::ClipTextModel text(text_config, weights.at("text_model"));
  put_text(random_tensors(weights.parameters(), 23), text_config.tower.n_layers, all);

  set.write_json(folder + "/config.json", config);
  set.write_tensors(folder + "/model.safetensors", in_half(all));
}

}  // namespace t3d::testing
