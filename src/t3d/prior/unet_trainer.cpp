#include "t3d/prior/unet_trainer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "t3d/core/atomic_file.h"
#include "t3d/core/config/struct_io.h"
#include "t3d/core/error.h"
#include "t3d/core/rng.h"
#include "t3d/diffusion/autoencoder.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/diffusion/pipeline.h"
#include "t3d/diffusion/text_encoder.h"
#include "t3d/diffusion/tokenizer.h"
#include "t3d/diffusion/unet.h"
#include "t3d/diffusion/view_cameras.h"
#include "t3d/io/image.h"
#include "t3d/io/json_file.h"
#include "t3d/io/safetensors.h"
#include "t3d/prior/text_tokens.h"
#include "t3d/prior/view_set.h"

namespace t3d::prior {
namespace {

namespace fs = std::filesystem;
namespace ds = t3d::diffusion;
using nlohmann::json;

constexpr uint64_t kBatchStream = 0x07e7;
constexpr float kDarkestGrey = 0.35f;
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

/// [N,V,4,4] camera to world -> [N V,16], the distance to the origin made one, as MVDream takes cameras.
at::Tensor unit_cameras(const at::Tensor& camera_to_world) {
  auto out = camera_to_world.reshape({-1, 4, 4}).clone();
  auto place = out.slice(1, 0, 3).select(2, 3);  // [N V,3]
  place.div_(place.norm(2, 1, true).clamp_min(1e-8));
  return out.reshape({-1, 16});
}

ds::Autoencoder open_vae(const std::string& folder, at::ScalarType dtype, c10::Device device) {
  const auto weights = ds::Weights::from(ds::safetensors_source(ds::find_weights(folder)), dtype, device);
  ds::Autoencoder vae(ds::read_autoencoder_config(folder + "/config.json"), weights);
  weights.check();
  return vae;
}

/// What the networks see of one batch, on the device.
struct Batch {
  at::Tensor latents;    // [B,C,h,w]
  at::Tensor camera;     // [B,16], or undefined
  at::Tensor text_rows;  // [objects,L]
  int64_t n_views = 1;   // rows of each object
  at::Tensor timesteps;  // [B]
};

/// Captioned views with their tokens and cameras.
class Source {
 public:
  Source(const std::string& folder, const std::string& tokenizer, c10::Device device)
      : views(folder, device),
        table(tokenize(tokenizer, views.captions())),
        cameras(unit_cameras(views.camera_to_world()).to(device)) {
    table.ids = table.ids.to(device);
  }
  ViewSet views;
  TokenTable table;
  at::Tensor cameras;  // [N V,16]
};

class Trainer {
 public:
  Trainer(const UNetTraining& config, const TrainingRun& run)
      : config_(config),
        run_(run),
        dtype_(config.bf16 && run.device.is_cuda() ? at::kBFloat16 : at::kFloat),
        vae_(open_vae(config.vae, dtype_, run.device)),
        source_(config.data, prepared_tokenizer(), run.device),
        unet_weights_(weights_of("unet")),
        text_weights_(weights_of("text_encoder")),
        unet_(checked_config(), unet_weights_),
        text_(ds::ClipTextConfig::from_json(text_json(), "the configuration"),
              text_weights_.at("text_model")),
        schedule_(schedule().to(run.device)),
        adam_(parameters(), {0.9, 0.99, 1e-8, config.weight_decay, 1, config.ema_decay}) {
    unet_weights_.check();
    text_weights_.check();
    unet_.compute_type = dtype_;
    if (config.batch % config.n_views != 0)
      throw UserError(
          cat("batch is ", config.batch, ", expected a multiple of n_views (", config.n_views, ")."));
    if (source_.views.n_views() < config.n_views)
      throw UserError(cat(config.data, ": has ", source_.views.n_views(),
                          " views of an object, expected at least ", config.n_views, " (n_views)."));
  }

  UNetReport operator()() {
    const auto loop = run_training("unet", config::write_yaml(config::write_struct(config_)), config_, run_,
                                   adam_, [this](int64_t draw) { return loss_of(draw); });
    write_model();
    UNetReport report{loop.finished, loop.steps, 0};
    if (!config_.val_data.empty()) report.val_loss = measure();
    if (!config_.captions.empty()) write_samples();
    return report;
  }

 private:
  std::string tokenizer_folder() const { return run_.folder + "/tokenizer"; }

