#pragma once

#include <string>
#include <vector>

#include "t3d/train/ngp_trainer.h"

namespace t3d::train {

struct OutputOptions {
  bool mesh = true, video = true;
  int mesh_resolution = 192;  ///< samples per side of the inner cube
  int video_frames = 48;
  double video_seconds = 0;  ///< fewer frames when they would take longer than this to render; 0: no limit
  int video_side = 400;      ///< longest side of a frame, pixels
};

struct ReconstructReport {
  std::string device;
  std::string precision;  ///< of the networks' products
  int64_t steps = 0;
  double seconds_load = 0, seconds_train = 0, seconds_test = 0;
  std::vector<NgpViewScore> views;
};

/// Renders the test views, the turntable and the mesh into the run folder and writes report.json and
/// report.md last. Every file is read back. `started`: when the command began, see core/clock.h.
void write_outputs(const std::string& folder, const data::PosedImages& images, const field::NgpConfig& config,
                   NgpTrainer& trainer, NgpStepper& stepper, const OutputOptions& options, double started,
                   ReconstructReport& report);

/// Seconds that write_outputs is going to take, by a test view and a batch of densities now.
double estimate_outputs(const data::PosedImages& images, NgpTrainer& trainer, NgpStepper& stepper,
                        const OutputOptions& options);

}  // namespace t3d::train
