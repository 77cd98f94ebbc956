#include "t3d/evaluate/view_folders.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/interrupt.h"
#include "t3d/evaluate/report_table.h"
#include "t3d/io/image_format.h"

namespace t3d::evaluate {
namespace {

namespace fs = std::filesystem;

constexpr size_t kAtOnce = 32;  // pictures in memory

struct Folder {
  std::string prompt, path;
  std::vector<std::string> pictures;
};

std::vector<Folder> list_folders(const std::string& folder) {
  if (!fs::is_directory(folder))
    throw SystemError(
        cat(folder, ": there is no such folder, expected one with a sub-folder of pictures per prompt."));
  std::vector<Folder> out;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_directory() || name[0] == '.') continue;
    Folder f{name, entry.path().string(), {}};
    std::replace(f.prompt.begin(), f.prompt.end(), '_', ' ');
    for (const auto& file : fs::directory_iterator(entry.path()))
      if (file.is_regular_file() && io::is_image_file(file.path().string()))
        f.pictures.push_back(file.path().string());
    if (f.pictures.empty())
      throw UserError(
          cat(f.path,
              ": holds no pictures (.png, .jpg, .webp, ...). Every sub-folder is a prompt with its views; "
              "take this one away, or put them there."));
    std::sort(f.pictures.begin(), f.pictures.end());
    out.push_back(std::move(f));
  }
  if (out.empty())
    throw UserError(cat(folder,
                        ": holds no sub-folders, expected one for each prompt, named as the prompt with _ "
                        "for spaces."));
  std::sort(out.begin(), out.end(), [](const Folder& a, const Folder& b) { return a.path < b.path; });
  return out;
}

/// The square at the left edge.
io::Image8 first_panel(const std::string& path) {
  const io::Image8 whole = io::read_image(path, 3);
  if (whole.width < whole.height)
    throw UserError(cat(path, ": is ", whole.width, " pixels wide and ", whole.height,
                        " high, expected a square, or panels side by side."));
  io::Image8 out(whole.height, whole.height, 3);
  for (int y = 0; y < out.height; ++y)
    std::copy_n(whole.at(0, y), static_cast<size_t>(3 * out.width), out.at(0, y));
  return out;
}

}  // namespace

ViewsReport evaluate_view_folders(const std::string& folder, const Judge& judge,
                                  const std::function<void(int64_t, int64_t)>& on_prompt,
                                  const StopToken& stop) {
  const auto folders = list_folders(folder);
  std::vector<std::string> prompts;
  for (const Folder& f : folders) prompts.push_back(f.prompt);
  const at::Tensor words = judge.texts(prompts);  // [prompts,S]
  ViewsReport report;
  std::vector<double> similarities, recalls;
  for (size_t i = 0; i < folders.size(); ++i) {
    const auto& paths = folders[i].pictures;
    PromptResult result;
    result.prompt = folders[i].prompt;
    result.n_images = static_cast<int64_t>(paths.size());
    double sum = 0;
    int64_t n_right = 0;
    for (size_t first = 0; first < paths.size(); first += kAtOnce) {
      stop.throw_if_requested("nothing was written");
      std::vector<io::Image8> pictures;
      for (size_t k = first; k < std::min(first + kAtOnce, paths.size()); ++k)
        pictures.push_back(first_panel(paths[k]));
      const auto cosines = judge.pictures(pictures).matmul(words.t());  // [n,prompts]
      sum += cosines.select(1, static_cast<int64_t>(i)).sum(at::kDouble).item<double>();
      n_right += cosines.argmax(1).eq(static_cast<int64_t>(i)).sum().item<int64_t>();
    }
    result.similarity = sum / static_cast<double>(result.n_images);
    result.recall = static_cast<double>(n_right) / static_cast<double>(result.n_images);
    similarities.push_back(result.similarity);
    recalls.push_back(result.recall);
    report.prompts.push_back(std::move(result));
    if (on_prompt) on_prompt(static_cast<int64_t>(i) + 1, static_cast<int64_t>(folders.size()));
  }
  report.similarity = mean_of(similarities);
  report.recall = mean_of(recalls);
  return report;
}

nlohmann::json report_json(const ViewsReport& report) {
  nlohmann::json prompts = nlohmann::json::array();
  for (const PromptResult& p : report.prompts)
    prompts.push_back(
        {{"prompt", p.prompt}, {"images", p.n_images}, {"similarity", p.similarity}, {"recall", p.recall}});
  return {{"similarity", estimate_json(report.similarity)},
          {"recall", estimate_json(report.recall)},
          {"candidates", report.prompts.size()},
          {"prompts", std::move(prompts)}};
}

std::string report_markdown(const ViewsReport& report) {
  return table_heading() + table_row("CLIP similarity", report.similarity, {1, "", 4}, "prompts") +
         table_row("R-precision", report.recall, kPercent, "prompts");
}

void write_text_reports(const std::string& folder, const ViewsReport& report) {
  std::string similarity, recall;
  for (const PromptResult& p : report.prompts) {
    similarity += cat(p.prompt, ": ", p.similarity, "\n");
    recall += cat(p.prompt, ": ", p.recall, "\n");
  }
  make_folders(folder);
  write_file_atomically((fs::path(folder) / "similarity.txt").string(),
                        cat(similarity, "average: ", report.similarity.value, "\n"));
  write_file_atomically((fs::path(folder) / "recall.txt").string(),
                        cat(recall, "average: ", report.recall.value, "\n"));
}

}  // namespace t3d::evaluate
