#include "t3d/prior/training_loop.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/optim/learning_rate.h"
#include "t3d/run/loop.h"
#include "t3d/train/checkpoint.h"
#include "t3d/train/metrics.h"

namespace t3d::prior {
namespace {

constexpr int64_t kMostSkips = 20, kLogEvery = 50;

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

/// One step of this process's share of a batch, and what is kept of it.
class PriorStep : public run::Step {
 public:
  PriorStep(const Keeper& keeper, const LoopConfig& config, const TrainingRun& run,
            optim::AveragedAdamW& adam, const LossOf& loss_of, int64_t n_skipped)
      : keeper_(keeper),
        config_(config),
        run_(run),
        adam_(adam),
        loss_of_(loss_of),
        learning_rate_(optim::LearningRate::warm_up_cosine(config.warmup, config.final_rate_share)),
        n_skipped_(n_skipped) {
    if (run.group->is_first())
      metrics_.emplace(run.folder, run.resume ? std::optional<int64_t>(adam.n_steps()) : std::nullopt);
  }

  int64_t n_done() const override { return adam_.n_steps(); }

  bool take(bool /*is_due*/) override {
    distributed::ProcessGroup& group = *run_.group;
    const int64_t step = adam_.n_steps();
    const c10::AutoGradMode with_grad(true);
    at::Tensor loss = loss_of_(step * group.size() + group.rank() + (n_skipped_ << 40));
    if (loss.requires_grad()) loss.backward();
    group.average(adam_.gradients());
    const double done = static_cast<double>(step) / config_.steps;
    const double rate = learning_rate_.at(config_.learning_rate, {step, done}), norm = adam_.step(rate);
    if (!std::isfinite(norm)) {
      ++n_skipped_;
      return false;
    }
    loss_ = loss.detach().clone();
    norm_ = norm;
    rate_ = rate;
    return true;
  }

  /// Reading the loss waits for the device, and for the other processes, which all record the same steps.
  void record() override {
    run_.group->average(loss_);
    const double value = loss_.item<double>();
    if (metrics_)
      metrics_->log(adam_.n_steps(),
                    {{"train/loss", value}, {"train/gradient_norm", norm_}, {"train/learning_rate", rate_}});
    note_ = cat("loss ", value);
  }

  void save(run::Keep /*keep*/) override {
    if (metrics_) metrics_->flush();
    if (run_.group->is_first()) keeper_.save(n_skipped_);
  }

  std::string note() override { return note_; }

  std::string saved_work() const override { return saved_in(run_.folder); }

  void recover() override {
    throw UserError(cat("step ", adam_.n_steps(), ": the gradient is not finite. Lower learning_rate."));
  }

 private:
  const Keeper& keeper_;
  const LoopConfig& config_;
  const TrainingRun& run_;
  optim::AveragedAdamW& adam_;
  const LossOf& loss_of_;
  const optim::LearningRate learning_rate_;
  std::optional<train::Metrics> metrics_;  // of the first process
  int64_t n_skipped_;                      // steps without a finite gradient, of the whole run
  at::Tensor loss_;                        // of the last step, a scalar
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
  const Keeper keeper(kind, settings, run.folder, adam);
  int64_t n_skipped = run.resume && run.group->is_first() ? keeper.restore() : 0;
  n_skipped = share_state(*run.group, run.device, adam, n_skipped);
  PriorStep step(keeper, config, run, adam, loss_of, n_skipped);
  run::Policy policy;
  policy.n_steps = config.steps;
  policy.time_limit_s = run.time_limit;
  policy.record_every = kLogEvery;
  policy.records_first = true;
  policy.save_every = config.checkpoint_every;
  policy.most_bad_in_a_row = kMostSkips;
  policy.control = run.control;
  policy.group = run.group;
  policy.device = run.device;
  const run::Report report = run::Loop(step, policy).run();
  return {report.is_finished, report.n_done};
}

}  // namespace t3d::prior
