#include "t3d/prior/view_set.h"

#include <ATen/ATen.h>

#include "t3d/core/error.h"
#include "t3d/data/captioned_views.h"

namespace t3d::prior {

ViewSet::ViewSet(const std::string& folder, c10::Device device) {
  std::vector<at::Tensor> rgba, poses;
  for (const std::string& path : data::list_shards(folder)) {
    data::CaptionedViews shard = data::read_captioned_views(path);
    if (!rgba.empty() && shard.rgba.sizes().slice(1) != rgba[0].sizes().slice(1))
      throw UserError(cat(path, ": pictures are ", shard.rgba.sizes().slice(1), " and in the first shard ",
                          rgba[0].sizes().slice(1), ". Put them into two folders."));
    rgba.push_back(shard.rgba.to(device));
    poses.push_back(shard.camera_to_world);
    for (std::string& text : shard.captions) captions_.push_back(std::move(text));
  }
  rgba_ = at::cat(rgba);
  camera_to_world_ = at::cat(poses);
}

at::Tensor ViewSet::pictures(const at::Tensor& index, const at::Tensor& grey) const {
  return pictures(index, grey, rgba_.device());
}

at::Tensor ViewSet::pictures(const at::Tensor& index, const at::Tensor& grey, c10::Device device) const {
  const int64_t r = resolution();
  const auto picked = rgba_.view({-1, r, r, 4}).index_select(0, index.to(rgba_.device())).to(device);
  const auto x = picked.permute({0, 3, 1, 2}).to(at::kFloat) / 255;  // [B,4,R,R]
  const auto alpha = x.slice(1, 3, 4);
  const auto behind = grey.to(device).view({-1, 1, 1, 1});
  return (x.slice(1, 0, 3) * alpha + behind * (1 - alpha)) * 2 - 1;
}

}  // namespace t3d::prior
