#include "t3d/evaluate/objects.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "t3d/core/interrupt.h"
#include "t3d/evaluate/report_table.h"
#include "t3d/evaluate/view_measures.h"
#include "t3d/trace/path_tracer.h"

namespace t3d::evaluate {
namespace {

using nlohmann::json;
using Views = std::vector<io::Image8>;

constexpr int kOutlineRays = 8;  // per pixel of an aligned silhouette

/// The silhouettes of the object, its box fitted to the truth's.
Views fitted_views(const trace::Scene& scene, const Box3f& bounds, const Truth& truth, const Orbit& orbit) {
  trace::RenderSettings settings;
  settings.samples = kOutlineRays;
  settings.unlit = true;
  Views views;
  for (int v = 0; v < orbit.n_views; ++v) {
    const Camera camera = camera_for_fitted(orbit.camera(v), bounds, truth.bounds);
    views.push_back(trace::render_view(scene, camera, settings).rgba);
  }
  return views;
}

ShapeResult compared(const trace::Scene& scene, const Box3f& bounds, const Views& views,
                     const std::vector<Truth>& truths, const Orbit& orbit, const StopToken& stop) {
  ShapeResult out;
  for (size_t k = 0; k < truths.size(); ++k) {
    stop.throw_if_requested("nothing was written");
    const double iou = silhouette_iou(views, truths[k].views);
    if (iou > out.iou) out.iou = iou, out.best = static_cast<int64_t>(k);
    out.iou_aligned = std::max(
        out.iou_aligned, silhouette_iou(fitted_views(scene, bounds, truths[k], orbit), truths[k].views));
    out.truth_chroma += mean_chroma(truths[k].views).value_or(0) / static_cast<double>(truths.size());
  }
  out.chroma = mean_chroma(views).value_or(0);
  return out;
}

Views before_grey(const Views& views, float grey) {
  Views out;
  for (const io::Image8& view : views) out.push_back(before_colour(view, Vec3f::Constant(grey)));
  return out;
}

/// 1 - mean cosine over pairs of rows, averaged over views. `pictures`: [V,S] of each object. With the sum s
/// of n unit vectors, the n (n - 1) ordered pairs have the cosines' sum |s|^2 - n.
double diversity_of(const std::vector<at::Tensor>& pictures) {
  const double n = static_cast<double>(pictures.size());
  const auto sums = at::stack(pictures).to(at::kDouble).sum(0);     // [V,S]
  const auto cosines = (sums.square().sum(1) - n) / (n * (n - 1));  // [V]
  return 1 - cosines.mean().item<double>();
}

/// The figures of what was measured.
void summarize(ObjectsReport& report) {
  std::vector<CaptionResult> judged;
  std::vector<double> ious, aligned, ratios, diversities;
  std::vector<std::string> shaped, coloured;
  std::map<std::string, std::vector<at::Tensor>> pictures;
  int64_t n_found = 0;
  for (const ObjectResult& o : report.objects) {
    judged.push_back(o.judged);
    pictures[o.entry.caption].push_back(o.judged.pictures);
    n_found += o.judged.rank == 1;
    if (!o.shape) continue;
    shaped.push_back(o.entry.caption);
    ious.push_back(o.shape->iou);
    aligned.push_back(o.shape->iou_aligned);
    if (o.shape->truth_chroma < kColourful) continue;
    coloured.push_back(o.entry.caption);
    ratios.push_back(o.shape->chroma / o.shape->truth_chroma);
  }
  for (const auto& [caption, of_caption] : pictures)
    if (of_caption.size() > 1) diversities.push_back(diversity_of(of_caption));
  const auto n_failed = static_cast<int64_t>(report.failures.size());
  const auto n_all = static_cast<int64_t>(report.objects.size()) + n_failed;
  report.r_precision_of_all =
      share_of(n_found, n_all, static_cast<double>(static_cast<int64_t>(pictures.size()) + n_failed));
  report.judged = summarize(std::move(judged));
  report.judged.captions.clear();
  report.silhouette_iou = mean_by_caption(ious, shaped);
  report.silhouette_iou_aligned = mean_by_caption(aligned, shaped);
  report.chroma_ratio = mean_by_caption(ratios, coloured);
  report.diversity = mean_of(diversities);
}

json shape_json(const ShapeResult& s) {
  return {{"silhouette_iou", s.iou},
          {"silhouette_iou_aligned", s.iou_aligned},
          {"best_truth", s.best},
          {"chroma", s.chroma},
          {"truth_chroma", s.truth_chroma}};
}

}  // namespace

ObjectsReport evaluate_objects(const ObjectSettings& s, const ObjectSet& set, const Judge& judge,
                               const OnObject& on_object) {
  SampleSettings sample_settings;
  for (const ObjectEntry& entry : set.entries) sample_settings.captions.push_back(entry.caption);
  sample_settings.n_candidates = s.n_candidates;
  sample_settings.seed = s.seed;
  const SampleScorer scorer(sample_settings, judge);

  ObjectsReport report;
  report.failures = set.failures;
  std::map<std::string, float> greys;  // one for all objects of a caption, so that only they differ
  std::string traced;
  std::vector<Truth> truths;  // of the caption `traced`
  for (size_t i = 0; i < set.entries.size(); ++i) {
    s.stop.throw_if_requested("nothing was written");
    const ObjectEntry& entry = set.entries[i];
    const float grey = greys.emplace(entry.caption, draw_for_caption(s.seed, i).grey).first->second;
    io::Mesh mesh;
    std::string reason;
    try {
      mesh = set.load(i);
    } catch (const UserError& e) {
      reason = e.what();
    } catch (const SystemError& e) {
      reason = e.what();
    }
    if (!reason.empty()) {
      report.failures.push_back({entry.name, entry.caption, reason});
      if (on_object) on_object(i, {}, {}, nullptr);
      continue;
    }
    if (entry.caption != traced) {
      const auto description = description_of(entry.caption);
      truths = description ? make_truths(*description, s.n_truths, s.orbit, s.stop) : std::vector<Truth>();
      traced = entry.caption;
    }
    const Box3f bounds = mesh.bounds();
    const trace::Scene scene(std::move(mesh), trace::Environment(), trace::AreaLight());
    const Views views = orbit_views(scene, s.orbit, draw_for_caption(s.seed, i).object_seed, !set.is_lit);
    const Views shown = before_grey(views, grey);
    ObjectResult result{entry, scorer.score(i, shown, truths), std::nullopt};
    if (!truths.empty()) result.shape = compared(scene, bounds, views, truths, s.orbit, s.stop);
    if (on_object)
      on_object(
          i, shown,
          result.shape ? before_grey(truths[static_cast<size_t>(result.shape->best)].views, grey) : Views(),
          &result);
    report.objects.push_back(std::move(result));
  }
  if (report.objects.empty())
    throw UserError(cat("none of ", report.failures.size(),
                        " objects could be measured: ", report.failures.back().reason));
  summarize(report);
  return report;
}

json report_json(const ObjectsReport& report) {
  json out = report_json(report.judged);
  out.erase("captions");
  json objects = json::array(), failures = json::array();
  for (const ObjectResult& o : report.objects) {
    json entry = caption_json(o.judged);
    entry.update({{"object", o.entry.name}, {"prompt", o.entry.prompt}, {"seed", o.entry.seed}});
    entry["shape"] = o.shape ? shape_json(*o.shape) : json(nullptr);
    objects.push_back(std::move(entry));
  }
  for (const ObjectFailure& f : report.failures)
    failures.push_back({{"object", f.name},
                        {"caption", f.caption.empty() ? json(nullptr) : json(f.caption)},
                        {"reason", f.reason}});
  out.update({{"r_precision_of_all", estimate_json(report.r_precision_of_all)},
              {"silhouette_iou", estimate_json(report.silhouette_iou)},
              {"silhouette_iou_aligned", estimate_json(report.silhouette_iou_aligned)},
              {"chroma_ratio", estimate_json(report.chroma_ratio)},
              {"diversity", estimate_json(report.diversity)},
              {"objects", std::move(objects)},
              {"failures", std::move(failures)}});
  return out;
}

std::string report_markdown(const ObjectsReport& r) {
  constexpr Format kThree{1, "", 3};
  std::string out = table_heading() + table_row("R-precision, all views of an object", r.judged.r_precision,
                                                kPercent, "objects");
  if (!r.failures.empty())
    out += table_row("R-precision, failures not found", r.r_precision_of_all, kPercent, "objects");
  out += table_row("R-precision, single views", r.judged.r_precision_views, kPercent, "captions") +
         table_row("CLIP score", r.judged.clip_score, {}, "captions") +
         table_row("colour accuracy", r.judged.colour_accuracy, kPercent, "named parts") +
         table_row("silhouette IoU, best truth", r.silhouette_iou, kThree, "captions") +
         table_row("silhouette IoU, boxes aligned", r.silhouette_iou_aligned, kThree, "captions") +
         table_row("chroma, of the truth's", r.chroma_ratio, kThree, "captions") +
         table_row("diversity between seeds", r.diversity, kThree, "captions");
  if (r.failures.empty()) return out;
  out += cat("\nNot measured: ", r.failures.size(), " of ", r.failures.size() + r.objects.size(),
             " objects.\n\n");
  for (const ObjectFailure& f : r.failures) out += cat("- ", f.name, ": ", f.reason, "\n");
  return out;
}

}  // namespace t3d::evaluate
