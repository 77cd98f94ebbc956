#include "t3d/prior/unet_trainer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "t3d/core/atomic_file.h"
#include "t3d/core/config/struct_io.h"
#include "t3d/core/error.h"
#include "t3d/diffusion/autoencoder.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/diffusion/pipeline.h"
#include "t3d/diffusion/text_encoder.h"
#include "t3d/diffusion/tokenizer.h"
#include "t3d/diffusion/torch_source.h"
#include "t3d/diffusion/unet.h"
#include "t3d/diffusion/view_cameras.h"
#include "t3d/io/image.h"
#include "t3d/io/json_file.h"
#include "t3d/io/safetensors.h"
#include "t3d/ops/device_graph.h"
#include "t3d/prior/latent_set.h"
#include "t3d/prior/text_tokens.h"
#include "t3d/prior/view_set.h"

namespace t3d::prior {
namespace {

namespace fs = std::filesystem;
namespace ds = t3d::diffusion;
using nlohmann::json;

const char* const kUNetPrefix = "unet.";
const char* const kTextPrefix = "text_encoder.";

ds::UNetConfig unet_config(const UNetTraining& c, int64_t latent_channels, int64_t latent_size) {
  const size_t n = c.block_channels.size();
  if (n == 0 || c.n_heads.size() != n || c.attention.size() != n)
    throw UserError(cat("block_channels, n_heads and attention have ", n, ", ", c.n_heads.size(), " and ",
                        c.attention.size(), " entries, expected as many of each, one per resolution."));
  ds::UNetConfig out;
  out.in_channels = out.out_channels = latent_channels;
  out.sample_size = latent_size;
  out.block_channels.assign(c.block_channels.begin(), c.block_channels.end());
  out.n_heads.assign(c.n_heads.begin(), c.n_heads.end());
  out.has_attention.assign(c.attention.begin(), c.attention.end());
  out.transformer_depth.assign(n, 1);
  out.layers_per_block = c.layers_per_block;
  out.text_channels = c.text_channels;
  out.linear_projection = true;
  out.norm_groups = c.norm_groups;
  out.camera_inputs = 16;
  return ds::unet_config_from_json(ds::unet_config_json(out), "the configuration");  // checks it
}

json text_config(const UNetTraining& c, int64_t n_words) {
  return {{"architectures", {"CLIPTextModel"}},
          {"model_type", "clip_text_model"},
          {"hidden_size", c.text_channels},
          {"intermediate_size", 4 * c.text_channels},
          {"num_hidden_layers", c.text_layers},
          {"num_attention_heads", c.text_heads},
          {"hidden_act", "quick_gelu"},
          {"max_position_embeddings", c.text_length},
          {"vocab_size", n_words},
          {"layer_norm_eps", 1e-5},
          {"bos_token_id", n_words - 2},
          {"eos_token_id", n_words - 1},
          {"pad_token_id", n_words - 1}};
}

json scheduler_json() {
  return {{"_class_name", "DDIMScheduler"},
          {"num_train_timesteps", 1000},
          {"beta_start", 0.00085},
          {"beta_end", 0.012},
          {"beta_schedule", "scaled_linear"},
          {"prediction_type", "v_prediction"},
          {"rescale_betas_zero_snr", true},
          {"timestep_spacing", "trailing"},
          {"clip_sample", false},
          {"set_alpha_to_one", true},
          {"steps_offset", 0}};
}

ds::Autoencoder open_vae(const std::string& folder, at::ScalarType dtype, c10::Device device) {
  const auto weights = ds::Weights::from(ds::open_source(ds::find_weights(folder)), dtype, device);
  ds::Autoencoder vae(ds::read_autoencoder_config(folder + "/config.json"), weights);
  weights.check();
  return vae;
}

class UNetTrainer {
 public:
  UNetTrainer(const UNetTraining& config, const TrainingRun& run)
      : config_(checked(config, run)),
        run_(run),
        dtype_(config.bf16 && run.device.is_cuda() ? at::kBFloat16 : at::kFloat),
        vae_(open_vae(config.vae, dtype_, run.device)),
        source_(config.data, prepared_tokenizer(), vae_,
                {config.n_views, config.backgrounds, config.seed, run.group->rank(), run.group->size(),
                 run.control},
                run.device),
        unet_weights_(weights_of("unet")),
        text_weights_(weights_of("text_encoder")),
        unet_(checked_config(), unet_weights_),
        text_(ds::ClipTextConfig::from_json(text_json(), "the configuration"),
              text_weights_.at("text_model")),
        schedule_(schedule().to(run.device)),
        adam_(parameters(), {0.9, config.beta2, 1e-8, config.weight_decay, 1, config.ema_decay, dtype_}),
        step_([this](const std::vector<at::Tensor>& in) { return step_on(in); },
              config.cuda_graphs ? run.device : c10::Device(c10::kCPU)) {
    unet_weights_.check();
    text_weights_.check();
    unet_.compute_type = dtype_;
    unet_.summed_in = dtype_;
  }

