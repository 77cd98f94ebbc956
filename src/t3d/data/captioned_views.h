#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace t3d::data {

/// Renders of captioned objects, N of them with V views each: what a multi-view diffusion model is trained
/// on. docs/captioned_views.md has the file format.
struct CaptionedViews {
  at::Tensor rgba;                    ///< [N,V,R,R,4] uint8, sRGB, straight alpha
  at::Tensor camera_to_world;         ///< [N,V,4,4] float, OpenGL axes, z up
  at::Tensor fov_deg;                 ///< [N,V] float
  std::vector<std::string> captions;  ///< N; several phrasings of one are its lines

  int64_t n_objects() const { return rgba.size(0); }
};

/// Complete or absent. Throws SystemError when the disk says no.
void write_captioned_views(const std::string& path, const CaptionedViews& views);
/// Checks shapes, types and captions. Throws UserError for a file of another kind.
CaptionedViews read_captioned_views(const std::string& path);
/// The shards of a folder by name. Throws UserError when there are none.
std::vector<std::string> list_shards(const std::string& folder);
/// "FOLDER/shard-00012.safetensors"
std::string shard_path(const std::string& folder, int64_t index);

}  // namespace t3d::data
