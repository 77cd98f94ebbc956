#include "t3d/prior/training_loop.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "t3d/core/error.h"
#include "t3d/core/interrupt.h"
#include "t3d/core/log.h"
#include "t3d/core/progress.h"
#include "t3d/optim/learning_rate.h"
#include "t3d/train/checkpoint.h"
#include "t3d/train/metrics.h"

namespace t3d::prior {
namespace {

constexpr int64_t kMostSkips = 20, kLogEvery = 50, kAskEvery = 10;

/// A configuration's text without the line that says how many steps there are: a run may be made longer.
std::string without_steps(const std::string& settings) {
  const std::string key = "\nsteps:";
  const size_t begin = ("\n" + settings).find(key);
  if (begin == std::string::npos) return settings;
  return settings.substr(0, begin) + settings.substr(std::min(settings.size(), settings.find('\n', begin)));
}

/// A run's place in its folder: what a checkpoint holds beside the optimizer.
class Keeper {
 public:
  Keeper(std::string kind, std::string settings, std::string folder, optim::AveragedAdamW& adam)
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
    if (without_steps(checkpoint.state.at("config")) != without_steps(settings_))
      throw UserError(cat(found.path, ": was written with another configuration. Repeat it: see ", folder_,
                          "/configs/parsed.yaml."));
    adam_.restore(checkpoint.tensors, checkpoint.step);
    log::info(cat("going on from ", found.path));
    return checkpoint.state.value("skipped", int64_t{0});
  }

 private:
  std::string kind_, settings_, folder_;
  optim::AveragedAdamW& adam_;
};

/// Whether to leave before the last step: the same answer in all processes, which ask each other at every
/// tenth call, for that costs a message.
class StopSign {
 public:
  explicit StopSign(const TrainingRun& run) : run_(run), begin_(std::chrono::steady_clock::now()) {}

  void ask() {
    const bool first = run_.group->is_first();
    double time_is_up = first && is_late() ? 1 : 0, interrupted = run_.control.stop.stop_requested() ? 1 : 0;
    if (run_.group->size() > 1) {
      if (n_calls_++ % kAskEvery != 0) return;
      auto flags = at::tensor({time_is_up, interrupted}, at::kFloat).to(run_.device);
      run_.group->average(flags);
      flags = flags.cpu();
      time_is_up = flags[0].item<double>();
      interrupted = flags[1].item<double>();
    }
    time_is_up_ = time_is_up > 0;
    interrupted_ = interrupted > 0;
  }
  bool time_is_up() const { return time_is_up_; }
  bool interrupted() const { return interrupted_; }

 private:
  bool is_late() const {
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin_;
    return run_.time_limit > 0 && spent.count() > run_.time_limit;
  }

  const TrainingRun& run_;
  std::chrono::steady_clock::time_point begin_;
  int64_t n_calls_ = 0;
  bool time_is_up_ = false, interrupted_ = false;
};

/// Rank 0's weights, moments and averages, and its place in the run.
int64_t share_state(distributed::ProcessGroup& group, c10::Device device, optim::AveragedAdamW& adam,
                    int64_t n_skipped) {
  if (group.size() == 1) return n_skipped;
  const auto counts = at::tensor({adam.n_steps(), n_skipped}, at::kLong).to(device);
  group.broadcast({counts});
  const auto state = adam.state();
  std::vector<at::Tensor> tensors;
  for (const auto& entry : state) tensors.push_back(entry.second);
  group.broadcast(tensors);
  adam.restore(state, counts[0].item<int64_t>());
  return counts[1].item<int64_t>();
}

/// The row of metrics of the last step: due every kLogEvery steps, and when the loop is left. Reading the
/// loss waits for the device, and for the other processes, which all log at the same steps.
class LastStep {
 public:
  LastStep(distributed::ProcessGroup& group, train::Metrics* metrics, int64_t n_before)
      : group_(group), metrics_(metrics), done_(n_before), logged_(n_before) {}

