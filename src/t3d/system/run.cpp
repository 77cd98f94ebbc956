#include "t3d/system/run.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "t3d/core/clock.h"
#include "t3d/core/error.h"
#include "t3d/core/interrupt.h"
#include "t3d/core/log.h"
#include "t3d/core/progress.h"
#include "t3d/core/remove_tree.h"
#include "t3d/ops/device_memory.h"
#include "t3d/system/mesh_exporter.h"
#include "t3d/system/saved_weights.h"
#include "t3d/system/start.h"
#include "t3d/train/checkpoint.h"

namespace t3d::system {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostBadSteps = 20;
constexpr double kLowerRate = 0.5;
const char *const kOptimizerPrefix = "optimizer.", *const kOwnPrefix = "own_optimizer.";

SystemContext with_seed(SystemContext context, int64_t seed) {
  context.seed = static_cast<uint64_t>(seed);
  return context;
}

/// Reads scalars on any devices by waiting once.
std::vector<double> read_scalars(const std::vector<at::Tensor>& scalars, c10::Device device) {
  std::vector<at::Tensor> flat;
  for (const auto& s : scalars) flat.push_back(s.to(device, at::kDouble).reshape({1}));
  const auto values = at::cat(flat).cpu();
  return {values.data_ptr<double>(), values.data_ptr<double>() + values.numel()};
}

}  // namespace

Run::Run(const Experiment& experiment, const SystemContext& context)
    : experiment_(experiment),
      trainer_(experiment.trainer_config()),
      checkpoint_(experiment.checkpoint_config()),
      control_(context.control) {
  control_.shows_progress = control_.shows_progress && trainer_.enable_progress_bar;
  views_ = data::camera_data().make(experiment.data_type, experiment.data, "data",
                                    {static_cast<uint64_t>(experiment.seed), context.device});
  SystemContext own = with_seed(context, experiment.seed);
  own.control = control_;
  system_ = systems().make(experiment.system_type, experiment.system, "system", own);
  learning_rate_ = optim::LearningRate(system_->config().scheduler);
}

std::string Run::save_folder() const {
  return experiment_.trial_dir + "/save";
}

void Run::restore(const std::string& path, bool with_optimizer) {
  const SavedWeights saved = read_saved_weights(path);
  std::map<std::string, std::string> left_out;
  copy_saved(saved, "", system_->parameters(), left_out);
  // The masks and grids of another program are not needed: they follow from the step.
  std::map<std::string, std::string> unimportant;
  copy_saved(saved, "", system_->buffers(), saved.is_foreign ? unimportant : left_out);
  if (!left_out.empty())
    throw UserError(cat(saved.path, ": ", left_out.begin()->first, " ", left_out.begin()->second,
                        ". Use the configuration that it was made with: configs/parsed.yaml of its run."));
  step_ = n_updates_ = saved.step;
  if (saved.is_foreign) {
    if (with_optimizer)
      log::warning(cat(saved.path,
                       ": of a PyTorch checkpoint, weights and step are taken; the optimizer begins anew."));
    n_updates_ = 0;
    return;
  }
  n_updates_ = saved.state.value("updates", step_);
  n_own_updates_ = saved.state.value("own_updates", int64_t{0});
  n_skipped_ = saved.state.value("skipped", int64_t{0});
  rate_factor_ = saved.state.value("rate_factor", 1.0);
  if (!with_optimizer) return;
  const auto moments = [&](const std::string& prefix) {
    std::map<std::string, at::Tensor> all;
    for (const auto& [name, tensor] : saved.tensors)
      if (name.rfind(prefix, 0) == 0) all.emplace(name.substr(prefix.size()), tensor);
    return all;
  };
  optimizer_->restore(moments(kOptimizerPrefix));
  if (own_optimizer_) own_optimizer_->restore(moments(kOwnPrefix));
}

