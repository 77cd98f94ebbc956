#pragma once

#include <string>
#include <vector>

#include "t3d/core/interrupt.h"
#include "t3d/data/posed_images.h"
#include "t3d/train/ngp_stepper.h"

namespace t3d::train {

/// A closed path of cameras that shows a trained field. Objects (images with transparency): a circle about
/// the z axis, 20 degrees up, at the training cameras' mean distance. Photographs: an ellipse through the
/// middle of the training cameras, along their two widest directions, looking at the point that their axes
/// come nearest to. Sides of the frames are even and at most `max_side`.
std::vector<Camera> turntable_cameras(const data::PosedImages& images, int n_frames, int max_side);

/// turntable.mp4 and turntable.gif in `folder`, at 24 frames a second. Without FFmpeg in this build nothing
/// is written, which is said in the log. A stop that is asked for throws Interrupted.
void write_turntable(const std::string& folder, const data::PosedImages& images, const Vec3f& background,
                     NgpStepper& stepper, int n_frames, int max_side, const RunControl& control = {});

}  // namespace t3d::train
