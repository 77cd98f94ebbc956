#pragma once

#include <string>
#include <vector>

#include "t3d/train/output_plan.h"

namespace t3d::train {

struct ReconstructReport {
  std::string device;
  std::string precision;  ///< of the networks' products
  int64_t steps = 0;
  double seconds_load = 0, seconds_train = 0, seconds_test = 0, seconds_mesh = 0, seconds_film = 0;
  std::vector<NgpViewScore> views;      // of the test views that were scored
  double view_scale = 1;                // of their sides
  std::vector<std::string> mesh_files;  // paths; none without a mesh
  bool is_empty = false;                // nothing is in the field: every scored view is background alone
};

/// When the command began (core/clock.h) and the seconds that it may take, 0: any.
struct TimeBudget {
  double started = 0, seconds = 0;

  /// Seconds that are left; below 0 without a budget.
  double left() const;
};

/// Renders the test views, the turntable and the mesh into the run folder and writes report.json and
/// report.md last. Every file is read back. Where `budget` leaves too little time, fewer test views are
/// scored, the mesh is coarser and the film shorter, each of which is said in the log.
void write_outputs(const std::string& folder, const data::PosedImages& images, const field::NgpConfig& config,
                   NgpTrainer& trainer, NgpStepper& stepper, const OutputOptions& options,
                   const TimeBudget& budget, ReconstructReport& report);

}  // namespace t3d::train
