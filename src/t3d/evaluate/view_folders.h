#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "t3d/core/interrupt.h"
#include "t3d/evaluate/interval.h"
#include "t3d/evaluate/judge.h"

namespace t3d::evaluate {

/// What was found for the views of one prompt.
struct PromptResult {
  std::string prompt;
  int64_t n_images = 0;
  double similarity = 0;  ///< mean cosine of its images with it, from -1 to 1
  double recall = 0;      ///< share of its images to which it is the most similar of all prompts
};

struct ViewsReport {
  std::vector<PromptResult> prompts;  ///< by name of the folder
  Estimate similarity, recall;        ///< means over prompts; prompts are resampled for the intervals
};

/// The protocol of ScaleDreamer (Ma et al. 2024, arXiv:2407.02040) for rendered views of many prompts, one
/// folder each, whose name is the prompt with "_" for spaces. Of each picture the square at the left edge is
/// taken (the RGB panel of a strip), resized by a triangle filter to the judge's size. The candidates of
/// every picture are all prompts of the folder. A stop that is asked for throws Interrupted. Throws
/// UserError for a folder without sub-folders, a sub-folder without pictures, and pictures that are higher
/// than wide.
ViewsReport evaluate_view_folders(const std::string& folder, const Judge& judge,
                                  const std::function<void(int64_t done, int64_t total)>& on_prompt = nullptr,
                                  const StopToken& stop = {});

nlohmann::json report_json(const ViewsReport& report);
std::string report_markdown(const ViewsReport& report);
/// similarity.txt and recall.txt as ScaleDreamer writes them: a line for each prompt, then the mean.
void write_text_reports(const std::string& folder, const ViewsReport& report);

}  // namespace t3d::evaluate
