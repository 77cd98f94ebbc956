#include "t3d/train/ngp_trainer.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "t3d/core/clock.h"
#include "t3d/core/error.h"
#include "t3d/core/interrupt.h"
#include "t3d/core/log.h"
#include "t3d/core/memory_usage.h"
#include "t3d/data/image_metrics.h"
#include "t3d/run/loop.h"
#include "t3d/train/checkpoint.h"
#include "t3d/train/metrics.h"

namespace t3d::train {
namespace {

// Steps between rows of the metrics: reading the figures waits for the device.
constexpr int64_t kRecordEvery = 20;

constexpr double kNoteEvery_s = 0.5;

// Times that the cost of the work after training is measured, evenly over the budget.
constexpr int kEstimates = 4;

constexpr float kHiddenGrey = 0.5f;

/// The image's colours over `background`, 3 channels.
io::ImageF over(const io::Image8& rgba, const Vec3f& background) {
  io::ImageF image(rgba.width, rgba.height, 3);
  for (size_t i = 0; i < image.pixels.size() / 3; ++i) {
    const float alpha = static_cast<float>(rgba.pixels[4 * i + 3]) / 255.0f;
    for (size_t c = 0; c < 3; ++c)
      image.pixels[3 * i + c] = static_cast<float>(rgba.pixels[4 * i + c]) / 255.0f * alpha +
                                background[static_cast<int>(c)] * (1.0f - alpha);
  }
  return image;
}

}  // namespace

double NgpTrainer::progress(int64_t step, double now) const {
  // A bound on steps decides alone where there is one: the schedule must not depend on the clock then.
  if (options_.stop.steps > 0) return static_cast<double>(step) / static_cast<double>(options_.stop.steps);
  if (options_.stop.train_seconds > 0) return (now - train_begin_) / options_.stop.train_seconds;
  if (options_.stop.seconds > 0) {
    const double whole = budget_end() - train_begin_;
    return whole > 0 ? (now - train_begin_) / whole : 1;
  }
  return 0;
}

bool NgpTrainer::reached_end(int64_t step, double now) const {
  const NgpStop& stop = options_.stop;
  if (stop.steps > 0 && step >= stop.steps) return true;
  if (stop.train_seconds > 0 && now - train_begin_ >= stop.train_seconds) return true;
  return stop.seconds > 0 && now >= budget_end();
}

double NgpTrainer::budget_end() const {
  // The work after training adapts to what is left, down to a least that the command has checked.
  const double end = options_.started + options_.stop.seconds;
  const double least = train_begin_ + options_.stop.least_train_share * options_.stop.seconds;
  return std::min(std::max(end - reserve_, least), end - options_.stop.least_after_seconds);
}

void NgpTrainer::estimate_reserve(double now) {
  // A young field is a fog that takes longer to render than the trained one, so the question is repeated.
  if (!options_.estimate_rest || options_.stop.seconds <= 0 || n_estimates_ == kEstimates) return;
  const double used = (now - options_.started) / options_.stop.seconds;
  if (used < (n_estimates_ + 1.0) / (kEstimates + 1.0)) return;
  while (n_estimates_ < kEstimates && used >= (n_estimates_ + 1.0) / (kEstimates + 1.0)) ++n_estimates_;
  reserve_ = options_.estimate_rest();
}

NgpTestView NgpTrainer::score(const data::View& view, NgpView rendered) const {
  NgpTestView result;
  result.rendered = std::move(rendered);
  result.truth = over(view.rgba, background());
  result.score = {view.name, data::psnr(result.rendered.rgb, result.truth, view.mask),
                  data::ssim(result.rendered.rgb, result.truth, view.mask)};
  // Pixels that do not count are grey in the picture, without a difference.
  for (size_t i = 0; i < view.mask.pixels.size(); ++i)
    if (view.mask.pixels[i] == 0) std::fill_n(result.truth.pixels.data() + 3 * i, 3, kHiddenGrey);
  result.mask = view.mask;
  return result;
}

NgpTestView NgpTrainer::evaluate(const data::View& view) {
  return score(view, stepper_.render(view.camera, background()));
}

double NgpTrainer::measure_target() {
  const auto& views = images_.val.empty() ? images_.test : images_.val;
  const size_t n = std::min<size_t>(4, views.size());
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += evaluate(views[i]).score.psnr;
  return n == 0 ? 0 : sum / static_cast<double>(n);
}

void NgpTrainer::record(int64_t step, double learning_rate) {
  const NgpStats stats = stepper_.stats();
  metrics_->log(step, {{"train/loss", stats.loss},
                       {"train/psnr", stats.psnr},
                       {"train/n_rays", static_cast<double>(stats.n_rays)},
                       {"train/n_samples", static_cast<double>(stats.n_samples)},
                       {"lr-Adam", learning_rate}});
}

void NgpTrainer::save() {
  if (metrics_ != nullptr) metrics_->flush();
  const field::NgpState state = stepper_.save();
  Checkpoint checkpoint;
  checkpoint.step = state.step;
  checkpoint.tensors = state.tensors();
  checkpoint.state = {{"kind", "instant-ngp"},          {"step", state.step},
                      {"n_rays", state.n_rays},         {"seed", state.seed},
                      {"aabb_scale", state.aabb_scale}, {"config", field::to_json(config_)}};
  save_checkpoint(options_.run_folder + "/ckpts", state.step, checkpoint, {2});
}

void NgpTrainer::resume(const std::string& path) {
  const FoundCheckpoint found = find_checkpoint(path);
  for (const auto& skipped : found.skipped) log::warning(skipped);
  const Checkpoint checkpoint = load_checkpoint(found.path);
  if (checkpoint.state.value("kind", "") != "instant-ngp")
    throw UserError(cat(found.path, ": is not the checkpoint of a reconstruction. Name another run folder."));
  const auto require = [&](const std::string& key, const nlohmann::json& was, const nlohmann::json& asked) {
    if (was != asked)
      throw UserError(cat(found.path, ": ", key, " was ", was.dump(), " and now is ", asked.dump(),
                          "; a run goes on with the options it began with. Repeat them, or use another -o."));
  };
  const nlohmann::json config = field::to_json(config_);
  for (const auto& [key, asked] : config.items())
    require(key, checkpoint.state.at("config").value(key, nlohmann::json()), asked);
  const field::NgpState fresh = stepper_.save();
  require("seed", checkpoint.state.at("seed"), fresh.seed);
  require("aabb_scale", checkpoint.state.at("aabb_scale"), fresh.aabb_scale);
  field::NgpState state;
  const auto tensor = [&](const char* name) {
    const auto entry = checkpoint.tensors.find(name);
    if (entry == checkpoint.tensors.end())
      throw UserError(cat(found.path, ": has no tensor ", name, ". Use another checkpoint."));
    return entry->second;
  };
  state.params = tensor("params");
  state.adam_m = tensor("adam_m");
  state.adam_v = tensor("adam_v");
  state.density = tensor("density");
  state.bits = tensor("bits");
  state.step = checkpoint.state.at("step");
  state.n_rays = checkpoint.state.at("n_rays");
  state.seed = checkpoint.state.at("seed");
  stepper_.load(state);
  log::info(cat("resuming from ", found.path));
}

/// A step of the trainer, for the loop.
class NgpTrainer::LoopStep : public run::Step {
 public:
  explicit LoopStep(NgpTrainer& trainer) : trainer_(trainer) {}

