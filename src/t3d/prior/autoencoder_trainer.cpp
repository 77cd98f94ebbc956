#include "t3d/prior/autoencoder_trainer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "t3d/core/atomic_file.h"
#include "t3d/core/config/struct_io.h"
#include "t3d/core/error.h"
#include "t3d/core/rng.h"
#include "t3d/diffusion/autoencoder.h"
#include "t3d/io/image.h"
#include "t3d/io/json_file.h"
#include "t3d/io/safetensors.h"
#include "t3d/prior/view_set.h"

namespace t3d::prior {
namespace {

namespace fs = std::filesystem;
namespace ds = t3d::diffusion;

constexpr uint64_t kPictureStream = 0xba7;

ds::AutoencoderConfig model_config(const AutoencoderTraining& c) {
  ds::AutoencoderConfig model;
  model.latent_channels = c.latent_channels;
  model.block_channels.assign(c.block_channels.begin(), c.block_channels.end());
  if (model.block_channels.empty()) throw UserError("block_channels is empty, expected at least one width.");
  for (const int width : c.block_channels)
    if (width < 1 || width % c.norm_groups != 0)
      throw UserError(
          cat("block_channels has ", width, ", expected multiples of norm_groups (", c.norm_groups, ")."));
  model.layers_per_block = c.layers_per_block;
  model.norm_groups = c.norm_groups;
  model.scaling_factor = 1;  // measured in the end
  return model;
}

/// Views and backgrounds of a step, a function of seed and step.
std::pair<at::Tensor, at::Tensor> draw_batch(const ViewSet& views, int64_t n, uint64_t seed, int64_t step) {
  Rng rng(seed, kPictureStream + (static_cast<uint64_t>(step) << 16));
  auto index = at::empty({n}, at::kLong);
  auto grey = at::empty({n}, at::kFloat);
  const auto n_pictures = static_cast<uint32_t>(views.n_objects() * views.n_views());
  for (int64_t i = 0; i < n; ++i) {
    index.data_ptr<int64_t>()[i] = rng.below(n_pictures);
    grey.data_ptr<float>()[i] = rng.uniform(kDarkestGrey, 1);
  }
  return {index, grey};
}

/// [B,3,R,R] in [-1,1] -> one row of pictures.
at::Tensor strip(const at::Tensor& x) {
  return (x * 0.5 + 0.5).clamp(0, 1).permute({2, 0, 3, 1}).reshape({x.size(2), -1, 3}).cpu();  // [R,B R,3]
}

void write_strips(const std::string& path, const at::Tensor& truth, const at::Tensor& made) {
  const auto both = at::cat({strip(truth), strip(made)}).contiguous();
  io::ImageF image(static_cast<int>(both.size(1)), static_cast<int>(both.size(0)), 3);
  std::copy_n(both.data_ptr<float>(), image.pixels.size(), image.pixels.begin());
  io::write_png(path, io::to_8bit(image), io::ReadBack::Yes);
}

class AutoencoderTrainer {
 public:
  AutoencoderTrainer(const AutoencoderTraining& config, const TrainingRun& run)
      : config_(config),
        run_(run),
        model_config_(model_config(config)),
        views_(config.data, run.device),
        weights_(ds::Weights::random(config.seed, at::kFloat, run.device)),
        model_(model_config_, weights_),
        adam_(weights_.parameters(), {0.9, 0.99, 1e-8, config.weight_decay, 1, config.ema_decay}) {
    if (views_.resolution() % model_config_.reduction() != 0)
      throw UserError(cat("the pictures are ", views_.resolution(), " pixels wide, expected a multiple of ",
                          model_config_.reduction(), "."));
  }

  AutoencoderReport operator()() {
    const auto loop = run_training("autoencoder", config::write_yaml(config::write_struct(config_)), config_,
                                   run_, adam_, [this](int64_t draw) { return loss_of(draw); });
    AutoencoderReport report;
    report.steps = loop.steps;
    report.finished = loop.finished;
    if (report.finished && run_.group->is_first()) {
      write_model();
      report.psnr = measure();
    }
    return report;
  }

