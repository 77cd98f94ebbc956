#pragma once

#include "t3d/data/camera_data.h"
#include "t3d/render/render_request.h"

namespace t3d::system {

/// All of a batch's images, by its cameras and lights.
render::RenderRequest render_request(const data::CameraBatch& batch);

}  // namespace t3d::system