void Run::save(bool stays) {
  train::Checkpoint checkpoint;
  checkpoint.step = step_;
  checkpoint.tensors = system_->parameters();
  for (const auto& [name, tensor] : system_->buffers()) checkpoint.tensors.emplace(name, tensor);
  for (const auto& [name, tensor] : optimizer_->state())
    checkpoint.tensors.emplace(kOptimizerPrefix + name, tensor);
  if (own_optimizer_)
    for (const auto& [name, tensor] : own_optimizer_->state())
      checkpoint.tensors.emplace(kOwnPrefix + name, tensor);
  for (auto& [name, tensor] : checkpoint.tensors) tensor = tensor.detach().to(at::kCPU).contiguous();
  checkpoint.state = {{"step", step_},
                      {"epoch", 0},
                      {"updates", n_updates_},
                      {"own_updates", n_own_updates_},
                      {"skipped", n_skipped_},
                      {"rate_factor", rate_factor_},
                      {"system_type", experiment_.system_type}};
  if (metrics_) metrics_->flush();
  const std::string folder = experiment_.trial_dir + "/ckpts";
  std::string path;
  try {
    path = train::save_checkpoint(folder, step_, checkpoint);
  } catch (const SystemError& error) {
    const auto earlier = train::latest_intact(folder);
    throw SystemError(
        cat(error.what(), earlier ? cat(" ", go_on_, " goes on from step ", earlier->step, ".") : ""));
  }
  if (!passing_checkpoint_.empty() && passing_checkpoint_ != path) {
    try {
      remove_tree(passing_checkpoint_);
    } catch (const SystemError& error) {
      log::warning(error.what());  // a checkpoint too many is no reason to stop
    }
  }
  passing_checkpoint_ = stays ? "" : path;
  saved_at_s_ = now_s();
}

void Run::make_optimizers() {
  NamedTensors scene = system_->parameters();
  if (const auto own = system_->renderer_learning()) {
    for (const auto& [name, tensor] : own->parameters) scene.erase(name);
    own_optimizer_ = optim::make_optimizer(own->optimizer, own->parameters, {});
    config::Node schedule = own->scheduler;
    if (!schedule.is_null()) schedule.set("interval", config::Node(std::string("step")));
    own_rate_ = optim::LearningRate(schedule);
  }
  optimizer_ = optim::make_optimizer(system_->config().optimizer, scene, system_->part_names());
}

void Run::check_settings() const {
  const SystemConfig& c = system_->config();
  if (!system_->context().make_prompt)
    guidance::prompt_processors().check(c.prompt_processor_type, c.prompt_processor,
                                        "system.prompt_processor");
  if (!system_->context().make_guidance)
    guidance::guidances().check(c.guidance_type, c.guidance, "system.guidance");
  if (c.exporter_type == "mesh-exporter") exporter_config(*system_);
  system_->require_losses();
}

void Run::prepare_fit() {
  if (optimizer_ != nullptr) return;
  check_settings();
  system_->open_guidance();
  make_optimizers();
  if (experiment_.resume)
    restore(*experiment_.resume, /*with_optimizer=*/true);
  else
    begin_shape(start_from_saved(*system_));
}

void Run::begin_shape(bool has_weights) {
  if (system_->context().reads_weights)
    system_->geometry().initialize_shape(has_weights);
  else
    system_->geometry().check_shape(has_weights);
}

StepLosses Run::step_with_retries(const data::CameraBatch& batch) {
  const double scale = 1 / static_cast<double>(trainer_.accumulate_grad_batches);
  const int64_t n_rays = batch.n() * batch.height * batch.width;
  // Earlier parts of the step keep their gradients whatever becomes of this one's.
  const auto earlier = optimizer_->take_gradients();
  std::map<std::string, at::Tensor> own_earlier;
  if (own_optimizer_) own_earlier = own_optimizer_->take_gradients();
  for (;;) {
    try {
      StepLosses losses = system_->training_step(batch, step_, scale, trainer_.max_rays);
      optimizer_->add_gradients(earlier);
      if (own_optimizer_) own_optimizer_->add_gradients(own_earlier);
      return losses;
    } catch (const std::exception& e) {
      if (!ops::is_out_of_memory(e)) throw;
    }
    // Beyond the handler, so that nothing of the attempt is held any more.
    optimizer_->clear_gradients();
    if (own_optimizer_) own_optimizer_->clear_gradients();
    if (!system_->can_render_strips())
      give_up("a picture and its patch. Lower system.renderer.patch_size, or raise global_downsample");
    const int64_t now = trainer_.max_rays > 0 ? std::min(trainer_.max_rays, n_rays) : n_rays;
    if (now / 2 < batch.width)
      give_up(cat(n_rays, " rays, even in strips of ", now,
                  ". Lower data.width, data.height or system.renderer.num_samples_per_ray"));
    trainer_.max_rays = now / 2;
    log::warning(cat("step ", step_, ": out of memory; rendering at most ", trainer_.max_rays,
                     " rays at once from here on (trainer.max_rays)."));
  }
}