 private:
  at::Tensor loss_of(int64_t draw) const {
    const auto [index, grey] = draw_batch(views_, batch_share(config_, run_), config_.seed, draw);
    const auto truth = views_.pictures(index, grey);
    at::manual_seed(config_.seed * 1000003 + static_cast<uint64_t>(draw));
    const auto posterior = model_.encode(truth);
    const auto made = model_.decode(posterior.sample(at::randn_like(posterior.mean)));
    const auto difference = made - truth;
    const auto divergence =
        0.5 * (posterior.mean.square() + posterior.logvar.exp() - 1 - posterior.logvar).sum() / truth.numel();
    return difference.abs().mean() + config_.mse_weight * difference.square().mean() +
           config_.kl_weight * divergence;
  }

  /// The averaged weights, with latents scaled to a standard deviation of one.
  void write_model() {
    const c10::NoGradGuard no_grad;
    std::map<std::string, at::Tensor> halves;
    for (const auto& [name, tensor] : adam_.averaged()) halves.emplace(name, tensor.to(at::kHalf).cpu());
    const ds::Autoencoder model = reopened(halves, model_config_);
    const auto [index, grey] = draw_batch(views_, 128, config_.seed + 1, 0);
    std::vector<at::Tensor> latents;
    for (int64_t i = 0; i < 128; i += 16)
      latents.push_back(
          model.encode(views_.pictures(index.slice(0, i, i + 16), grey.slice(0, i, i + 16))).mean);
    model_config_.scaling_factor = 1 / at::cat(latents).std().item<double>();
    const std::string folder = run_.folder + "/vae";
    make_folders(folder);
    io::write_safetensors(folder + "/diffusion_pytorch_model.safetensors", halves, {{"format", "pt"}});
    io::write_json_file(folder + "/config.json", ds::autoencoder_config_json(model_config_));
  }

  ds::Autoencoder reopened(const std::map<std::string, at::Tensor>& tensors,
                           const ds::AutoencoderConfig& c) const {
    const auto weights = ds::Weights::from_tensors(tensors, at::kFloat, run_.device);
    ds::Autoencoder model(c, weights);
    weights.check();
    return model;
  }

  /// Of the files that were written.
  double measure() const {
    const c10::NoGradGuard no_grad;
    const std::string folder = run_.folder + "/vae";
    const io::SafetensorsFile file(folder + "/diffusion_pytorch_model.safetensors");
    std::map<std::string, at::Tensor> tensors;
    for (const std::string& name : file.names()) tensors.emplace(name, file.copy(name));
    const ds::Autoencoder model = reopened(tensors, ds::read_autoencoder_config(folder + "/config.json"));
    const bool has_val = !config_.val_data.empty();
    const ViewSet other(has_val ? config_.val_data : config_.data, run_.device);
    const int64_t n_all = other.n_objects() * other.n_views(),
                  n = std::min<int64_t>(config_.val_images, n_all);
    double sum = 0;
    for (int64_t i = 0; i < n; i += 16) {
      const int64_t m = std::min<int64_t>(16, n - i);
      const auto truth =
          other.pictures(at::arange(n_all - n + i, n_all - n + i + m), at::linspace(kDarkestGrey, 1, m));
      const auto made = model.decode(model.encode(truth).mean).clamp(-1, 1);
      const auto mse = ((made - truth) / 2).square().mean({1, 2, 3});
      sum += (-10 * mse.log10()).sum().item<double>();
      if (i == 0)
        write_strips(run_.folder + "/reconstructions.png", truth.slice(0, 0, 12), made.slice(0, 0, 12));
    }
    return sum / static_cast<double>(n);
  }

  AutoencoderTraining config_;
  TrainingRun run_;
  ds::AutoencoderConfig model_config_;
  ViewSet views_;
  ds::Weights weights_;
  ds::Autoencoder model_;
  optim::AveragedAdamW adam_;
};

}  // namespace

AutoencoderReport train_autoencoder(const AutoencoderTraining& config, const TrainingRun& run) {
  return AutoencoderTrainer(config, run)();
}

}  // namespace t3d::prior
