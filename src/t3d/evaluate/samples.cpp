#include "t3d/evaluate/samples.h"

#include <ATen/ATen.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "t3d/core/interrupt.h"
#include "t3d/evaluate/captions.h"

namespace t3d::evaluate {
namespace {

using nlohmann::json;

constexpr uint64_t kTruthSeed = 0x7f00000;

std::optional<toybox::Description> described(const std::string& caption) {
  try {
    return toybox::parse_caption(caption);
  } catch (const UserError&) {
    return std::nullopt;
  }
}

/// Objects of the caption from the same sides, before the backgrounds of the pictures that they stand beside:
/// what melts into the background there melts into it here.
ColourVerdict colours_of(const toybox::Description& description, const std::vector<io::Image8>& views,
                         const SampleSettings& s) {
  Orbit orbit = s.orbit;
  orbit.n_views = static_cast<int>(views.size());
  orbit.resolution = views[0].width;
  std::vector<Backdrop> backdrops;
  for (const io::Image8& view : views) backdrops.push_back(backdrop_of(view));
  std::vector<ColourShares> truths;
  for (int k = 0; k < s.n_truths; ++k) {
    throw_if_interrupted("nothing was written");
    auto truth = truth_views(description, kTruthSeed + static_cast<uint64_t>(k), orbit);
    for (size_t v = 0; v < truth.size(); ++v) truth[v] = before_colour(truth[v], backdrops[v].srgb);
    truths.push_back(colour_shares(truth, backdrops));
  }
  return check_colours(named_colours(description), truths, colour_shares(views, backdrops));
}

/// `words`: [candidates,S], the own caption's first.
CaptionResult judged(const std::vector<io::Image8>& views, const at::Tensor& words, const Judge& judge,
                     const std::vector<std::string>& texts, const std::vector<int64_t>& rows) {
  const auto cosines = judge.pictures(views).matmul(words.t());  // [V,candidates]
  const auto mean = cosines.mean(0);
  CaptionResult out;
  out.caption = texts[static_cast<size_t>(rows[0])];
  out.rank = 1 + mean.gt(mean[0]).sum().item<int64_t>();
  out.chosen = texts[static_cast<size_t>(rows[static_cast<size_t>(mean.argmax().item<int64_t>())])];
  out.n_views = static_cast<int64_t>(views.size());
  out.n_views_right = cosines.argmax(1).eq(0).sum().item<int64_t>();
  out.clip_score = 100 * cosines.select(1, 0).clamp_min(0).mean().item<double>();
  return out;
}

json estimate_json(const Estimate& e) {
  if (e.n == 0) return nullptr;
  return {{"value", e.value}, {"ci95", {e.low, e.high}}, {"n", e.n}};
}

json verdict_json(const ColourVerdict& verdict) {
  json parts = json::array(), strangers = json::array();
  for (const auto& p : verdict.parts)
    parts.push_back({{"part", p.part},
                     {"colour", p.colour},
                     {"right", p.is_right},
                     {"share", p.share},
                     {"share_bounds", {p.low, p.high}},
                     {"height", p.height},
                     {"height_bounds", {p.lowest, p.highest}}});
  for (const auto& s : verdict.strangers)
    strangers.push_back({{"colour", s.colour}, {"share", s.share}, {"bound", s.high}});
  return {{"parts", std::move(parts)}, {"strangers", std::move(strangers)}};
}

}  // namespace

SampleReport evaluate_samples(const SampleSettings& s, const Judge& judge, const MakeViews& make_views,
                              const OnCaption& on_caption) {
  const Candidates candidates(s.captions, s.n_candidates, s.seed);
  const at::Tensor words = judge.texts(candidates.texts());  // [texts,S]
  SampleReport report;
  int64_t n_first = 0, n_parts = 0, n_parts_right = 0;
  std::vector<double> view_shares, scores;
  for (size_t i = 0; i < s.captions.size(); ++i) {
    throw_if_interrupted("nothing was written");
    const auto views = make_views(i);
    T3D_CHECK(!views.empty(), "no views");
    const auto& rows = candidates.rows_of(i);
    CaptionResult result =
        judged(views, words.index_select(0, at::tensor(rows)), judge, candidates.texts(), rows);
    const auto description = described(s.captions[i]);
    if (description && s.n_truths > 0) result.colours = colours_of(*description, views, s);
    n_first += result.rank == 1;
    view_shares.push_back(static_cast<double>(result.n_views_right) / static_cast<double>(result.n_views));
    scores.push_back(result.clip_score);
    if (result.colours) {
      n_parts += result.colours->n_parts();
      n_parts_right += result.colours->n_right();
    }
    if (on_caption) on_caption(i, views, result);
    report.captions.push_back(std::move(result));
  }
  report.r_precision = share_of(n_first, static_cast<int64_t>(s.captions.size()));
  report.r_precision_views = mean_of(view_shares);
  report.colour_accuracy = share_of(n_parts_right, n_parts);
  report.clip_score = mean_of(scores);
  return report;
}

json report_json(const SampleReport& report) {
  json captions = json::array();
  for (const CaptionResult& r : report.captions) {
    json entry = {
        {"caption", r.caption},           {"chosen", r.chosen},        {"rank", r.rank}, {"views", r.n_views},
        {"views_right", r.n_views_right}, {"clip_score", r.clip_score}};
    entry["colours"] = r.colours ? verdict_json(*r.colours) : json(nullptr);
    captions.push_back(std::move(entry));
  }
  return {{"r_precision", estimate_json(report.r_precision)},
          {"r_precision_views", estimate_json(report.r_precision_views)},
          {"colour_accuracy", estimate_json(report.colour_accuracy)},
          {"clip_score", estimate_json(report.clip_score)},
          {"captions", std::move(captions)}};
}

std::string report_markdown(const SampleReport& report) {
  std::string out = "| figure | value | 95 % interval | of |\n| --- | --- | --- | --- |\n";
  const auto row = [&out](const char* name, const Estimate& e, double scale, const char* unit,
                          const char* of) {
    char line[160];
    if (e.n == 0)
      std::snprintf(line, sizeof line, "| %s | not measured | | |\n", name);
    else
      std::snprintf(line, sizeof line, "| %s | %.1f%s | %.1f to %.1f%s | %lld %s |\n", name, scale * e.value,
                    unit, scale * e.low, scale * e.high, unit, static_cast<long long>(e.n), of);
    out += line;
  };
  row("R-precision, all views of a caption", report.r_precision, 100, " %", "captions");
  row("R-precision, single views", report.r_precision_views, 100, " %", "captions");
  row("colour accuracy", report.colour_accuracy, 100, " %", "named parts");
  row("CLIP score", report.clip_score, 1, "", "captions");
  return out;
}

}  // namespace t3d::evaluate
