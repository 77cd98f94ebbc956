#pragma once

#include <string>

#include "t3d/train/ngp_trainer.h"

namespace t3d::train {

/// PNG: rendered, truth, and five times their absolute difference, side by side.
void write_comparison(const std::string& path, const NgpTestView& view);
/// PNG: distance in false colours, from the nearest to the farthest opaque pixel.
void write_depth(const std::string& path, const NgpView& view);
/// mesh.glb, mesh.obj and mesh.ply: the surface of the inner cube, in the world of the input, with vertex
/// colours. A field without a surface is said in the log and gives no file.
void write_field_mesh(const std::string& folder, const data::PosedImages& images, NgpStepper& stepper,
                      int resolution);
/// turntable.mp4 and turntable.gif around the object; for photographs, a smooth path past the training
/// cameras.
void write_turntable(const std::string& folder, const data::PosedImages& images, const Vec3f& background,
                     NgpStepper& stepper, int n_frames);

}  // namespace t3d::train
