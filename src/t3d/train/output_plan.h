#pragma once

#include <string>
#include <vector>

#include "t3d/core/interrupt.h"
#include "t3d/export/export_mesh.h"
#include "t3d/train/ngp_trainer.h"

namespace t3d::train {

/// What is to be made after training.
struct OutputOptions {
  bool mesh = true, video = true;
  int mesh_resolution = 192;               ///< samples per side of the inner cube
  export_::ExportOptions mesh_files = {};  ///< everything else about the mesh
  int video_frames = 48;
  int video_side = 400;  ///< longest side of a frame, pixels
  RunControl control = {};
};

/// Seconds that outputs take.
struct OutputCosts {
  OutputOptions options;
  size_t n_views = 0;        ///< test views there are
  double view_render_s = 0;  ///< one test view on all cores
  double view_score_s = 0;   ///< comparing and writing it, on one core
  double frame_s = 0;        ///< one frame of the film at options.video_side
  double density_s = 0;      ///< one query of the field
  double face_s = 0;         ///< what one more face of the mesh costs: decimated, or cut into charts as it is
  double n_cores = 1;

  /// Test views rendered, compared and written, with `scale` times the pixels along each side.
  double views(size_t n, double scale = 1) const;
  /// A mesh of `resolution` samples a side; 0: none.
  double mesh(int resolution) const;
  double film(int frames, int side) const;
  /// Everything as the options ask for it.
  double all() const;
  /// The least that answers to the options: one small test view, a coarse mesh, no film.
  double least() const;
};

/// Measures them on the field as it is: a young one is a fog that takes longer to render.
OutputCosts measure_outputs(const data::PosedImages& images, const NgpTrainer& trainer, NgpStepper& stepper,
                            const OutputOptions& options);

/// How much of the outputs is made.
struct OutputPlan {
  std::vector<size_t> views;           ///< test views that are scored, by their numbers
  double view_scale = 1;               ///< of their sides
  int mesh_resolution = 0;             ///< 0: no mesh
  int film_frames = 0, film_side = 0;  ///< 0 frames: no film
};

/// A coarser mesh where the options' takes more than half of `seconds`. Below 0: no limit.
int plan_mesh(const OutputCosts& costs, double seconds);
/// Fewer test views, evenly spread, and smaller ones where not even one fits. At least one is left where
/// there are any.
void plan_views(const OutputCosts& costs, double seconds, OutputPlan& plan);
/// Fewer frames, at least twelve, then smaller ones, then no film.
void plan_film(const OutputCosts& costs, double seconds, OutputPlan& plan);

}  // namespace t3d::train