void Run::give_up(const std::string& for_what) {
  // The parameters are still those of the last whole step.
  if (step_ > 0) save(/*stays=*/true);
  throw SystemError(
      cat("step ", step_, ": the memory", system_->context().device.is_cuda() ? " of the device" : "",
          " does not suffice for ", for_what,
          step_ > 0 ? cat("; the checkpoint is saved, and ", go_on_, " goes on from it.") : "."));
}

void Run::step_own(double gradient_norm) {
  if (gradient_norm > 0 && std::isfinite(gradient_norm)) {
    std::vector<double> factors;
    for (const double rate : own_optimizer_->learning_rates())
      factors.push_back(rate > 0 ? own_rate_.at(rate, step_) / rate : 0);
    own_optimizer_->step(++n_own_updates_, factors);
  }
  own_optimizer_->clear_gradients();
}

bool Run::train_step(std::map<std::string, double>* row) {
  const c10::AutoGradMode with_gradients(true);
  StepLosses losses;
  for (int64_t part = 0; part < trainer_.accumulate_grad_batches; ++part) {
    const int64_t batch = step_ * trainer_.accumulate_grad_batches + part;
    views_->update_step(step_);
    system_->update_step(step_, /*is_training=*/true);
    losses = step_with_retries(views_->train_batch(batch));
    if (!losses.guidance_picture.empty()) write_guidance_picture(losses.guidance_picture);
  }

  // The one point of a step that waits for the device.
  std::vector<std::string> names = {"gradient_norm", "loss"};
  std::vector<at::Tensor> scalars = {optimizer_->gradient_norm(), losses.total.detach()};
  if (own_optimizer_)
    names.push_back("own_gradient_norm"), scalars.push_back(own_optimizer_->gradient_norm());
  if (row != nullptr)
    for (const auto& [name, value] : losses.metrics) names.push_back(name), scalars.push_back(value);
  const std::vector<double> values = read_scalars(scalars, system_->context().device);
  if (row != nullptr) {
    for (size_t i = 0; i < names.size(); ++i) (*row)["train/" + names[i]] = values[i];
    for (const auto& [name, value] : losses.lambdas) (*row)["train_params/" + name] = value;
  }
  if (own_optimizer_) step_own(values[2]);
  if (!std::isfinite(values[0])) {
    on_bad_gradient();
    optimizer_->clear_gradients();
    return false;
  }
  n_bad_in_a_row_ = 0;
  if (trainer_.gradient_clip_val && *trainer_.gradient_clip_val > 0 &&
      values[0] > *trainer_.gradient_clip_val)
    optimizer_->scale_gradients(*trainer_.gradient_clip_val / (values[0] + 1e-6));

  std::vector<double> factors;
  const std::vector<double> rates = optimizer_->learning_rates();
  for (size_t g = 0; g < rates.size(); ++g) {
    const double rate = rate_factor_ * learning_rate_.at(rates[g], step_);
    factors.push_back(rates[g] > 0 ? rate / rates[g] : 0);
    if (row != nullptr) (*row)["lr/" + optimizer_->groups()[g].name] = rate;
  }
  optimizer_->step(++n_updates_, factors);
  optimizer_->clear_gradients();
  return true;
}

