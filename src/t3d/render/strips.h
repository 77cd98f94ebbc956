#pragma once

#include <vector>

#include "t3d/core/rng.h"
#include "t3d/render/renderer.h"

namespace t3d::render {

/// A rendering put together from strips. Its tensors are leaves that collect gradients.
struct Strips {
  RenderOutput joined;
  std::vector<int64_t> n_samples;  ///< of each strip
};

/// Renders the images of a request in strips of whole rows, twice: first without a graph, for the losses,
/// then strip by strip for the gradient, so that memory holds the samples of one strip. Both times a strip
/// draws the same numbers, and all strips share those of the material. Zhang et al. 2022, ARF,
/// arXiv:2206.06360, section 4.2.
class StripRenderer {
 public:
  /// background [B,H,W,C], may carry a graph. Strips have at most `max_rays` rays, and a row at least.
  StripRenderer(Renderer& renderer, const RenderRequest& request, const at::Tensor& background,
                int64_t max_rays, const Rng& rng);

  Strips without_graph() const;
  /// Takes the gradients that the leaves of `whole` collected on to the scene's parameters.
  void backward(const Strips& whole) const;

 private:
  struct Strip {
    int64_t image, first_row, n_rows;
  };
  /// The part of [B,H,W,C] that belongs to a strip.
  static at::Tensor part_of(const at::Tensor& images, const Strip& strip);
  /// Fields of the strips, put together.
  at::Tensor joined(const OutputField& field, const std::vector<RenderOutput>& parts) const;
  RenderOutput render(size_t index, const at::Tensor& background) const;

  Renderer& renderer_;
  RenderRequest request_;
  at::Tensor background_;
  std::vector<Strip> strips_;
  Rng rng_;
};

}  // namespace t3d::render
