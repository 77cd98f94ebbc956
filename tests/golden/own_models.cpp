#include <filesystem>

#include "t3d/core/text_ends.h"
#include "t3d/diffusion/autoencoder.h"
#include "t3d/diffusion/clip_model.h"
#include "t3d/diffusion/ldm_config.h"
#include "t3d/diffusion/lora.h"
#include "t3d/diffusion/text_encoder.h"
#include "t3d/diffusion/unet.h"
#include "tests/golden/own_set.h"

namespace t3d::testing {
namespace {

namespace ds = t3d::diffusion;

const std::string kWeights = "/diffusion_pytorch_model.safetensors";

void write_unet(const OwnSet& set, const std::string& folder, const ds::UNetConfig& config, uint64_t seed) {
  const ds::UNet unet(config, ds::Weights::random(seed));
  set.write_json(folder + "/config.json", ds::unet_config_json(config));
  set.write_tensors(folder + kWeights, in_half(random_tensors(unet.parameters(), seed)));
}

/// `old_names`: as diffusers called the attention's layers before 0.17.
void write_autoencoder(const OwnSet& set, const std::string& folder, const ds::AutoencoderConfig& config,
                       uint64_t seed, bool old_names) {
  const ds::Autoencoder vae(config, ds::Weights::random(seed));
  set.write_json(folder + "/config.json", ds::autoencoder_config_json(config));
  Tensors named;
  for (const auto& [name, tensor] : in_half(random_tensors(vae.parameters(), seed))) {
    std::string to = name;
    for (const auto& [now, old] : {std::pair{".to_q.", ".query."},
                                   {".to_k.", ".key."},
                                   {".to_v.", ".value."},
                                   {".to_out.0.", ".proj_attn."}}) {
      const size_t place = to.find(now);
      if (old_names && place != std::string::npos) to.replace(place, std::string(now).size(), old);
    }
    named[to] = tensor;
  }
  set.write_tensors(folder + kWeights, named);
}

nlohmann::json text_config(int64_t width, int64_t n_layers, const char* activation) {
  return {{"architectures", {"CLIPTextModel"}},
          {"model_type", "clip_text_model"},
          {"hidden_size", width},
          {"intermediate_size", 2 * width},
          {"num_hidden_layers", n_layers},
          {"num_attention_heads", 2},
          {"hidden_act", activation},
          {"max_position_embeddings", kPromptLength},
          {"vocab_size", vocabulary_size()},
          {"layer_norm_eps", 1e-5},
          {"bos_token_id", 0},
          {"eos_token_id", 2},
          {"pad_token_id", 1}};
}

void write_text_encoder(const OwnSet& set, const std::string& folder, const nlohmann::json& config,
                        uint64_t seed) {
  const auto weights = ds::Weights::random(seed);
  const ds::ClipTextModel model(ds::ClipTextConfig::from_json(config, folder), weights.at("text_model"));
  auto tensors = in_half(random_tensors(weights.parameters(), seed));
  // A buffer of old files, which readers leave out.
  tensors["text_model.embeddings.position_ids"] = at::arange(kPromptLength, at::kLong).unsqueeze(0);
  set.write_json(folder + "/config.json", config);
  set.write_tensors(folder + "/model.safetensors", tensors);
}

void write_clip(const OwnSet& set, const std::string& folder, uint64_t seed) {
  auto text = text_config(8, 2, "quick_gelu");
  text["eos_token_id"] = vocabulary_size() - 1;
  constexpr int kSide = 16;
  const nlohmann::json config{{"architectures", {"CLIPModel"}},
                              {"model_type", "clip"},
                              {"projection_dim", 6},
                              {"text_config", text},
                              {"vision_config",
                               {{"model_type", "clip_vision_model"},
                                {"hidden_size", 12},
                                {"intermediate_size", 24},
                                {"num_hidden_layers", 2},
                                {"num_attention_heads", 3},
                                {"hidden_act", "quick_gelu"},
                                {"image_size", kSide},
                                {"patch_size", 8},
                                {"num_channels", 3},
                                {"layer_norm_eps", 1e-5}}}};
  const auto weights = ds::Weights::random(seed);
  const ds::ClipModel model(ds::ClipConfig::from_json(config, folder), weights);
  set.write_json(folder + "/config.json", config);
  set.write_json(folder + "/preprocessor_config.json",
                 {{"image_processor_type", "CLIPImageProcessor"},
                  {"do_resize", true},
                  {"do_center_crop", true},
                  {"do_rescale", true},
                  {"do_normalize", true},
                  {"do_convert_rgb", true},
                  {"resample", 3},
                  {"rescale_factor", 1.0 / 255},
                  {"image_mean", {0.45, 0.5, 0.4}},
                  {"image_std", {0.3, 0.25, 0.28}},
                  {"size", {{"shortest_edge", kSide}}},
                  {"crop_size", {{"height", kSide}, {"width", kSide}}}});
  set.write_tensors(folder + "/model.safetensors", in_half(random_tensors(weights.parameters(), seed)));
}

/// Low-rank weights, both halves random, as the three programs name them.
void write_lora(const OwnSet& set, const std::string& folder, const ds::UNet& unet,
                const std::vector<std::pair<const char*, ds::LoraNaming>>& files, uint64_t seed) {
  auto lora = ds::Lora::make({2, 0}, ds::attention_sites(unet.parameters()), seed);
  const auto drawn = random_tensors(lora.parameters(), seed);
  for (auto& [name, tensor] : lora.parameters()) tensor.copy_(drawn.at(name));
  std::filesystem::create_directories(set.path(folder));
  for (const auto& [file, naming] : files) lora.save(set.path(folder + "/" + file), naming);
}

void write_pipeline(const OwnSet& set, const std::string& folder, const std::string& scheduler,
                    const std::string& prediction) {
  set.write_json(folder + "/model_index.json", ds::model_index(scheduler));
  set.write_json(folder + "/scheduler/scheduler_config.json", ds::scheduler_config(scheduler, prediction));
}

/// Two levels; three where `channels` has as many. The last has no attention.
ds::UNetConfig unet_config(std::vector<int64_t> channels, std::vector<int64_t> heads, int64_t text_channels) {
  ds::UNetConfig config;
  const size_t n = channels.size();
  config.sample_size = 12;
  config.block_channels = std::move(channels);
  config.n_heads = std::move(heads);
  config.has_attention.assign(n, true);
  config.has_attention.back() = false;
  config.transformer_depth.assign(n, 1);
  config.layers_per_block = 1;
  config.text_channels = text_channels;
  config.norm_groups = 4;
  return config;
}

ds::AutoencoderConfig autoencoder_config(std::vector<int64_t> channels, int64_t layers, int64_t groups) {
  ds::AutoencoderConfig config;
  config.block_channels = std::move(channels);
  config.layers_per_block = layers;
  config.norm_groups = groups;
  return config;
}

}  // namespace

void write_models(const OwnSet& set) {
  auto one = unet_config({8, 8}, {2, 2}, 8);
  one.layers_per_block = 2;
  write_unet(set, "sd1-tiny/unet", one, 1);
  write_autoencoder(set, "sd1-tiny/vae", autoencoder_config({4, 8, 8}, 2, 2), 2, /*old_names=*/true);
  write_text_encoder(set, "sd1-tiny/text_encoder", text_config(8, 3, "quick_gelu"), 3);
  write_tokenizer(set, "sd1-tiny/tokenizer", "<|endoftext|>");
  write_pipeline(set, "sd1-tiny", "PNDMScheduler", "epsilon");
  write_lora(set, "sd1-tiny/lora", ds::UNet(one, ds::Weights::random(1)),
             {{"lora_attn_procs.safetensors", ds::LoraNaming::AttnProcs},
              {"lora_peft.safetensors", ds::LoraNaming::Peft},
              {"pytorch_lora_weights.safetensors", ds::LoraNaming::Diffusers}},
             4);

  auto two = unet_config({8, 8, 16}, {1, 2, 4}, 12);
  two.linear_projection = true;
  write_unet(set, "sd2-tiny/unet", two, 5);
  write_autoencoder(set, "sd2-tiny/vae", autoencoder_config({8, 8}, 1, 4), 6, /*old_names=*/false);
  write_text_encoder(set, "sd2-tiny/text_encoder", text_config(12, 2, "gelu"), 7);
  write_tokenizer(set, "sd2-tiny/tokenizer", "!");
  write_pipeline(set, "sd2-tiny", "DDIMScheduler", "v_prediction");
  two.class_embedding = ds::ClassEmbedding::Projection;
  two.class_inputs = 16;
  const ds::UNet with_camera(two, ds::Weights::random(5));
  write_lora(set, "sd2-tiny/vsd", with_camera, {{"lora_attn_procs.safetensors", ds::LoraNaming::AttnProcs}},
             8);
  Tensors camera;
  const std::string prefix = "class_embedding.";
  for (const auto& [name, tensor] : random_tensors(with_camera.parameters(), 9))
    if (starts_with(name, prefix)) camera[name.substr(prefix.size())] = tensor;
  set.write_tensors("sd2-tiny/vsd/camera_embedding.safetensors", camera);

  auto by_camera = unet_config({8, 8}, {2, 4}, 16);
  by_camera.linear_projection = true;
  by_camera.class_embedding = ds::ClassEmbedding::Projection;
  by_camera.class_inputs = 16;
  write_unet(set, "unet-camera-tiny", by_camera, 10);
  auto by_step = unet_config({8, 8}, {2, 4}, 16);
  by_step.class_embedding = ds::ClassEmbedding::Timestep;
  write_unet(set, "unet-class-timestep-tiny", by_step, 11);
  write_clip(set, "clip-tiny", 12);
}

}  // namespace t3d::testing
