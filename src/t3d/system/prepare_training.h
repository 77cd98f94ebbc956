#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "t3d/system/run.h"

namespace t3d::system {

/// All of t3d train before its first step: reads the file with the overrides, builds the run, looks whether
/// its folder is free, opens prompt, guidance and optimizers and loads what the configuration starts from.
/// Writes nothing. t3d check goes the same way with a context that reads no weights, so that both say the
/// same. `on_read` is called once the experiment is known. Throws as read_experiment, Run, check_folder and
/// Run::prepare_fit do.
std::unique_ptr<Run> prepare_training(const std::string& file, const std::vector<std::string>& overrides,
                                      const SystemContext& context,
                                      const std::function<void(const Experiment&)>& on_read = {});

}  // namespace t3d::system
