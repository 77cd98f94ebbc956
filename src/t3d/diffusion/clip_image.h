#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "t3d/io/image.h"

namespace t3d::diffusion {

enum class ResizeFilter { Bilinear, Bicubic };

/// Pillow's resize of 8-bit images: the kernel (bicubic with a = -1/2, or a triangle) grows with the
/// reduction, columns before rows, each pass rounded to 8 bits in Pillow's own fixed-point arithmetic, so
/// that the bytes are the same as Pillow's.
io::Image8 resize_pillow(const io::Image8& image, int width, int height, ResizeFilter filter);

/// How images become CLIP's input: transformers' preprocessor_config.json.
struct ClipImageConfig {
  int shortest_edge = 224, crop_width = 224, crop_height = 224;
  ResizeFilter filter = ResizeFilter::Bicubic;
  std::array<float, 3> mean{0.48145466f, 0.4578275f, 0.40821073f},
      deviation{0.26862954f, 0.26130258f, 0.27577711f};

  /// Throws UserError for steps other than CLIP's.
  static ClipImageConfig from_json(const nlohmann::json& config, const std::string& where);
  static ClipImageConfig from_file(const std::string& path);
};

/// The shortest edge resized, the centre cut out, normalised: RGB (alpha dropped) -> [3,h,w] float.
at::Tensor clip_pixels(const io::Image8& image, const ClipImageConfig& config);

}  // namespace t3d::diffusion