void Run::on_bad_gradient() {
  ++n_skipped_;
  const std::string name = optimizer_->first_bad_gradient();
  if (n_bad_in_a_row_++ == 0)
    log::warning(cat("step ", step_, ": the gradient of ", name, " is not finite; the step is skipped."));
  if (n_bad_in_a_row_ < kMostBadSteps) return;
  const std::string folder = experiment_.trial_dir + "/ckpts";
  if (rate_factor_ == 1 && train::latest_intact(folder)) {
    const int64_t skipped = n_skipped_;
    restore(folder, /*with_optimizer=*/true);
    n_skipped_ = skipped, n_bad_in_a_row_ = 0;
    rate_factor_ = kLowerRate;
    --step_;  // the loop counts this one
    log::warning(cat(kMostBadSteps, " steps in a row had no finite gradient: going back to step ", step_ + 1,
                     " with half the learning rate."));
    return;
  }
  throw UserError(cat("step ", step_, ": the gradient of ", name, " was not finite in ", kMostBadSteps,
                      " steps in a row (", n_skipped_, " in all). Lower the learning rate, or the weight of ",
                      "the term that is not finite: see ", metrics_->csv_path(), "."));
}

FitReport Run::fit(const FitHooks& hooks) {
  prepare_fit();
  go_on_ = hooks.go_on;
  metrics_ = std::make_unique<train::Metrics>(
      experiment_.trial_dir, experiment_.resume ? std::optional<int64_t>(step_) : std::nullopt);
  const double began = now_s();
  saved_at_s_ = began;
  if (trainer_.num_sanity_val_steps != 0 && step_ == 0)
    write_validation(trainer_.num_sanity_val_steps < 0 ? views_->n_val_views()
                                                       : trainer_.num_sanity_val_steps);
  FitReport report;
  Progress progress("train", trainer_.max_steps, control_.shows_progress);
  const auto device = system_->context().device;
  if (device.is_cuda()) progress.show_device_memory([device] { return ops::device_bytes(device); });
  progress.start_at(step_);
  std::string note;
  while (step_ < trainer_.max_steps && !(hooks.should_stop && hooks.should_stop(step_))) {
    if (control_.stop.stop_requested()) {
      save(/*stays=*/true);
      throw Interrupted(cat("the work up to step ", step_, " is saved in ", experiment_.trial_dir, "/ckpts"));
    }
    const bool is_last =
        step_ + 1 == trainer_.max_steps || (hooks.should_stop && hooks.should_stop(step_ + 1));
    const bool is_due = (step_ + 1) % trainer_.log_every_n_steps == 0 || is_last;
    std::map<std::string, double> row;
    train_step(is_due ? &row : nullptr);
    ++step_;
    if (is_due) {
      metrics_->log(step_, row);
      if (hooks.on_metrics) hooks.on_metrics(row);
      note = cat("loss ", row["train/loss"]);
      report.last = std::move(row);
    }
    progress.update(step_, note);
    if (hooks.after_step) hooks.after_step(step_);
    const bool stays = checkpoint_.every_n_train_steps > 0 && checkpoint_.save_top_k != 0 &&
                       step_ % checkpoint_.every_n_train_steps == 0;
    const bool by_time =
        checkpoint_.every_n_seconds > 0 && now_s() - saved_at_s_ > checkpoint_.every_n_seconds;
    if (stays || by_time) save(stays);
    if (trainer_.val_check_interval &&
        (step_ * trainer_.accumulate_grad_batches) % *trainer_.val_check_interval == 0)
      validate();
  }
  progress.finish(note);
  if (checkpoint_.save_last && step_ > 0) save(/*stays=*/true);
  metrics_->flush();
  report.steps = step_;
  report.skipped = n_skipped_;
  report.seconds = now_s() - began;
  return report;
}

void Run::restore_for_evaluation() {
  if (system_->evaluates_with_guidance()) system_->open_guidance();
  if (experiment_.resume)
    restore(*experiment_.resume, /*with_optimizer=*/false);
  else if (!start_from_saved(*system_))
    log::warning("resume is not set: these are the first parameters, which nothing has trained yet.");
}

}  // namespace t3d::system
