// The part of a run that trains: what one step of it is to the loop.

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <numeric>

#include "t3d/core/clock.h"
#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/ops/device_memory.h"
#include "t3d/run/loop.h"
#include "t3d/system/run.h"
#include "t3d/train/checkpoint.h"

namespace t3d::system {
namespace {

constexpr int64_t kMostBadSteps = 20;
constexpr double kLowerRate = 0.5;

/// Reads scalars on any devices by waiting once.
std::vector<double> read_scalars(const std::vector<at::Tensor>& scalars, c10::Device device) {
  std::vector<at::Tensor> flat;
  for (const auto& s : scalars) flat.push_back(s.to(device, at::kDouble).reshape({1}));
  const auto values = at::cat(flat).cpu();
  return {values.data_ptr<double>(), values.data_ptr<double>() + values.numel()};
}

}  // namespace

/// An optimizer step, of one batch or several.
class Run::FitStep : public run::Step {
 public:
  FitStep(Run& run, const FitHooks& hooks) : run_(run), hooks_(hooks), optimization_(*run.optimization_) {}

  int64_t n_done() const override { return run_.step_; }
  bool take(bool is_due) override;
  void record() override;
  void save(run::Keep keep) override { run_.save(keep); }
  void validate() override { run_.validate(); }
  std::string note() override { return note_; }
  std::string saved_work() const override { return saved_in(run_.experiment_.trial_dir); }
  void recover() override;

  /// The last row of metrics.
  const std::map<std::string, double>& last() const { return last_; }

 private:
  /// Leaves the gradients of the step's batches, added up. Returns the losses of the last one.
  StepLosses run_batches();
  /// One batch; again in smaller strips where the memory does not suffice.
  StepLosses run_batch(const data::CameraBatch& batch);
  /// Saves what is there and throws SystemError: the memory does not suffice for that.
  [[noreturn]] void give_up(const std::string& for_what);
  void skip();

