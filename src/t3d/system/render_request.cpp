#include "t3d/system/render_request.h"

#include "t3d/data/camera_rays.h"

namespace t3d::system {

render::RenderRequest render_request(const data::CameraBatch& batch) {
  render::RenderRequest request(batch.n(), {batch.height, batch.width}, [batch] {
    const data::CameraRays rays = data::camera_rays(batch);
    return render::Rays{rays.origins, rays.directions};
  });
  request.c2w = batch.c2w, request.mvp = batch.mvp_mtx;
  request.light_positions = batch.light_positions;
  return request;
}

}  // namespace t3d::system
