#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "t3d/evaluate/object_set.h"
#include "t3d/evaluate/samples.h"

namespace t3d::evaluate {

struct ObjectSettings {
  int64_t n_candidates = 100;
  int n_truths = 8;  ///< objects of each caption to compare with; 0: shapes and colours are not measured
  Orbit orbit{8, 128, 15};
  uint64_t seed = 0;
  StopToken stop;  ///< asked between objects and between truths
};

/// An object beside the true ones of its caption.
struct ShapeResult {
  double iou = 0;           ///< the best of the truths', by the same cameras
  double iou_aligned = 0;   ///< the same after the object's box was fitted to the truth's
  int64_t best = 0;         ///< which truth iou is of
  double chroma = 0;        ///< view_measures.h; 0 when nothing is seen
  double truth_chroma = 0;  ///< mean of the truths'
};

struct ObjectResult {
  ObjectEntry entry;
  CaptionResult judged;
  std::optional<ShapeResult> shape;  ///< none where the text is no caption of the toybox
};

struct ObjectsReport {
  std::vector<ObjectResult> objects;
  std::vector<ObjectFailure> failures;
  SampleReport judged;          ///< its captions are in `objects` instead
  Estimate r_precision_of_all;  ///< objects that failed are not found
  Estimate silhouette_iou, silhouette_iou_aligned;
  /// Of objects against their truths, of captions whose truths have a chroma of at least kColourful.
  Estimate chroma_ratio;
  /// 1 - the mean cosine of the judge's unit vectors of two objects of a caption in the same view; of
  /// captions with several objects.
  Estimate diversity;
};

/// Below, truths are grey, white or black, and a ratio to them is of noise.
constexpr double kColourful = 10;

/// Told of every object that is done: its pictures and those of the best truth (empty without truths), both
/// before the same grey. `result` is null and the pictures are empty for an object that failed.
using OnObject = std::function<void(size_t i, const std::vector<io::Image8>& views,
                                    const std::vector<io::Image8>& best, const ObjectResult* result)>;

/// How well objects show what their captions say, and how near they are to true ones: docs/evaluate.md. An
/// object whose mesh cannot be had (UserError, SystemError) becomes a failure. Objects of a caption should be
/// neighbours, so that its truths are traced once. A stop that is asked for throws Interrupted.
/// Throws UserError when every object fails.
ObjectsReport evaluate_objects(const ObjectSettings& settings, const ObjectSet& set, const Judge& judge,
                               const OnObject& on_object = nullptr);

nlohmann::json report_json(const ObjectsReport& report);
/// A table with a row for each figure, then the failures.
std::string report_markdown(const ObjectsReport& report);

}  // namespace t3d::evaluate