  Run& run_;
  const FitHooks& hooks_;
  Optimization& optimization_;
  std::map<std::string, double> row_, last_;  // row_: of the step that is due, until it is recorded
  std::string note_, bad_name_;  // bad_name_: whose gradient is not finite; empty: the last one was
};

StepLosses Run::FitStep::run_batches() {
  const c10::AutoGradMode with_gradients(true);
  StepLosses losses;
  for (int64_t part = 0; part < run_.trainer_.accumulate_grad_batches; ++part) {
    const int64_t batch = run_.step_ * run_.trainer_.accumulate_grad_batches + part;
    run_.views_->update_step(run_.step_);
    run_.system_->update_step(run_.step_, /*is_training=*/true);
    losses = run_batch(run_.views_->train_batch(batch));
    if (!losses.guidance_picture.empty()) run_.write_guidance_picture(losses.guidance_picture);
  }
  return losses;
}

StepLosses Run::FitStep::run_batch(const data::CameraBatch& batch) {
  const double scale = 1 / static_cast<double>(run_.trainer_.accumulate_grad_batches);
  const int64_t n_rays = batch.n() * batch.height * batch.width;
  int64_t& max_rays = run_.trainer_.max_rays;
  // Earlier parts of the step keep their gradients whatever becomes of this one's.
  const auto earlier = optimization_.take_gradients();
  for (;;) {
    try {
      StepLosses losses = run_.system_->training_step(batch, run_.step_, scale, max_rays);
      optimization_.add_gradients(earlier);
      return losses;
    } catch (const UserError& e) {  // such as a surface that is gone: no work is lost by it
      if (run_.step_ == 0) throw;
      run_.save(run::Keep::Always);
      throw UserError(cat("step ", run_.step_, ": ", e.what(), " The work up to there is saved in ",
                          run_.experiment_.trial_dir, "/ckpts."));
    } catch (const std::exception& e) {
      if (!ops::is_out_of_memory(e)) throw;
    }
    // Beyond the handler, so that nothing of the attempt is held any more.
    optimization_.clear_gradients();
    if (!run_.system_->can_render_strips())
      give_up("the images of a step. " + run_.system_->way_to_less_memory());
    const int64_t now = max_rays > 0 ? std::min(max_rays, n_rays) : n_rays;
    if (now / 2 < batch.width)
      give_up(cat(n_rays, " rays, even in strips of ", now, ". ", run_.system_->way_to_less_memory()));
    max_rays = now / 2;
    log::warning(cat("step ", run_.step_, ": out of memory; rendering at most ", max_rays,
                     " rays at once from here on (trainer.max_rays)."));
  }
}

void Run::FitStep::give_up(const std::string& for_what) {
  // The parameters are still those of the last whole step.
  if (run_.step_ > 0) run_.save(run::Keep::Always);
  throw SystemError(cat(
      "step ", run_.step_, ": the memory", run_.system_->context().device.is_cuda() ? " of the device" : "",
      " does not suffice for ", for_what,
      run_.step_ > 0 ? cat("; the checkpoint is saved, and ", run_.go_on_, " goes on from it.") : "."));
}

bool Run::FitStep::take(bool is_due) {
  const StepLosses losses = run_batches();

  // The one point of a step that waits for the device.
  std::vector<std::string> names = {"gradient_norm", "loss"};
  std::vector<at::Tensor> scalars = {optimization_.gradient_norm(), losses.total.detach()};
  const at::Tensor own_norm = optimization_.own_gradient_norm();
  if (own_norm.defined()) names.push_back("own_gradient_norm"), scalars.push_back(own_norm);
  if (is_due)
    for (const auto& [name, value] : losses.metrics) names.push_back(name), scalars.push_back(value);
  const std::vector<double> values = read_scalars(scalars, run_.system_->context().device);
  if (is_due) {
    for (size_t i = 0; i < names.size(); ++i) row_["train/" + names[i]] = values[i];
    for (const auto& [name, value] : losses.lambdas) row_["train_params/" + name] = value;
  }
  if (own_norm.defined()) optimization_.step_own(run_.step_, values[2]);
  const bool is_finite = std::isfinite(values[0]);
  if (is_finite) {
    const auto rates = optimization_.step(run_.step_, values[0], run_.trainer_.gradient_clip_val);
    if (is_due)
      for (const auto& [group, rate] : rates) row_["lr/" + group] = rate;
    bad_name_.clear();
  } else {
    skip();
  }
  ++run_.step_;
  return is_finite;
}

void Run::FitStep::skip() {
  ++run_.n_skipped_;
  const bool is_first = bad_name_.empty();
  bad_name_ = optimization_.first_bad_gradient();
  optimization_.clear_gradients();
  if (is_first)
    log::warning(
        cat("step ", run_.step_, ": the gradient of ", bad_name_, " is not finite; the step is skipped."));
}

void Run::FitStep::record() {
  if (row_.empty()) return;
  run_.metrics_->log(run_.step_, row_);
  if (hooks_.on_metrics) hooks_.on_metrics(row_);
  note_ = cat("loss ", row_["train/loss"]);
  last_ = std::move(row_);
  row_.clear();
}

void Run::FitStep::recover() {
  const std::string folder = run_.experiment_.trial_dir + "/ckpts";
  row_.clear();
  if (optimization_.rate_factor() != 1 || !train::latest_intact(folder))
    throw UserError(
        cat("step ", run_.step_ - 1, ": the gradient of ", bad_name_, " was not finite in ", kMostBadSteps,
            " steps in a row (", run_.n_skipped_,
            " in all). Lower the learning rate, or the weight of the term that is not finite: see ",
            run_.metrics_->csv_path(), "."));
  const int64_t n_skipped = run_.n_skipped_;
  run_.restore(folder, &optimization_);
  run_.n_skipped_ = n_skipped;
  optimization_.set_rate_factor(kLowerRate);
  bad_name_.clear();
  log::warning(cat(kMostBadSteps, " steps in a row had no finite gradient: going back to step ", run_.step_,
                   " with half the learning rate."));
}

FitReport Run::fit(const FitHooks& hooks) {
  prepare_fit();
  go_on_ = hooks.go_on;
  metrics_ = std::make_unique<train::Metrics>(
      experiment_.trial_dir, experiment_.resume ? std::optional<int64_t>(step_) : std::nullopt);
  const double began = now_s();
  if (trainer_.num_sanity_val_steps != 0 && step_ == 0)
    write_validation(trainer_.num_sanity_val_steps < 0 ? views_->n_val_views()
                                                       : trainer_.num_sanity_val_steps);
  run::Policy policy;
  policy.n_steps = trainer_.max_steps;
  policy.should_stop = [&](int64_t done) {  // max_steps may be 0, which is no limit to the loop
    return done >= trainer_.max_steps || (hooks.should_stop && hooks.should_stop(done));
  };
  policy.after_step = hooks.after_step;
  policy.record_every = trainer_.log_every_n_steps;
  policy.save_every = checkpoint_.save_top_k != 0 ? checkpoint_.every_n_train_steps : 0;
  policy.save_every_s = checkpoint_.every_n_seconds;
  // The first parameters are no work to be kept.
  policy.saves_at_end = checkpoint_.save_last && (step_ > 0 || !policy.should_stop(0));
  if (const auto every = trainer_.val_check_interval)  // which counts batches
    policy.validate_every = *every / std::gcd(*every, trainer_.accumulate_grad_batches);
  policy.most_bad_in_a_row = kMostBadSteps - 1;
  policy.control = control_;
  policy.device = system_->context().device;
  if (policy.device.is_cuda())
    policy.device_bytes = [device = policy.device] { return ops::device_bytes(device); };
  FitStep step(*this, hooks);
  run::Loop(step, policy).run();
  metrics_->flush();
  return {step_, n_skipped_, now_s() - began, step.last()};
}

}  // namespace t3d::system
