#include "t3d/system/run.h"

#include "t3d/core/log.h"
#include "t3d/system/mesh_exporter.h"
#include "t3d/system/start.h"

namespace t3d::system {
namespace {

SystemContext with_seed(SystemContext context, int64_t seed) {
  context.seed = static_cast<uint64_t>(seed);
  return context;
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
  optim::LearningRate(system_->config().scheduler);  // validation and test refuse a wrong one, too
}

std::string Run::save_folder() const {
  return experiment_.trial_dir + "/save";
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
  if (optimization_ != nullptr) return;
  check_settings();
  system_->open_guidance();
  optimization_ = std::make_unique<Optimization>(*system_);
  if (experiment_.resume)
    restore(*experiment_.resume, optimization_.get());
  else
    begin_shape(start_from_saved(*system_));
}

void Run::begin_shape(bool has_weights) {
  if (system_->context().reads_weights)
    system_->geometry().initialize_shape(has_weights);
  else
    system_->geometry().check_shape(has_weights);
}

void Run::restore_for_evaluation() {
  if (system_->evaluates_with_guidance()) system_->open_guidance();
  if (experiment_.resume)
    restore(*experiment_.resume, nullptr);
  else if (!start_from_saved(*system_))
    log::warning("resume is not set: these are the first parameters, which nothing has trained yet.");
}

}  // namespace t3d::system
