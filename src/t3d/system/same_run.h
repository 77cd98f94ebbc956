#pragma once

#include <functional>
#include <string>

#include "t3d/system/experiment.h"

namespace t3d::system {

/// The experiment that is to go on, with trainer.max_steps as it is given. What a recipe derives from the
/// number of steps then has the values of the earlier run, although the run is made longer.
using WithSteps = std::function<Experiment(int64_t max_steps)>;

/// Whether a run may go on in `folder`: everything that decides the result has to be what configs/parsed.yaml
/// there says. More steps, other outputs, logs, checkpoints and devices are no other run. Reads alone; a
/// folder without that file passes. Throws UserError that names the first key that differs, with both values.
void check_same_run(const std::string& folder, const WithSteps& now);

/// Whether training may write to the experiment's folder: it has no checkpoints, or `resume` names them and
/// check_same_run passes. Throws UserError.
void check_folder(const Experiment& experiment, const WithSteps& now);

}  // namespace t3d::system
