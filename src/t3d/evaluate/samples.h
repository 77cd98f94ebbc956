#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "t3d/core/interrupt.h"
#include "t3d/evaluate/captions.h"
#include "t3d/evaluate/colour_check.h"
#include "t3d/evaluate/interval.h"
#include "t3d/evaluate/judge.h"
#include "t3d/evaluate/truth_views.h"

namespace t3d::evaluate {

struct SampleSettings {
  std::vector<std::string> captions;  ///< one may occur several times: its samples are of different seeds
  int64_t n_candidates = 100;
  int n_truths = 8;  ///< objects of each caption that colours are compared with; 0: colours are not measured
  Orbit orbit;       ///< from where pictures are taken; the resolution is the pictures' own
  uint64_t seed = 0;
  StopToken stop;  ///< asked between captions
};

/// What was found for one caption.
struct CaptionResult {
  std::string caption;
  std::string chosen;  ///< the candidate that is the most similar to the mean of the views
  int64_t rank = 0;    ///< of the own caption; 1: chosen
  int64_t n_views = 0, n_views_right = 0;  ///< pictures, and those that alone choose the own caption
  double clip_score = 0;                   ///< mean over the views
  std::optional<ColourVerdict> colours;    ///< none where the text is no caption of the toybox
  at::Tensor pictures;                     ///< [V,S] float, CPU: the judge's unit vectors of the views
};

/// Intervals are over captions: samples of one caption are resampled together, or count together.
struct SampleReport {
  std::vector<CaptionResult> captions;
  Estimate r_precision;        ///< of captions, by the mean of the views' unit vectors
  Estimate r_precision_views;  ///< of single pictures
  Estimate colour_accuracy;    ///< of parts whose colours the captions name
  Estimate clip_score;         ///< 100 max(cosine, 0). Hessel et al. 2021, arXiv:2104.08718
};

/// Tells of pictures how well they show what captions say: what evaluate_samples does, one caption at a time.
class SampleScorer {
 public:
  /// Only captions, n_candidates and seed of the settings count.
  SampleScorer(const SampleSettings& settings, const Judge& judge);

  /// Of caption i, by pictures before one colour each. `truths`: objects of the caption, seen from the same
  /// sides in the same size, that colours are compared with; empty: colours are not measured.
  CaptionResult score(size_t i, const std::vector<io::Image8>& views, const std::vector<Truth>& truths) const;

 private:
  const Judge& judge_;
  Candidates candidates_;
  at::Tensor words_;  // [texts,S]
};

/// The figures of what was scored.
SampleReport summarize(std::vector<CaptionResult> captions);

/// The toybox's description of a text, if it has one.
std::optional<toybox::Description> description_of(const std::string& caption);

/// Pictures of caption i, of one size: a view from each side, or a single one.
using MakeViews = std::function<std::vector<io::Image8>(size_t i)>;
/// Told of every caption that is done, with its pictures.
using OnCaption =
    std::function<void(size_t i, const std::vector<io::Image8>& views, const CaptionResult& result)>;

/// How well pictures show what captions say. R-precision as Jain et al. 2022, arXiv:2112.01455, section 4.1,
/// measure it; colours as docs/evaluate.md says. A stop that is asked for throws Interrupted.
SampleReport evaluate_samples(const SampleSettings& settings, const Judge& judge, const MakeViews& make_views,
                              const OnCaption& on_caption = nullptr);

nlohmann::json report_json(const SampleReport& report);
/// What the report says of one caption.
nlohmann::json caption_json(const CaptionResult& result);
/// A table with a row for each figure.
std::string report_markdown(const SampleReport& report);

}  // namespace t3d::evaluate
