#pragma once

#include <vector>

#include "t3d/core/rng.h"
#include "t3d/data/camera_data.h"
#include "t3d/render/renderer.h"

namespace t3d::system {

/// A rendering put together from strips. Its tensors are leaves that collect gradients.
struct Strips {
  render::RenderOutput joined;
  std::vector<int64_t> n_samples;  ///< of each strip
};

/// Renders the pictures of a batch in strips of whole rows, twice: see System::training_step. Both times a
/// strip draws the same numbers, and all strips share those of the material.
class StripRenderer {
 public:
  /// background [B,H,W,C], may carry a graph. Strips have at most `max_rays` rays, and a row at least.
  StripRenderer(render::Renderer& renderer, const data::CameraBatch& batch, const at::Tensor& background,
                int64_t max_rays, const Rng& rng);

  Strips without_graph() const;
  /// Takes the gradients that the leaves of `whole` collected on to the scene's parameters.
  void backward(const Strips& whole) const;

 private:
  struct Strip {
    int64_t image, first_row, n_rows;
  };
  /// The part of [B,H,W,C], or of [B,3], that belongs to a strip.
  static at::Tensor part_of(const at::Tensor& pictures, const Strip& strip);
  render::RenderOutput render(size_t index, const at::Tensor& background) const;

  render::Renderer& renderer_;
  const data::CameraBatch& batch_;
  at::Tensor background_;
  std::vector<Strip> strips_;
  Rng rng_;
};

}  // namespace t3d::system
