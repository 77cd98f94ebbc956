#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <sstream>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/data/dataset.h"

namespace t3d::data {
namespace {

namespace fs = std::filesystem;

/// The numbers of a text file, line by line. Lines that start with something else end the list: NSVF puts a
/// remark there at times.
std::vector<std::vector<double>> read_numbers(const std::string& path) {
  std::istringstream in(read_whole_file(path, 1 << 20));
  std::vector<std::vector<double>> lines;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::vector<double> numbers;
    for (double number = 0; words >> number;) numbers.push_back(number);
    if (!numbers.empty()) lines.push_back(std::move(numbers));
  }
  return lines;
}

/// f as the first number (synthetic scenes), or a matrix with fx 0 cx / 0 fy cy in its first two rows.
Lens read_lens(const std::string& path) {
  const auto lines = read_numbers(path);
  if (lines.empty() || !(lines[0][0] > 0) || !std::isfinite(lines[0][0]))
    throw UserError(cat(path, ":1: a focal length in pixels was expected."));
  Lens lens;
  lens.cx = lens.cy = -1;
  lens.fx = lens.fy = static_cast<float>(lines[0][0]);
  const bool is_matrix = lines.size() >= 3 && lines[0].size() >= 3 && lines[1].size() >= 3 &&
                         lines[0][1] == 0 && lines[1][0] == 0 && lines[1][1] > 0;
  if (is_matrix) {
    lens.fy = static_cast<float>(lines[1][1]);
    lens.cx = static_cast<float>(lines[0][2]);
    lens.cy = static_cast<float>(lines[1][2]);
  }
  return lens;
}

Mat4d read_pose(const std::string& path) {
  const auto lines = read_numbers(path);
  if (lines.size() < 3 || lines.size() > 4)
    throw UserError(
        cat(path, ": ", lines.size(), " rows of numbers where a 4x4 camera-to-world matrix was expected."));
  Mat4d m = Mat4d::Identity();
  for (size_t r = 0; r < lines.size(); ++r) {
    if (lines[r].size() != 4)
      throw UserError(cat(path, ":", r + 1, ": ", lines[r].size(), " numbers where 4 were expected."));
    for (size_t c = 0; c < 4; ++c) m(static_cast<int>(r), static_cast<int>(c)) = lines[r][c];
  }
  return flip_camera_axes(checked_pose(m, path));
}

/// The box is widened so that the object's edge does not touch the field's: ngp_pl's factors.
double margin_of(const std::string& folder) {
  std::string name = fs::path(folder).filename().string();
  if (name.empty()) name = fs::path(folder).parent_path().filename().string();
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (name == "mic") return 1.2;
  if (name == "lego") return 1.1;
  return 1.05;
}

}  // namespace

Dataset read_nsvf(const std::string& folder, const PosedImagesOptions& options) {
  Dataset set;
  set.kind = "nsvf";
  set.folder = folder;
  const Lens lens = read_lens(folder + "/intrinsics.txt");
  const std::string box_path = folder + "/bbox.txt";
  const auto box = read_numbers(box_path);
  if (box.empty() || box[0].size() < 6)
    throw UserError(cat(box_path, ":1: six numbers were expected: the box's lower and upper corner."));
  const Vec3d min(box[0][0], box[0][1], box[0][2]), max(box[0][3], box[0][4], box[0][5]);
  if (!min.allFinite() || !max.allFinite() || !((max - min).minCoeff() > 0))
    throw UserError(cat(box_path, ":1: the box is empty; its lower corner must come first."));
  const PosedImagesOptions defaults;
  set.scene_from_world =
      fit_box(min, max, options.box_margin != defaults.box_margin ? options.box_margin : margin_of(folder));

  std::vector<std::string> names;
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(folder + "/pose", failure))
    if (entry.path().extension() == ".txt") names.push_back(entry.path().stem().string());
  if (failure) throw SystemError(cat(folder, "/pose: cannot be listed: ", failure.message(), "."));
  std::sort(names.begin(), names.end(), natural_less);
  bool has_2 = false;
  for (const auto& name : names) has_2 = has_2 || name.rfind("2_", 0) == 0;
  for (const auto& name : names) {
    Frame frame;
    frame.place = folder + "/pose/" + name + ".txt";
    frame.name = "rgb/" + name + ".png";
    frame.written = "rgb/" + name;
    frame.folder = folder;
    frame.lens = lens;
    frame.camera_to_world = read_pose(frame.place);
    const std::string prefix = name.substr(0, 2);
    if (prefix == "0_")
      set.train.push_back(frame);
    else if (prefix == "1_")
      (has_2 ? set.val : set.test).push_back(frame);
    else if (prefix == "2_")
      set.test.push_back(frame);
    else
      set.unsplit.push_back(frame);
  }
  if (!set.train.empty()) set.unsplit.clear();
  if (set.train.empty() && set.unsplit.empty())
    throw UserError(cat(folder, "/pose: no camera for training; files named 0_*.txt were expected."));
  return set;
}

}  // namespace t3d::data