  void set(int64_t done, at::Tensor loss, double norm, double rate) {
    done_ = done, loss_ = std::move(loss), norm_ = norm, rate_ = rate;
  }
  /// Once for each step.
  void log() {
    if (logged_ == done_) return;
    logged_ = done_;
    group_.average(loss_);
    const double value = loss_.item<double>();
    if (metrics_ != nullptr)
      metrics_->log(done_,
                    {{"train/loss", value}, {"train/gradient_norm", norm_}, {"train/learning_rate", rate_}});
    note_ = cat("loss ", value);
  }
  const std::string& note() const { return note_; }

 private:
  distributed::ProcessGroup& group_;
  train::Metrics* metrics_;
  int64_t done_, logged_;  ///< steps
  at::Tensor loss_;
  double norm_ = 0, rate_ = 0;
  std::string note_;
};

}  // namespace

int64_t batch_share(const LoopConfig& config, int n_processes) {
  const int n = n_processes, batch = config.batch;
  if (batch % n != 0)
    throw UserError(cat("batch is ", batch, ", expected a multiple of the ", n, " processes. Use batch=",
                        std::max(1, batch / n) * n, ", or another number of processes."));
  return batch / n;
}

int64_t batch_share(const LoopConfig& config, const TrainingRun& run) {
  return batch_share(config, run.group->size());
}

LoopReport run_training(const std::string& kind, const std::string& settings, const LoopConfig& config,
                        const TrainingRun& run, optim::AveragedAdamW& adam, const LossOf& loss_of) {
  distributed::ProcessGroup& group = *run.group;
  const Keeper keeper(kind, settings, run.folder, adam);
  int64_t n_skipped = run.resume && group.is_first() ? keeper.restore() : 0, n_in_a_row = 0;
  n_skipped = share_state(group, run.device, adam, n_skipped);
  std::optional<train::Metrics> metrics;
  if (group.is_first())
    metrics.emplace(run.folder, run.resume ? std::optional<int64_t>(adam.n_steps()) : std::nullopt);
  const auto save = [&] {
    if (metrics) metrics->flush();
    if (group.is_first()) keeper.save(n_skipped);
  };
  const auto learning_rate = optim::LearningRate::warm_up_cosine(config.warmup, config.final_rate_share);
  StopSign stop(run);
  Progress progress("train", config.steps, run.control.shows_progress);
  progress.start_at(adam.n_steps());
  LastStep last(group, metrics ? &*metrics : nullptr, adam.n_steps());
  while (adam.n_steps() < config.steps) {
    stop.ask();
    if (stop.time_is_up()) break;
    if (stop.interrupted()) {
      last.log();
      save();
      group.close();
      throw Interrupted(cat("the work up to step ", adam.n_steps(), " is saved in ", run.folder, "/ckpts"));
    }
    const int64_t step = adam.n_steps();
    const c10::AutoGradMode with_grad(true);
    at::Tensor loss = loss_of(step * group.size() + group.rank() + (n_skipped << 40));
    if (loss.requires_grad()) loss.backward();
    group.average(adam.gradients());
    const double done = static_cast<double>(step) / config.steps;
    const double rate = learning_rate.at(config.learning_rate, {step, done}), norm = adam.step(rate);
    if (!std::isfinite(norm)) {
      if (++n_in_a_row > kMostSkips)
        throw UserError(cat("step ", step, ": the gradient is not finite. Lower learning_rate."));
      ++n_skipped;
      continue;
    }
    n_in_a_row = 0;
    last.set(step + 1, loss.detach().clone(), norm, rate);
    if ((step + 1) % kLogEvery == 0 || step == 0) last.log();
    progress.update(step + 1, last.note());
    if ((step + 1) % config.checkpoint_every == 0) save();
  }
  last.log();
  progress.finish(last.note());
  save();
  group.close();
  return {adam.n_steps() >= config.steps, adam.n_steps()};
}

}  // namespace t3d::prior