  std::string prepared_tokenizer() const {
    if (fs::exists(tokenizer_folder() + "/tokenizer_config.json")) return tokenizer_folder();
    if (!config_.init.empty())
      copy_folder(config_.init + "/tokenizer", tokenizer_folder());
    else
      write_tokenizer(tokenizer_folder(), ViewSet(config_.data, c10::kCPU).captions(), config_.text_length,
                      config_.most_merges);
    return tokenizer_folder();
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
    const int64_t reduction = vae_.config().reduction(), side = source_.views.resolution();
    if (side % (reduction << (config_.block_channels.size() - 1)) != 0)
      throw UserError(cat("the pictures are ", side, " pixels wide, expected a multiple of ",
                          reduction << (config_.block_channels.size() - 1), "."));
    return unet_config(config_, vae_.config().latent_channels, side / reduction);
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

  /// A function of source, seed and draw.
  Batch draw_batch(const Source& source, int64_t n_pictures, uint64_t seed, int64_t draw,
                   bool learning) const {
    Rng rng(seed, kBatchStream + (static_cast<uint64_t>(draw) << 16));
    const bool single = learning && rng.uniform() < config_.single_view_share;
    const bool has_camera = !(single && rng.uniform() < config_.camera_dropout);
    Batch batch;
    batch.n_views = single ? 1 : config_.n_views;
    const int64_t n_objects = n_pictures / batch.n_views, stored = source.views.n_views();
    auto index = at::empty({n_pictures}, at::kLong), rows = at::empty({n_objects}, at::kLong),
         t = at::empty({n_pictures}, at::kLong);
    auto grey = at::empty({n_pictures}, at::kFloat);
    for (int64_t i = 0; i < n_objects; ++i) {
      const int64_t object = rng.below(static_cast<uint32_t>(source.views.n_objects()));
      const auto& first = source.table.first_row;
      const int64_t row = first[static_cast<size_t>(object)],
                    n_rows = first[static_cast<size_t>(object) + 1] - row;
      const bool empty = n_rows == 0 || (learning && rng.uniform() < config_.caption_dropout);
      rows.data_ptr<int64_t>()[i] =
          empty ? source.table.empty_row() : row + rng.below(static_cast<uint32_t>(n_rows));
      const float shade = rng.uniform(kDarkestGrey, 1);
      const int64_t time = rng.below(static_cast<uint32_t>(schedule_.n_steps()));
      const int64_t view = single ? rng.below(static_cast<uint32_t>(stored)) : 0;
      for (int64_t k = 0; k < batch.n_views; ++k) {
        const int64_t to = i * batch.n_views + k;
        index.data_ptr<int64_t>()[to] = object * stored + view + k;
        grey.data_ptr<float>()[to] = shade;
        t.data_ptr<int64_t>()[to] = time;
      }
    }
    batch.text_rows = source.table.ids.index_select(0, rows.to(run_.device));
    batch.timesteps = t.to(run_.device);
    if (has_camera) batch.camera = source.cameras.index_select(0, index.to(run_.device));
    at::manual_seed(seed * 1000003 + static_cast<uint64_t>(draw));
    const c10::NoGradGuard no_grad;
    const auto posterior = vae_.encode(source.views.pictures(index, grey));
    batch.latents = posterior.sample(at::randn_like(posterior.mean)) * vae_.config().scaling_factor;
    return batch;
  }

  at::Tensor loss_on(const Batch& b, const ds::UNet& unet, const ds::ClipTextModel& text) const {
    const auto words = text(b.text_rows).last_hidden_state.repeat_interleave(b.n_views, 0);  // [B,L,C]
    const auto noise = at::randn_like(b.latents);
    ds::UNetExtra extra;
    extra.camera = b.camera;
    extra.n_views = b.n_views;
    const auto made = unet(schedule_.add_noise(b.latents, noise, b.timesteps), b.timesteps, words, extra);
    return (made - schedule_.velocity(b.latents, noise, b.timesteps)).square().mean();
  }

  at::Tensor loss_of(int64_t draw) const {
    return loss_on(draw_batch(source_, config_.batch, config_.seed, draw, true), unet_, text_);
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
    const Source other(config_.val_data, tokenizer_folder(), run_.device);
    constexpr int64_t kObjects = 8;
    const int64_t n = (config_.val_objects + kObjects - 1) / kObjects;
    double sum = 0;
    for (int64_t i = 0; i < n; ++i)
      sum += loss_on(draw_batch(other, kObjects * config_.n_views, config_.seed + 1, i, false), unet, text)
                 .item<double>();
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
  Source source_;
  ds::Weights unet_weights_, text_weights_;
  ds::UNet unet_;
  ds::ClipTextModel text_;
  ds::NoiseSchedule schedule_;
  Adam adam_;
};

}  // namespace

UNetReport train_unet(const UNetTraining& config, const TrainingRun& run) {
  make_folders(run.folder + "/configs");
  return Trainer(config, run)();
}

}  // namespace t3d::prior
