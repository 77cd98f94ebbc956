#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "t3d/core/rng.h"

namespace t3d::render {

/// One ray for each pixel of B images.
struct Rays {
  at::Tensor origins;     ///< [B,H,W,3]
  at::Tensor directions;  ///< [B,H,W,3], unit where the data say so
};

struct ImageSize {
  int64_t height = 0, width = 0;
};

/// A rectangle of an image, in pixels; row 0 is on top.
struct Window {
  int64_t y = 0, x = 0, height = 0, width = 0;
};

/// What is to be rendered: cameras, the part of their images, and light. Rays are made when a renderer first
/// asks for them, and kept; a renderer that projects surfaces never does. Copies share them.
class RenderRequest {
 public:
  /// All of B images of `size`; `make_rays` gives the rays of all of their pixels.
  RenderRequest(int64_t n_images, ImageSize size, std::function<Rays()> make_rays);

  at::Tensor c2w;                      ///< [B,4,4] camera to world, OpenGL axes (docs/conventions.md)
  at::Tensor mvp;                      ///< [B,4,4] world to the clip space of whole images
  at::Tensor light_positions;          ///< [B,3], or undefined
  at::Tensor background;               ///< undefined: the scene's; [B,C]; or [B,H,W,C]
  bool wants_colour = true;            ///< false: no comp_rgb; surfaces are then not shaded
  std::optional<float> ambient_ratio;  ///< in training, handed to the material
  std::optional<std::string> shading;
  /// Where one image is rendered in parts: draws that hold for the whole of it (the material's, the
  /// background's) come from copies of this stream, and only the samples' from the renderer's argument.
  std::optional<Rng> image_draws;

  int64_t n_images() const { return n_images_; }
  /// Of the images that the cameras see.
  const ImageSize& whole() const { return whole_; }
  /// The part of them that is asked for; what is rendered has its size.
  const Window& window() const { return window_; }
  int64_t height() const { return window_.height; }
  int64_t width() const { return window_.width; }
  /// Of the window's pixels.
  const Rays& rays() const;

  /// Image `index` alone, B = 1.
  RenderRequest image(int64_t index) const;
  /// A part of what is asked for here, its place counted from this window's corner.
  RenderRequest part(const Window& window) const;
  /// The same view in another number of pixels, along rays between these, which are not unit. Of whole
  /// images.
  RenderRequest resized(ImageSize size) const;
  /// The same with directions of length 1.
  RenderRequest with_unit_rays() const;

 private:
  struct MadeRays;
  /// This request with rays that come from its own.
  RenderRequest derived(const std::function<at::Tensor(const at::Tensor&)>& of_origins,
                        const std::function<at::Tensor(const at::Tensor&)>& of_directions) const;

  int64_t n_images_;
  ImageSize whole_;
  Window window_;
  std::shared_ptr<MadeRays> rays_;
};

/// [B,H,W,C] to another size, bilinear between pixel centres.
at::Tensor resized_images(const at::Tensor& images, ImageSize size);

}  // namespace t3d::render
