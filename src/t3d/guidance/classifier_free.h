#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "t3d/diffusion/denoiser.h"
#include "t3d/guidance/model.h"
#include "t3d/guidance/prompt_embeddings.h"

namespace t3d::guidance {

/// x - (<x,y> / max(<y,y>, 1e-6)) y for each row, x and y [B,C,H,W].
at::Tensor perpendicular(const at::Tensor& x, const at::Tensor& y);

/// Texts of one guided prediction. Rows: B of the prompt, B of the negative prompt, and, with Perp-Neg, two
/// of opposing texts for each view, side by side.
struct GuidanceText {
  at::Tensor rows;     ///< [2B,T,C] or [4B,T,C]
  at::Tensor weights;  ///< [B,2] of the opposing texts; undefined: no Perp-Neg

  bool has_perp_neg() const { return weights.defined(); }
  /// x [B,...] repeated for the rows. An opposing text meets its own view's latents (the reference repeats
  /// them in another order for B > 1).
  at::Tensor repeat(const at::Tensor& x) const;
};

GuidanceText guidance_text(const PromptEmbeddings& prompt, const ViewAngles& views, bool view_dependent);

/// What the rows predict, as noise [B,C,H,W].
struct GuidedNoise {
  at::Tensor text, negative;  ///< of the prompt, and of the negative prompt
  at::Tensor opposing;        ///< [B,2,C,H,W], undefined without Perp-Neg

  /// negative + s (text - negative): Ho and Salimans 2022, arXiv:2207.12598.
  at::Tensor guided(double scale) const;
  /// negative + s (e + sum_i w_i perp(opposing_i - negative, e)), e = text - negative. Armandpour et al.
  /// 2023, arXiv:2304.04968, eq. 10. weights [B,2].
  at::Tensor perp_neg(double scale, const at::Tensor& weights) const;
};

/// One denoiser call on x_t [B,C,H,W] at t [B] with every text, and with further rows behind them: `later`,
/// noisy latents [B,C,H,W] at `later_t` with the prompt's text; undefined: none.
struct GuidedCall {
  const Model& model;
  const GuidanceText& text;
  at::Tensor camera;  ///< [B,16] or undefined
  int64_t n_views = 1;

  struct Result {
    GuidedNoise noise;
    at::Tensor later;  ///< [B,C,H,W] noise in the later latents
  };
  Result operator()(const at::Tensor& noisy, const at::Tensor& t, const at::Tensor& later = {},
                    const at::Tensor& later_t = {}) const;
};

}  // namespace t3d::guidance
