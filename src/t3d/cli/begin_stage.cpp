#include "t3d/cli/begin_stage.h"

#include "t3d/cli/experiment_command.h"
#include "t3d/core/log.h"
#include "t3d/core/text.h"

namespace t3d::cli {

void begin_stage(const api::Chain& chain, size_t index, const system::Run& run) {
  const api::ChainStage& stage = chain.stages[index];
  system::write_run_folder(run.experiment(), find_recipe(stage.recipe), command_words());
  log::info(cat("stage ", index + 1, " of ", chain.stages.size(), ", ", stage.name, ": ",
                run.experiment().trial_dir));
}

}  // namespace t3d::cli
