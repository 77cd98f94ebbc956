#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/diffusion/autoencoder.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/diffusion/pipeline.h"
#include "t3d/diffusion/shape_source.h"
#include "t3d/diffusion/text_encoder.h"
#include "t3d/diffusion/tokenizer.h"
#include "t3d/diffusion/unet_denoiser.h"

namespace t3d::diffusion {
namespace {

std::string place(const std::string& path, const char* part) {
  return cat(path, ": ", part, " config");
}

ClipTokenizer tokenizer_of(const std::string& path) {
  namespace fs = std::filesystem;
  const fs::path model(path);
  const auto usual = (fs::is_directory(model) ? model : model.parent_path()) / "tokenizer";
  const std::string folder = find_tokenizer(path);
  if (folder.empty() && !fs::is_directory(usual))
    throw SystemError(cat(path,
                          ": has no tokenizer. Put a CLIP tokenizer's vocab.json and merges.txt, or its ",
                          "tokenizer.json, into ", usual.string(), "."));
  return ClipTokenizer::from_folder(folder.empty() ? usual.string() : folder);
}

/// The sampler to take where the model's own is one of diffusers' that we lack; empty where it is ours, or
/// unknown.
std::string sampler_instead(const nlohmann::json& scheduler, const std::string& path) {
  static const std::set<std::string> kOthers = {"LMSDiscreteScheduler",
                                                "UniPCMultistepScheduler",
                                                "DEISMultistepScheduler",
                                                "HeunDiscreteScheduler",
                                                "KDPM2DiscreteScheduler",
                                                "KDPM2AncestralDiscreteScheduler",
                                                "DPMSolverSDEScheduler",
                                                "EulerAncestralDiscreteScheduler",
                                                "DPMSolverSinglestepScheduler",
                                                "DDPMParallelScheduler",
                                                "DDIMParallelScheduler",
                                                "SASolverScheduler",
                                                "IPNDMScheduler",
                                                "DPMSolverMultistepInverseScheduler"};
  const std::string name =
      scheduler.is_object() && scheduler.value("_class_name", nlohmann::json()).is_string()
          ? scheduler["_class_name"].get<std::string>()
          : "";
  if (kOthers.count(name) == 0) return "";
  SchedulerConfig::for_training(scheduler, place(path, "scheduler"));  // refuses flow matching
  log::warning(
      cat(path, ": its sampler, ", name,
          ", is not there; DPM-Solver++ is used instead, which solves the same equation (--scheduler)."));
  return "dpm";
}

/// "a", and the same with ", side view": of texts that go on where the first one ends, the rest alone. A long
/// prompt that is asked for in several directions is so printed once.
std::string quoted_once(const std::vector<std::string>& texts) {
  const std::string& first = texts[0];
  std::string all = cat("\"", first, "\""), endings;
  for (size_t i = 1; i < texts.size(); ++i) {
    if (texts[i].rfind(first, 0) != 0)
      all += cat(", \"", texts[i], "\"");
    else if (texts[i].size() > first.size())
      endings +=
          cat(endings.empty() ? ", and the same with \"" : ", \"", texts[i].substr(first.size()), "\"");
  }
  return all + endings;
}

}  // namespace

at::Tensor embed_prompts(const std::string& path, const std::vector<std::string>& prompts,
                         at::ScalarType dtype, c10::Device device, const AdapterUse& lora,
                         bool reads_weights) {
  auto tokenizer = tokenizer_of(path);
  const auto unet = unet_config_from_json(part_config(path, "unet"), place(path, "unet"));
  if (unet.camera_inputs > 0) tokenizer.set_cleaning(PromptCleaning::OpenClip);
  auto ids = at::empty({static_cast<int64_t>(prompts.size()), tokenizer.max_length()}, at::kLong);
  std::vector<std::string> cuts;
  for (size_t i = 0; i < prompts.size(); ++i) {
    const auto tokens = tokenizer.encode_padded(prompts[i]);
    if (!tokens.cut.empty()) cuts.push_back(tokens.cut);
    std::copy(tokens.ids.begin(), tokens.ids.end(), ids[static_cast<int64_t>(i)].data_ptr<int64_t>());
  }
  if (!cuts.empty())
    log::warning(cat("the prompt is longer than ", tokenizer.max_length() - 2,
                     " tokens; left out: ", quoted_once(cuts)));
  const auto config =
      ClipTextConfig::from_json(part_config(path, "text_encoder"), place(path, "text encoder"));
  const auto weights = Weights::from(
      source_or_shapes(reads_weights, open_adapted_part(path, "text_encoder", lora)), dtype, device);
  const ClipTextModel encoder(config, weights.at("text_model"));
  weights.check();
  encoder.check_ids(ids);
  const c10::NoGradGuard no_grad;
  if (!reads_weights)
    return at::zeros({ids.size(0), ids.size(1), config.tower.n_channels},
                     at::TensorOptions().dtype(dtype).device(device));
  return encoder(ids.to(device)).last_hidden_state;
}

LoadedModel load_model(const std::string& path, const std::string& sampler, at::ScalarType dtype,
                       c10::Device device, const AdapterUse& lora) {
  LoadedModel out;
  const nlohmann::json scheduler = part_config(path, "scheduler");
  out.scheduler = SchedulerConfig::from_json(scheduler, place(path, "scheduler"),
                                             sampler.empty() ? sampler_instead(scheduler, path) : sampler);

  const auto unet_config = unet_config_from_json(part_config(path, "unet"), place(path, "unet"));
  const auto unet_weights = Weights::from(open_adapted_part(path, "unet", lora), dtype, device);
  const auto unet = std::make_shared<UNet>(unet_config, unet_weights);
  unet_weights.check();
  unet->pack();
  out.denoiser = std::make_shared<UNetDenoiser>(unet, out.scheduler.prediction);
  out.latent_size = unet_config.sample_size;
  out.takes_cameras = unet_config.camera_inputs > 0;

  const auto vae_config = autoencoder_config_from_json(part_config(path, "vae"), place(path, "vae"));
  const auto vae_weights = Weights::from(open_part(path, "vae"), dtype, device);
  const auto vae = std::make_shared<Autoencoder>(vae_config, vae_weights);
  vae_weights.check();
  vae->pack();
  vae->slicing = true;
  out.reduction = vae_config.reduction();
  out.decode = [vae](const at::Tensor& latents) { return vae->from_latents(latents); };
  return out;
}

}  // namespace t3d::diffusion
