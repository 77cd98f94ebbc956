#pragma once

#include "t3d/data/camera_data.h"

namespace t3d::data {

struct CameraRays {
  at::Tensor origins, directions;  ///< [B,H,W,3]
};

/// The rays through the centres of a batch's pixels, top row first; of length 1 where batch.has_unit_rays.
CameraRays camera_rays(const CameraBatch& batch);

}  // namespace t3d::data
