// The parts of a run that keep it: its checkpoints.

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/core/remove_tree.h"
#include "t3d/system/run.h"
#include "t3d/system/saved_weights.h"
#include "t3d/train/checkpoint.h"

namespace t3d::system {

void Run::restore(const std::string& path, Optimization* optimization) {
  const SavedWeights saved = read_saved_weights(path);
  std::map<std::string, std::string> left_out;
  copy_saved(saved, "", system_->parameters(), left_out);
  // The masks and grids of another program are not needed: they follow from the step.
  std::map<std::string, std::string> unimportant;
  copy_saved(saved, "", system_->buffers(), saved.is_foreign ? unimportant : left_out);
  if (!left_out.empty())
    throw UserError(cat(saved.path, ": ", left_out.begin()->first, " ", left_out.begin()->second,
                        ". Use the configuration that it was made with: configs/parsed.yaml of its run."));
  step_ = saved.step;
  if (!saved.is_foreign)
    n_skipped_ = saved.state.value("skipped", int64_t{0});
  else if (optimization != nullptr)
    log::warning(
        cat(saved.path, ": of a PyTorch checkpoint, weights and step are taken; the optimizer begins anew."));
  if (optimization != nullptr) optimization->restore(saved);
}

void Run::save(run::Keep keep) {
  train::Checkpoint checkpoint;
  checkpoint.step = step_;
  checkpoint.tensors = system_->parameters();
  for (const auto& [name, tensor] : system_->buffers()) checkpoint.tensors.emplace(name, tensor);
  checkpoint.state = {
      {"step", step_}, {"epoch", 0}, {"skipped", n_skipped_}, {"system_type", experiment_.system_type}};
  optimization_->add_to(checkpoint);
  for (auto& [name, tensor] : checkpoint.tensors) tensor = tensor.detach().to(at::kCPU).contiguous();
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
  passing_checkpoint_ = keep == run::Keep::UntilTheNext ? path : "";
}

}  // namespace t3d::system