  UNetReport operator()() {
    const auto loop = run_training("unet", config::write_yaml(config::write_struct(config_)), config_, run_,
                                   adam_, [this](int64_t draw) { return step(draw); });
    UNetReport report{loop.finished, loop.steps, 0};
    if (!run_.group->is_first()) return report;
    write_model();
    if (!config_.val_data.empty()) report.val_loss = measure();
    if (!config_.captions.empty()) write_samples();
    return report;
  }

 private:
  static const UNetTraining& checked(const UNetTraining& c, const TrainingRun& run) {
    check_batch(c, run.group->size());
    return c;
  }

  std::string tokenizer_folder() const { return run_.folder + "/tokenizer"; }

  std::string prepared_tokenizer() const {
    distributed::in_first(*run_.group, [this] { prepare_tokenizer(); });
    return tokenizer_folder();
  }

  void prepare_tokenizer() const {
    if (fs::exists(tokenizer_folder() + "/tokenizer_config.json")) return;
    if (!config_.init.empty())
      copy_folder(config_.init + "/tokenizer", tokenizer_folder());
    else
      write_tokenizer(tokenizer_folder(), ViewSet(config_.data, c10::kCPU).captions(), config_.text_length,
                      config_.most_merges);
  }

  static void copy_folder(const std::string& from, const std::string& to) {
    make_folders(to);
    try {
      fs::copy(from, to, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    } catch (const fs::filesystem_error& e) {
      throw SystemError(cat(from, ": cannot be copied to ", to, ": ", e.code().message(), "."));
    }
  }

  ds::Weights weights_of(const std::string& part) const {
    if (config_.init.empty())
      return ds::Weights::random(config_.seed + (part == "unet" ? 0 : 1), at::kFloat, run_.device);
    return ds::Weights::from(ds::open_part(config_.init, part), at::kFloat, run_.device);
  }

  ds::UNetConfig checked_config() const {
    const int64_t side = source_.latent_size(), halvings = config_.block_channels.size() - 1;
    if (side % (int64_t{1} << halvings) != 0)
      throw UserError(cat("the latents are ", side, " wide, expected a multiple of ", int64_t{1} << halvings,
                          " for ", halvings + 1, " block_channels."));
    return unet_config(config_, vae_.config().latent_channels, side);
  }

  json text_json() const {
    return text_config(config_, ds::ClipTokenizer::from_folder(tokenizer_folder()).vocabulary_size());
  }

  static ds::NoiseSchedule schedule() {
    return ds::NoiseSchedule(ds::SchedulerConfig::from_json(scheduler_json(), "the schedule").schedule);
  }

  std::map<std::string, at::Tensor> parameters() const {
    std::map<std::string, at::Tensor> all;
    for (const auto& [name, tensor] : unet_weights_.parameters()) all.emplace(kUNetPrefix + name, tensor);
    for (const auto& [name, tensor] : text_weights_.parameters()) all.emplace(kTextPrefix + name, tensor);
    return all;
  }

  BatchMix mix() const {
    return {batch_share(config_, run_), config_.n_views,        schedule_.n_steps(),
            config_.single_view_share,  config_.camera_dropout, config_.caption_dropout};
  }

  at::Tensor loss_on(const LatentBatch& b, const ds::UNet& unet, const ds::ClipTextModel& text) const {
    ds::UNetExtra extra;
    extra.camera = b.camera;
    extra.n_views = b.latents.size(0) / b.text_rows.size(0);
    const auto words = text(b.text_rows).last_hidden_state.repeat_interleave(extra.n_views, 0);  // [B,L,C]
    const auto made = unet(schedule_.add_noise(b.latents, b.noise, b.timesteps), b.timesteps, words, extra);
    return (made - schedule_.velocity(b.latents, b.noise, b.timesteps)).square().mean();
  }

  /// One batch's loss, detached; its gradients are in the optimizer.
  at::Tensor step(int64_t draw) {
    const LatentBatch b = source_.draw(mix(), config_.seed, draw);
    return step_({b.latents, b.noise, b.timesteps, b.text_rows, b.camera});
  }

  /// What is recorded.
  at::Tensor step_on(const std::vector<at::Tensor>& in) const {
    const auto loss = loss_on({in[0], in[1], in[2], in[3], in[4]}, unet_, text_);
    loss.backward();
    return loss.detach();
  }

  void write_model() const {
    std::map<std::string, at::Tensor> of_unet, of_text;
    for (const auto& [name, tensor] : adam_.averaged()) {
      const bool is_unet = name.rfind(kUNetPrefix, 0) == 0;
      const std::string own = name.substr(std::string(is_unet ? kUNetPrefix : kTextPrefix).size());
      (is_unet ? of_unet : of_text).emplace(own, tensor.to(at::kHalf).cpu());
    }
    const std::string& f = run_.folder;
    for (const char* part : {"unet", "text_encoder", "scheduler"}) make_folders(f + "/" + part);
    io::write_safetensors(f + "/unet/diffusion_pytorch_model.safetensors", of_unet, {{"format", "pt"}});
    io::write_json_file(f + "/unet/config.json", ds::unet_config_json(unet_.config()));
    io::write_safetensors(f + "/text_encoder/model.safetensors", of_text, {{"format", "pt"}});
    io::write_json_file(f + "/text_encoder/config.json", text_json());
    io::write_json_file(f + "/scheduler/scheduler_config.json", scheduler_json());
    if (!fs::exists(f + "/vae") || !fs::equivalent(config_.vae, f + "/vae"))
      copy_folder(config_.vae, f + "/vae");
    io::write_json_file(f + "/model_index.json", {{"_class_name", "StableDiffusionPipeline"},
                                                  {"scheduler", {"diffusers", "DDIMScheduler"}},
                                                  {"text_encoder", {"transformers", "CLIPTextModel"}},
                                                  {"tokenizer", {"transformers", "CLIPTokenizer"}},
                                                  {"unet", {"diffusers", "UNet2DConditionModel"}},
                                                  {"vae", {"diffusers", "AutoencoderKL"}}});
  }

  /// Mean loss of the written files over multi-view batches of val_data.
  double measure() const {
    const c10::NoGradGuard no_grad;
    const auto unet_weights = ds::Weights::from(ds::open_part(run_.folder, "unet"), at::kFloat, run_.device);
    ds::UNet unet(ds::read_unet_config(run_.folder + "/unet/config.json"), unet_weights);
    unet_weights.check();
    unet.compute_type = dtype_;
    const auto text = ds::load_clip_text_model(run_.folder + "/text_encoder", at::kFloat, run_.device);
    const LatentSet other(config_.val_data, tokenizer_folder(), vae_,
                          {config_.n_views, 1, config_.seed, 0, 1, run_.control}, run_.device);
    constexpr int64_t kObjects = 8;
    const BatchMix whole{kObjects * config_.n_views, config_.n_views, schedule_.n_steps()};
    const int64_t n = (config_.val_objects + kObjects - 1) / kObjects;
    double sum = 0;
    for (int64_t i = 0; i < n; ++i)
      sum += loss_on(other.draw(whole, config_.seed + 1, i), unet, text).item<double>();
    return sum / static_cast<double>(n);
  }

  /// A row of views for each caption.
  void write_samples() const {
    const c10::NoGradGuard no_grad;
    constexpr int64_t kSteps = 25;
    constexpr double kGuidance = 5, kElevation = 15, kFront = 90;
    auto prompts = config_.captions;
    prompts.emplace_back();
    const auto text = ds::embed_prompts(run_.folder, prompts, at::kFloat, run_.device);
    const auto model = ds::load_model(run_.folder, "", at::kFloat, run_.device);
    const ds::TextToImage pipeline(model.denoiser, model.scheduler, model.decode, run_.device);
    ds::SampleOptions options;
    options.n_steps = kSteps;
    options.guidance = kGuidance;
    options.latent_height = options.latent_width = model.latent_size;
    options.camera = ds::orbit_cameras(config_.n_views, kElevation, kFront);
    std::vector<at::Tensor> rows;
    const int64_t n = static_cast<int64_t>(config_.captions.size());
    for (int64_t i = 0; i < n; ++i) {
      options.seed = config_.seed + static_cast<uint64_t>(i);
      const auto views = pipeline(text.slice(0, i, i + 1), text.slice(0, n, n + 1), options);  // [V,3,R,R]
      rows.push_back(views.permute({2, 0, 3, 1}).reshape({views.size(2), -1, 3}));
    }
    const auto sheet = at::cat(rows).contiguous();
    io::ImageF image(static_cast<int>(sheet.size(1)), static_cast<int>(sheet.size(0)), 3);
    std::copy_n(sheet.data_ptr<float>(), image.pixels.size(), image.pixels.begin());
    io::write_png(run_.folder + "/samples.png", io::to_8bit(image), io::ReadBack::Yes);
  }

  UNetTraining config_;
  TrainingRun run_;
  at::ScalarType dtype_;
  ds::Autoencoder vae_;
  LatentSet source_;
  ds::Weights unet_weights_, text_weights_;
  ds::UNet unet_;
  ds::ClipTextModel text_;
  ds::NoiseSchedule schedule_;
  optim::AveragedAdamW adam_;
  ops::DeviceGraph step_;
};

}  // namespace

void check_batch(const UNetTraining& c, int n_processes) {
  const int64_t share = batch_share(c, n_processes);
  if (share % c.n_views != 0)
    throw UserError(cat(
        "batch is ", share, n_processes > 1 ? " in each process" : "", ", expected a multiple of n_views (",
        c.n_views, "). Use batch=", c.n_views * n_processes * std::max<int64_t>(1, share / c.n_views), "."));
}

UNetReport train_unet(const UNetTraining& config, const TrainingRun& run) {
  return UNetTrainer(config, run)();
}

}  // namespace t3d::prior
