#include "t3d/prior/training_loop.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "t3d/core/interrupt.h"
#include "t3d/core/log.h"
#include "t3d/core/progress.h"
#include "t3d/train/checkpoint.h"
#include "t3d/train/metrics.h"

namespace t3d::prior {
namespace {

constexpr int64_t kMostSkips = 20, kLogEvery = 50;

/// A run's place in its folder: what a checkpoint holds beside the optimizer.
class Keeper {
 public:
  Keeper(std::string kind, std::string settings, std::string folder, Adam& adam)
      : kind_(std::move(kind)), settings_(std::move(settings)), folder_(std::move(folder)), adam_(adam) {}

  void save(int64_t n_skipped) const {
    train::Checkpoint checkpoint;
    checkpoint.step = adam_.n_steps();
    checkpoint.tensors = adam_.state();
    checkpoint.state = {
        {"kind", kind_}, {"step", checkpoint.step}, {"skipped", n_skipped}, {"config", settings_}};
    train::save_checkpoint(folder_ + "/ckpts", checkpoint.step, checkpoint, {2});
  }

  /// The number of steps that had been skipped.
  int64_t restore() const {
    const auto found = train::find_checkpoint(folder_ + "/ckpts");
    const auto checkpoint = train::load_checkpoint(found.path);
    if (checkpoint.state.value("kind", "") != kind_)
      throw UserError(
          cat(found.path, ": is not the checkpoint of a training of ", kind_, ". Name another run folder."));
    if (checkpoint.state.at("config") != settings_)
      throw UserError(cat(found.path, ": was written with another configuration. Repeat it: see ", folder_,
                          "/configs/parsed.yaml."));
    adam_.restore(checkpoint.tensors, checkpoint.step);
    log::info(cat("going on from ", found.path));
    return checkpoint.state.value("skipped", int64_t{0});
  }

 private:
  std::string kind_, settings_, folder_;
  Adam& adam_;
};

}  // namespace

double learning_rate_at(const LoopConfig& c, int64_t step) {
  const double warm = c.warmup > 0 ? std::min(1.0, static_cast<double>(step + 1) / c.warmup) : 1;
  const double done = static_cast<double>(step) / c.steps;
  return c.learning_rate * warm *
         (c.final_rate_share + (1 - c.final_rate_share) * 0.5 * (1 + std::cos(M_PI * done)));
}

LoopReport run_training(const std::string& kind, const std::string& settings, const LoopConfig& config,
                        const TrainingRun& run, Adam& adam, const LossOf& loss_of) {
  const Keeper keeper(kind, settings, run.folder, adam);
  int64_t n_skipped = run.resume ? keeper.restore() : 0, n_in_a_row = 0;
  train::Metrics metrics(run.folder, run.resume ? std::optional<int64_t>(adam.n_steps()) : std::nullopt);
  const auto begin = std::chrono::steady_clock::now();
  const auto time_is_up = [&] {
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    return run.time_limit > 0 && spent.count() > run.time_limit;
  };
  Progress progress("train", config.steps);
  while (adam.n_steps() < config.steps && !time_is_up()) {
    if (interrupt_requested()) {
      keeper.save(n_skipped);
      throw_if_interrupted("the checkpoint is saved; --resume goes on");
    }
    const int64_t step = adam.n_steps();
    const c10::AutoGradMode with_grad(true);
    const at::Tensor loss = loss_of(step + (n_skipped << 40));
    if (loss.requires_grad()) loss.backward();
    const double rate = learning_rate_at(config, step), norm = adam.step(rate);
    if (!std::isfinite(norm)) {
      if (++n_in_a_row > kMostSkips)
        throw UserError(cat("step ", step, ": the gradient is not finite. Lower learning_rate."));
      ++n_skipped;
      continue;
    }
    n_in_a_row = 0;
    if (step % kLogEvery == 0) {
      const double value = loss.item<double>();
      metrics.log(step,
                  {{"train/loss", value}, {"train/gradient_norm", norm}, {"train/learning_rate", rate}});
      progress.update(step + 1, cat("loss ", value));
    }
    if ((step + 1) % config.checkpoint_every == 0) keeper.save(n_skipped);
  }
  progress.finish();
  keeper.save(n_skipped);
  metrics.flush();
  return {adam.n_steps() >= config.steps, adam.n_steps()};
}

}  // namespace t3d::prior
