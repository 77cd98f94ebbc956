#include "t3d/evaluate/colour_check.h"

#include <algorithm>

#include "t3d/core/error.h"
#include "t3d/toybox/palette.h"

namespace t3d::evaluate {
namespace {

constexpr double kLow = 0.45, kHigh = 1.4, kMargin = 0.05, kStrangerMargin = 0.1, kHeightMargin = 0.12;
constexpr double kVisible = 0.003;  // share below which a colour has no place

void append(std::vector<NamedColour>& out, const toybox::Item& item) {
  if (!item.colour.empty()) out.push_back({item.kind->name, item.colour});
  if (!item.second.empty()) out.push_back({item.kind->second, item.second});
}

}  // namespace

std::vector<NamedColour> named_colours(const toybox::Description& description) {
  std::vector<NamedColour> out;
  append(out, description.item);
  if (description.other) append(out, *description.other);
  return out;
}

int64_t ColourVerdict::n_right() const {
  return std::count_if(parts.begin(), parts.end(), [](const Part& part) { return part.is_right; });
}

ColourVerdict check_colours(const std::vector<NamedColour>& named, const std::vector<ColourShares>& truths,
                            const ColourShares& seen) {
  T3D_CHECK(!truths.empty(), "no truths");
  const auto& palette = toybox::palette();
  ColourVerdict verdict;
  for (size_t c = 0; c < palette.size(); ++c) {
    double least = 1, most = 0, lowest = 1, highest = 0;
    for (const ColourShares& truth : truths) {
      least = std::min(least, truth[c].share);
      most = std::max(most, truth[c].share);
      if (truth[c].share < kVisible) continue;
      lowest = std::min(lowest, truth[c].height);
      highest = std::max(highest, truth[c].height);
    }
    bool is_named = false;
    for (const NamedColour& part : named) {
      if (part.colour != palette[c].name) continue;
      is_named = true;
      if (most < kVisible) continue;
      ColourVerdict::Part p{part.part,
                            part.colour,
                            seen[c].share,
                            kLow * least,
                            kHigh * most + kMargin,
                            seen[c].height,
                            lowest - kHeightMargin,
                            highest + kHeightMargin,
                            false};
      p.is_right = p.share > 0 && p.share >= p.low && p.share <= p.high &&
                   (p.share < kVisible || (p.height >= p.lowest && p.height <= p.highest));
      verdict.parts.push_back(std::move(p));
    }
    const double high = kHigh * most + kStrangerMargin;
    if (!is_named && seen[c].share > high)
      verdict.strangers.push_back({palette[c].name, seen[c].share, high});
  }
  return verdict;
}

}  // namespace t3d::evaluate