  int64_t n_done() const override { return trainer_.stepper_.steps_done(); }
  bool take(bool /*is_due*/) override {
    rate_ = trainer_.learning_rate_.at(trainer_.config_.learning_rate,
                                       {n_done(), trainer_.progress(n_done(), now_s())});
    trainer_.stepper_.step(rate_);
    return true;
  }
  void finish() override {
    trainer_.stepper_.stats();  // waits for the device
    end_s_ = now_s();
  }
  void record() override {
    if (trainer_.metrics_ != nullptr) trainer_.record(n_done(), rate_);
  }
  void save(run::Keep /*keep*/) override { trainer_.save(); }
  std::string note() override {
    if (now_s() >= next_note_s_) {
      char text[64];
      std::snprintf(text, sizeof text, "psnr %.1f", trainer_.stepper_.stats().psnr);
      note_ = text;
      next_note_s_ = now_s() + kNoteEvery_s;
    }
    return note_;
  }
  std::string saved_work() const override { return saved_in(trainer_.options_.run_folder); }
  /// When the last step was done.
  double end_s() const { return end_s_; }

 private:
  NgpTrainer& trainer_;
  double rate_ = 0, end_s_ = 0, next_note_s_ = 0;
  std::string note_;
};

void NgpTrainer::check_memory(int64_t step) {
  if (options_.stop.max_memory_bytes == 0 || current_rss_bytes() <= options_.stop.max_memory_bytes) return;
  save();
  throw SystemError(cat("memory reached ", human_bytes(static_cast<double>(current_rss_bytes())), " at step ",
                        step, ", above --max-memory. The work is saved; use a smaller table or batch."));
}

bool NgpTrainer::reaches_target(int64_t step) {
  const int64_t every = options_.eval_every > 0         ? options_.eval_every
                        : options_.stop.target_psnr > 0 ? 100
                                                        : 0;
  if (every == 0 || step % every != 0) return false;
  const double psnr = measure_target();
  if (metrics_ != nullptr) metrics_->log(step, {{"val/psnr", psnr}});
  log::info(cat("step ", step, ": ", psnr, " dB on views that are not trained on"));
  return options_.stop.target_psnr > 0 && psnr >= options_.stop.target_psnr;
}

double NgpTrainer::train(const OnStep& on_step) {
  const double begin = train_begin_ = now_s();
  bool is_good_enough = false;
  run::Policy policy;
  policy.control = options_.control;
  policy.n_steps = options_.stop.steps;
  policy.record_every = kRecordEvery;
  policy.save_every = options_.checkpoint_steps;
  policy.save_every_s = options_.checkpoint_steps == 0 ? options_.checkpoint_seconds : 0;
  policy.should_stop = [&](int64_t done) { return is_good_enough || reached_end(done, now_s()); };
  policy.after_step = [&](int64_t done) {
    if (on_step) on_step(done, stepper_);
    estimate_reserve(now_s());
    check_memory(done);
    is_good_enough = reaches_target(done);
  };
  if (stepper_.device_bytes() > 0) policy.device_bytes = [this] { return stepper_.device_bytes(); };
  LoopStep step(*this);
  run::Loop(step, policy).run();
  return step.end_s() - begin;
}

}  // namespace t3d::train
