#include "t3d/data/find_images.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "t3d/core/error.h"
#include "t3d/io/resolve_path.h"

namespace t3d::data {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEndings[] = {".png",  ".jpg", ".jpeg", ".PNG", ".JPG", ".JPEG",
                                    ".webp", ".tif", ".tiff", ".bmp", ".tga"};
// Names of folders that programs give to the images, the likeliest first.
constexpr const char* kImageFolders[] = {
    "images", "images_2", "images_4",    "images_8",           "image", "input", "rgb", "color",
    "imgs",   "frames",   "undistorted", "undistorted_images", "train"};

std::string existing(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) ? path.lexically_normal().string() : std::string();
}

/// `path` itself, or with one of the endings that NeRF-synthetic leaves away.
std::string with_ending(const fs::path& path) {
  std::string file = existing(path);
  const std::string own = path.extension().string();
  if (!file.empty() || std::find(std::begin(kEndings), std::end(kEndings), own) != std::end(kEndings))
    return file;
  for (const char* ending : kEndings)
    if (file = existing(path.string() + ending); !file.empty()) return file;
  return {};
}

std::vector<std::string> endings() {
  return {std::begin(kEndings), std::end(kEndings)};
}

class Finder {
 public:
  explicit Finder(const std::string& set_folder) : set_folder_(set_folder) {}

  io::ResolvedPath find(const std::string& folder, const std::string& written) {
    if (std::string file = with_ending(fs::path(folder) / written); !file.empty())
      return {file, io::FoundBy::AsWritten, {}};
    auto [entry, is_new] = resolvers_.try_emplace(folder, std::vector<std::string>{folder, set_folder_},
                                                  io::PathOptions{endings(), {}, false});
    return entry->second.find(written);
  }

  void add_notes(std::vector<std::string>& notes) {
    for (auto& [folder, resolver] : resolvers_)
      for (const auto& note : resolver.take_notes()) notes.push_back(note.text);
  }

 private:
  std::string set_folder_;
  std::map<std::string, io::PathResolver> resolvers_;
};

/// The folders of the data set, those that usually hold the images first.
std::vector<std::string> image_folders(const std::string& set_folder) {
  std::vector<std::string> folders;
  for (const char* name : kImageFolders) folders.push_back(name);
  std::vector<std::string> others;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(set_folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory(ignored) && std::find(folders.begin(), folders.end(), name) == folders.end())
      others.push_back(name);
  }
  std::sort(others.begin(), others.end(), natural_less);
  folders.insert(folders.end(), others.begin(), others.end());
  return folders;
}

/// The frame's image in `folder`: by its path without the first part, or by its last name.
std::string find_in(const fs::path& folder, const Frame& frame) {
  std::string written = frame.written;
  std::replace(written.begin(), written.end(), '\\', '/');
  const fs::path path = fs::path(written).lexically_normal();
  fs::path inner;
  for (auto part = path.begin(); part != path.end(); ++part)
    if (part != path.begin()) inner /= *part;
  for (const fs::path& name : {path.relative_path(), inner, path.filename()}) {
    if (name.empty() || *name.begin() == "..") continue;
    if (std::string file = with_ending(folder / name); !file.empty()) return file;
  }
  return {};
}

/// Looks for all images in another folder than the one that the frames name: the first that holds most of
/// them.
void find_elsewhere(Dataset& set) {
  std::string best;
  size_t n_best = 0, n_frames = 0;
  for (const std::string& folder : image_folders(set.folder)) {
    size_t n = 0;
    n_frames = 0;
    for (const auto* list : set.lists())
      for (const Frame& frame : *list)
        n += find_in(fs::path(set.folder) / folder, frame).empty() ? 0 : 1, ++n_frames;
    if (n > n_best) best = folder, n_best = n;
  }
  if (n_best == 0) return;
  for (auto* list : set.lists())
    for (Frame& frame : *list) frame.file = find_in(fs::path(set.folder) / best, frame);
  set.notes.push_back(cat("the images are not where the cameras' file names them; ", n_best, " of ", n_frames,
                          " were found in ", best, "/"));
}

void check_one_frame_a_file(const std::vector<Frame>& frames) {
  std::map<std::string, const Frame*> seen;
  for (const Frame& frame : frames) {
    if (frame.file.empty()) continue;
    const auto [other, is_new] = seen.emplace(frame.file, &frame);
    if (!is_new)
      throw UserError(cat(frame.place, ": ", frame.written, " and ", other->second->written,
                          " both lead to the image ", frame.file,
                          ". Put each image where its camera names it."));
  }
}

}  // namespace

void find_images(Dataset& set) {
  Finder finder(set.folder);
  size_t n_found = 0;
  for (auto* list : set.lists())
    for (Frame& frame : *list) {
      frame.file = finder.find(frame.folder, frame.written).path;
      n_found += frame.file.empty() ? 0 : 1;
    }
  if (n_found == 0) find_elsewhere(set);
  for (auto* list : set.lists()) {
    for (Frame& frame : *list) {
      if (frame.file.empty() || frame.mask.empty() || !frame.mask_file.empty()) continue;
      const io::ResolvedPath mask = finder.find(frame.folder, frame.mask);
      // A file of that name elsewhere is likelier an image than its mask.
      if (!mask || mask.by >= io::FoundBy::LastName)
        throw UserError(cat(frame.place, ": mask_path: there is no ", frame.mask, " in ", frame.folder,
                            ". Put the mask there, or remove the key to train on all pixels."));
      frame.mask_file = mask.path;
    }
    check_one_frame_a_file(*list);
  }
  finder.add_notes(set.notes);
}

}  // namespace t3d::data
