#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace t3d::guidance {

/// Where cameras stand. All [B] float on the CPU, so that texts are chosen without waiting for a device.
struct ViewAngles {
  at::Tensor elevation_deg;
  at::Tensor azimuth_deg;  ///< 0 is the front (+x), growing towards +y; any range
  at::Tensor distance;     ///< may be undefined: no text depends on it

  int64_t size() const { return azimuth_deg.size(0); }
};

/// The four texts of a prompt, in the order of threestudio's embeddings.
enum class Direction { Side = 0, Front = 1, Back = 2, Overhead = 3 };
constexpr int64_t kDirections = 4;
constexpr const char* kDirectionNames[kDirections] = {"side", "front", "back", "overhead"};

/// Degrees at which one text gives way to the next. Later rules win: side, front, back, overhead.
struct DirectionRules {
  float overhead = 60, front = 45, back = 45;
};

/// Azimuth wrapped to [-180,180), all comparisons strict.
Direction direction_of(float elevation_deg, float azimuth_deg, const DirectionRules& rules);

/// f(r) = a exp(-b r) + c.
struct PerpNegCurve {
  float a = 0, b = 0, c = 0;
  float at(float r) const;
};

/// Weights of negative texts by azimuth. Armandpour et al. 2023, Perp-Neg, arXiv:2304.04968.
struct PerpNegRules {
  PerpNegCurve side_back{1, 0.5f, -0.606f}, front_side_back{1, 0.5f, 0.967f}, front_side{4, 0.5f, -2.426f},
      side_front{4, 0.5f, -2.426f};
};

/// What Perp-Neg needs of a batch.
struct PerpNegText {
  at::Tensor positive;  ///< [B,T,C] interpolated between the two nearest directions
  at::Tensor negative;  ///< [B,T,C] the negative prompt
  at::Tensor opposing;  ///< [B,2,T,C] the texts that are not to be seen from there
  at::Tensor weights;   ///< [B,2] float, not above 0 by default: threestudio's neg_guidance_weights
};

/// Embeddings of one prompt, of its texts for the four directions, and of what to move away from.
class PromptEmbeddings {
 public:
  /// All on the device where the denoiser runs.
  ///   prompt, negative  [T,C]
  ///   by_direction      [4,T,C], in the order of Direction
  PromptEmbeddings(at::Tensor prompt, at::Tensor negative, at::Tensor by_direction, DirectionRules rules = {},
                   bool use_perp_neg = false, PerpNegRules perp_neg = {});

  /// [2B,T,C]: the prompt's rows first, then as many of the negative prompt. `view_dependent`: the text of
  /// each view's direction instead of the plain prompt.
  at::Tensor text(const ViewAngles& views, bool view_dependent) const;

  /// The direction whose text a view gets.
  Direction direction(float elevation_deg, float azimuth_deg) const {
    return direction_of(elevation_deg, azimuth_deg, rules_);
  }

  bool use_perp_neg() const { return use_perp_neg_; }
  PerpNegText perp_neg_text(const ViewAngles& views) const;

  const at::Tensor& prompt() const { return prompt_; }      ///< [T,C]
  const at::Tensor& negative() const { return negative_; }  ///< [T,C]
  const at::Tensor& by_direction() const { return by_direction_; }

 private:
  at::Tensor prompt_, negative_, by_direction_;
  DirectionRules rules_;
  bool use_perp_neg_;
  PerpNegRules perp_neg_;
};

}  // namespace t3d::guidance
