#include "t3d/system/prepare_training.h"

#include "t3d/core/error.h"
#include "t3d/system/same_run.h"

namespace t3d::system {

std::unique_ptr<Run> prepare_training(const std::string& file, const std::vector<std::string>& overrides,
                                      const SystemContext& context,
                                      const std::function<void(const Experiment&)>& on_read) {
  const Experiment experiment = read_experiment(file, overrides);
  auto run = std::make_unique<Run>(experiment, context);
  check_folder(experiment, [&](int64_t max_steps) {
    auto longer = overrides;
    longer.push_back(cat("trainer.max_steps=", max_steps));
    return read_experiment(file, longer);
  });
  if (on_read) on_read(experiment);
  run->prepare_fit();
  return run;
}

}  // namespace t3d::system
