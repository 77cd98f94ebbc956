#include "t3d/guidance/prompt_embeddings.h"

#include <ATen/ATen.h>

#include <cmath>

#include "t3d/core/error.h"

namespace t3d::guidance {
namespace {

float wrapped(float azimuth_deg) {
  return azimuth_deg + 180 - std::floor((azimuth_deg + 180) / 360) * 360 - 180;
}

at::Tensor host(const at::Tensor& angles, const char* name) {
  T3D_CHECK(angles.defined() && angles.dim() == 1, "view angles: ", name, " must be [B]");
  return angles.to(at::kCPU, at::kFloat).contiguous();
}

/// Where the texts for one view come from.
struct Mix {
  std::array<float, kDirections> positive{};
  std::array<Direction, 2> opposing{};
  bool is_overhead = false;
  std::array<float, 2> weights{};
};

Mix mix_of(float elevation_deg, float azimuth_deg, const DirectionRules& directions,
           const PerpNegRules& curves) {
  const auto slot = [](Direction d) { return static_cast<size_t>(d); };
  Mix mix;
  if (direction_of(elevation_deg, azimuth_deg, directions) == Direction::Overhead) {
    mix.is_overhead = true;
    mix.positive[slot(Direction::Overhead)] = 1;
    return mix;
  }
  const float away = std::abs(wrapped(azimuth_deg));
  if (away < 90) {
    const float r = 1 - away / 90;
    mix.positive[slot(Direction::Front)] = r;
    mix.positive[slot(Direction::Side)] = 1 - r;
    mix.opposing = {Direction::Front, Direction::Side};
    mix.weights = {-curves.front_side.at(r), -curves.side_front.at(1 - r)};
  } else {
    const float r = 2 - away / 90;
    mix.positive[slot(Direction::Side)] = r;
    mix.positive[slot(Direction::Back)] = 1 - r;
    mix.opposing = {Direction::Side, Direction::Front};
    mix.weights = {-curves.side_back.at(r), -curves.front_side_back.at(r)};
  }
  return mix;
}

}  // namespace

Direction direction_of(float elevation_deg, float azimuth_deg, const DirectionRules& rules) {
  const float a = wrapped(azimuth_deg);
  if (elevation_deg > rules.overhead) return Direction::Overhead;
  if (a > 180 - rules.back || a < -180 + rules.back) return Direction::Back;
  if (a > -rules.front && a < rules.front) return Direction::Front;
  return Direction::Side;
}

float PerpNegCurve::at(float r) const {
  return a * std::exp(-b * r) + c;
}

PromptEmbeddings::PromptEmbeddings(at::Tensor prompt, at::Tensor negative, at::Tensor by_direction,
                                   DirectionRules rules, bool use_perp_neg, PerpNegRules perp_neg)
    : prompt_(std::move(prompt)),
      negative_(std::move(negative)),
      by_direction_(std::move(by_direction)),
      rules_(rules),
      use_perp_neg_(use_perp_neg),
      perp_neg_(perp_neg) {
  T3D_CHECK(prompt_.dim() == 2 && negative_.sizes() == prompt_.sizes(), "prompt ", prompt_.sizes(),
            ", negative ", negative_.sizes());
  T3D_CHECK(by_direction_.dim() == 3 && by_direction_.size(0) == kDirections &&
                by_direction_[0].sizes() == prompt_.sizes(),
            "texts of the directions ", by_direction_.sizes());
}

at::Tensor PromptEmbeddings::text(const ViewAngles& views, bool view_dependent) const {
  const int64_t n = views.size();
  const auto negative = negative_.expand({n, -1, -1});
  if (!view_dependent) return at::cat({prompt_.expand({n, -1, -1}), negative});
  const auto elevation = host(views.elevation_deg, "elevation_deg");
  const auto azimuth = host(views.azimuth_deg, "azimuth_deg");
  std::vector<at::Tensor> rows;
  for (int64_t i = 0; i < n; ++i)
    rows.push_back(by_direction_[static_cast<int64_t>(
        direction_of(elevation.data_ptr<float>()[i], azimuth.data_ptr<float>()[i], rules_))]);
  return at::cat({at::stack(rows), negative});
}

PerpNegText PromptEmbeddings::perp_neg_text(const ViewAngles& views) const {
  const int64_t n = views.size();
  const auto elevation = host(views.elevation_deg, "elevation_deg");
  const auto azimuth = host(views.azimuth_deg, "azimuth_deg");
  const auto of = [this](size_t direction) { return by_direction_[static_cast<int64_t>(direction)]; };
  std::vector<at::Tensor> positive, opposing;
  auto weights = at::empty({n, 2}, at::kFloat);
  for (int64_t i = 0; i < n; ++i) {
    const Mix mix = mix_of(elevation.data_ptr<float>()[i], azimuth.data_ptr<float>()[i], rules_, perp_neg_);
    at::Tensor text;
    for (size_t d = 0; d < mix.positive.size(); ++d) {
      if (mix.positive[d] == 0) continue;
      const auto part = mix.positive[d] == 1 ? of(d) : of(d) * mix.positive[d];
      text = text.defined() ? text + part : part;
    }
    positive.push_back(text);
    for (size_t k = 0; k < 2; ++k) {
      opposing.push_back(mix.is_overhead ? negative_ : of(static_cast<size_t>(mix.opposing[k])));
      weights.data_ptr<float>()[2 * i + static_cast<int64_t>(k)] = mix.weights[k];
    }
  }
  PerpNegText out;
  out.positive = at::stack(positive);
  out.negative = negative_.expand({n, -1, -1});
  out.opposing = at::stack(opposing).reshape({n, 2, prompt_.size(0), prompt_.size(1)});
  out.weights = weights.to(prompt_.device());
  return out;
}

}  // namespace t3d::guidance
