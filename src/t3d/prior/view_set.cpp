#include "t3d/prior/view_set.h"

#include <ATen/ATen.h>

#include "t3d/core/error.h"
#include "t3d/data/captioned_views.h"

namespace t3d::prior {
namespace {

/// [N,V,R,R,4] bytes -> [N,V,size,size,4], smoothed where it shrinks.
at::Tensor resized(const at::Tensor& rgba, int64_t size) {
  const int64_t n = rgba.size(0), n_views = rgba.size(1), side = rgba.size(2);
  if (size == 0 || size == side) return rgba;
  const auto x = rgba.view({n * n_views, side, side, 4}).permute({0, 3, 1, 2}).to(at::kFloat);
  const auto alpha = x.slice(1, 3, 4);
  const auto weighted = at::cat({x.slice(1, 0, 3) * (alpha / 255), alpha}, 1).contiguous();  // [B,4,R,R]
  const auto small = at::_upsample_bilinear2d_aa(weighted, {size, size}, /*align_corners=*/false);
  const auto cover = small.slice(1, 3, 4);
  const auto colour = small.slice(1, 0, 3) * (255 / cover.clamp_min(1e-3));
  return at::cat({colour, cover}, 1)
      .clamp(0, 255)
      .round()
      .to(at::kByte)
      .permute({0, 2, 3, 1})
      .reshape({n, n_views, size, size, 4});
}

}  // namespace

ViewSet::ViewSet(const std::string& folder, c10::Device device, int64_t resolution, int64_t part,
                 int64_t n_parts) {
  std::vector<at::Tensor> rgba, poses;
  std::vector<int64_t> sizes;
  const auto shards = data::list_shards(folder);
  const auto n_shards = static_cast<int64_t>(shards.size());
  const bool divided = n_shards >= n_parts;
  for (int64_t i = divided ? part : 0; i < n_shards; i += divided ? n_parts : 1) {
    const std::string& path = shards[static_cast<size_t>(i)];
    data::CaptionedViews shard = data::read_captioned_views(path);
    if (rgba.empty()) sizes = shard.rgba.sizes().slice(1).vec();
    if (shard.rgba.sizes().slice(1) != at::IntArrayRef(sizes))
      throw UserError(cat(path, ": pictures are ", shard.rgba.sizes().slice(1), " and in the first shard ",
                          at::IntArrayRef(sizes), ". Put them into two folders."));
    rgba.push_back(resized(shard.rgba.to(device), resolution));
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
