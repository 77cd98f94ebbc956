#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <memory>

#include "t3d/core/registry.h"

namespace t3d::data {

/// B views for a renderer and a guidance, threestudio's batch. World: z up; azimuth 0 is on +x and grows
/// towards +y. Cameras have OpenGL's axes: c2w = [right | up | -looking | position].
struct CameraBatch {
  at::Tensor c2w, proj_mtx, mvp_mtx;             ///< [B,4,4]
  at::Tensor camera_positions, light_positions;  ///< [B,3]
  at::Tensor elevation, azimuth;                 ///< [B] degrees, before the perturbations
  at::Tensor camera_distances;                   ///< [B] before the perturbations
  at::Tensor fovy;                               ///< [B] radians
  at::Tensor focal;                              ///< [B] pixels
  int64_t height = 0, width = 0;
  bool has_unit_rays = true;  ///< camera_rays.h
  int64_t n_view = 1;         ///< rows next to each other that are views of one object
  int64_t index = 0;          ///< of an evaluation view

  int64_t n() const { return c2w.size(0); }
};

/// Where the views of training and evaluation come from: threestudio's data.
class CameraData {
 public:
  virtual ~CameraData() = default;

  /// Called before every batch: resolution milestones, progressive ranges.
  virtual void update_step(int64_t step) = 0;
  /// The batch of `step`, a function of the seed and the step alone (and of update_step before it).
  virtual CameraBatch train_batch(int64_t step) const = 0;

  virtual int64_t n_val_views() const = 0;
  virtual int64_t n_test_views() const = 0;
  /// One evaluation view, B = 1; 0 <= index < the number of them.
  virtual CameraBatch val_view(int64_t index) const = 0;
  virtual CameraBatch test_view(int64_t index) const = 0;
  /// View `index` of n around the evaluation circle, which starts at azimuth 0; of any size.
  virtual CameraBatch circle_view(int64_t index, int64_t n, int64_t height, int64_t width) const = 0;
};

/// What camera data is built with.
struct CameraContext {
  uint64_t seed = 0;
  c10::Device device = c10::kCPU;
};

/// The table of data types by `data_type`.
using CameraDataRegistry = Registry<CameraData, const CameraContext&>;
CameraDataRegistry& camera_data();

}  // namespace t3d::data
