#include "t3d/evaluate/samples.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>
#include <set>

#include "t3d/core/error.h"
#include "t3d/core/interrupt.h"
#include "t3d/evaluate/report_table.h"

namespace t3d::evaluate {
namespace {

using nlohmann::json;

/// Truths stand before the backgrounds of the pictures that they are compared with: what melts into the
/// background there melts into it here.
ColourVerdict colours_of(const toybox::Description& description, const std::vector<io::Image8>& views,
                         const std::vector<Truth>& truths) {
  std::vector<Backdrop> backdrops;
  for (const io::Image8& view : views) backdrops.push_back(backdrop_of(view));
  std::vector<ColourShares> shares;
  for (const Truth& truth : truths) {
    std::vector<io::Image8> pictures;
    for (size_t v = 0; v < views.size(); ++v)
      pictures.push_back(before_colour(truth.views[v], backdrops[v].srgb));
    shares.push_back(colour_shares(pictures, backdrops));
  }
  return check_colours(named_colours(description), shares, colour_shares(views, backdrops));
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

std::optional<toybox::Description> description_of(const std::string& caption) {
  try {
    return toybox::parse_caption(caption);
  } catch (const UserError&) {
    return std::nullopt;
  }
}

SampleScorer::SampleScorer(const SampleSettings& s, const Judge& judge)
    : judge_(judge),
      candidates_(s.captions, s.n_candidates, s.seed),
      words_(judge.texts(candidates_.texts())) {}

CaptionResult SampleScorer::score(size_t i, const std::vector<io::Image8>& views,
                                  const std::vector<Truth>& truths) const {
  T3D_CHECK(!views.empty(), "no views");
  const auto& rows = candidates_.rows_of(i);
  const auto& texts = candidates_.texts();
  const auto words = words_.index_select(0, at::tensor(rows));  // [candidates,S], the own caption's first
  CaptionResult out;
  out.pictures = judge_.pictures(views);                // [V,S]
  const auto cosines = out.pictures.matmul(words.t());  // [V,candidates]
  const auto mean = cosines.mean(0);
  out.caption = texts[static_cast<size_t>(rows[0])];
  out.rank = 1 + mean.gt(mean[0]).sum().item<int64_t>();
  out.chosen = texts[static_cast<size_t>(rows[static_cast<size_t>(mean.argmax().item<int64_t>())])];
  out.n_views = static_cast<int64_t>(views.size());
  out.n_views_right = cosines.argmax(1).eq(0).sum().item<int64_t>();
  out.clip_score = 100 * cosines.select(1, 0).clamp_min(0).mean().item<double>();
  if (!truths.empty())
    if (const auto description = description_of(out.caption))
      out.colours = colours_of(*description, views, truths);
  return out;
}

SampleReport summarize(std::vector<CaptionResult> results) {
  SampleReport report;
  int64_t n_first = 0, n_parts = 0, n_parts_right = 0;
  std::vector<double> view_shares, scores;
  std::vector<std::string> captions;
  for (const CaptionResult& r : results) {
    captions.push_back(r.caption);
    n_first += r.rank == 1;
    view_shares.push_back(static_cast<double>(r.n_views_right) / static_cast<double>(r.n_views));
    scores.push_back(r.clip_score);
    if (!r.colours) continue;
    n_parts += r.colours->n_parts();
    n_parts_right += r.colours->n_right();
  }
  const auto n = static_cast<int64_t>(results.size());
  const double n_captions =
      static_cast<double>(std::set<std::string>(captions.begin(), captions.end()).size());
  const double independent = n == 0 ? 0 : n_captions / static_cast<double>(n);
  report.captions = std::move(results);
  report.r_precision = share_of(n_first, n, n_captions);
  report.r_precision_views = mean_by_caption(view_shares, captions);
  report.colour_accuracy = share_of(n_parts_right, n_parts, independent * static_cast<double>(n_parts));
  report.clip_score = mean_by_caption(scores, captions);
  return report;
}

SampleReport evaluate_samples(const SampleSettings& s, const Judge& judge, const MakeViews& make_views,
                              const OnCaption& on_caption) {
  const SampleScorer scorer(s, judge);
  std::vector<CaptionResult> results;
  for (size_t i = 0; i < s.captions.size(); ++i) {
    s.stop.throw_if_requested("nothing was written");
    const auto views = make_views(i);
    T3D_CHECK(!views.empty(), "no views");
    Orbit orbit = s.orbit;
    orbit.n_views = static_cast<int>(views.size());
    orbit.resolution = views[0].width;
    const auto description = description_of(s.captions[i]);
    const auto truths =
        description ? make_truths(*description, s.n_truths, orbit, s.stop) : std::vector<Truth>();
    results.push_back(scorer.score(i, views, truths));
    if (on_caption) on_caption(i, views, results.back());
  }
  return summarize(std::move(results));
}

json caption_json(const CaptionResult& r) {
  return {{"caption", r.caption},
          {"chosen", r.chosen},
          {"rank", r.rank},
          {"views", r.n_views},
          {"views_right", r.n_views_right},
          {"clip_score", r.clip_score},
          {"colours", r.colours ? verdict_json(*r.colours) : json(nullptr)}};
}

json report_json(const SampleReport& report) {
  json captions = json::array();
  for (const CaptionResult& r : report.captions) captions.push_back(caption_json(r));
  return {{"r_precision", estimate_json(report.r_precision)},
          {"r_precision_views", estimate_json(report.r_precision_views)},
          {"colour_accuracy", estimate_json(report.colour_accuracy)},
          {"clip_score", estimate_json(report.clip_score)},
          {"captions", std::move(captions)}};
}

std::string report_markdown(const SampleReport& report) {
  return table_heading() +
         table_row("R-precision, all views of a caption", report.r_precision, kPercent, "captions") +
         table_row("R-precision, single views", report.r_precision_views, kPercent, "captions") +
         table_row("colour accuracy", report.colour_accuracy, kPercent, "named parts") +
         table_row("CLIP score", report.clip_score, {}, "captions");
}

}  // namespace t3d::evaluate
