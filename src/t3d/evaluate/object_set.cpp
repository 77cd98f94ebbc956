#include "t3d/evaluate/object_set.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <tuple>

#include "t3d/core/error.h"
#include "t3d/evaluate/samples.h"
#include "t3d/io/json_file.h"
#include "t3d/io/read_mesh.h"
#include "t3d/toybox/object.h"

namespace t3d::evaluate {
namespace {

namespace fs = std::filesystem;

const char* const kRun = "run.json";
const char* const kMesh = "mesh.glb";
constexpr size_t kReasonsTold = 3;

std::string plain_caption(const std::string& text) {
  const auto description = description_of(text);
  return description ? toybox::caption(*description) : text;
}

std::string text_at(const nlohmann::json& run, const char* key) {
  const auto found = run.find(key);
  return found != run.end() && found->is_string() ? found->get<std::string>() : "";
}

ObjectEntry read_entry(const fs::path& folder) {
  const std::string path = (folder / kRun).string();
  if (!fs::exists(path))
    throw SystemError(cat(path, ": is not there. t3d generate writes it last; let it finish with --resume."));
  const nlohmann::json run = io::read_json_file(path);
  ObjectEntry entry;
  entry.name = fs::absolute(folder).lexically_normal().filename().string();
  if (run.is_object()) {
    entry.prompt = text_at(run, "prompt");
    entry.caption = text_at(run, "caption");
    if (const auto seed = run.find("seed"); seed != run.end() && seed->is_number_integer())
      entry.seed = seed->get<int64_t>();
  }
  if (entry.prompt.empty()) entry.prompt = entry.caption;
  if (entry.prompt.empty())
    throw UserError(cat(path, ": has no \"prompt\", so what the object shall be is not known."));
  entry.caption = plain_caption(entry.caption.empty() ? entry.prompt : entry.caption);
  return entry;
}

std::vector<fs::path> object_folders(const std::string& folder) {
  if (!fs::is_directory(folder))
    throw SystemError(cat(folder,
                          ": there is no such folder, expected one with a sub-folder for each object as t3d "
                          "generate leaves it, or ground-truth."));
  if (fs::exists(fs::path(folder) / kRun) && fs::exists(fs::path(folder) / kMesh)) return {folder};
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_directory() && entry.path().filename().string()[0] != '.') out.push_back(entry.path());
  std::sort(out.begin(), out.end());
  if (out.empty())
    throw UserError(cat(folder,
                        ": holds no sub-folders, expected one for each object as t3d generate leaves "
                        "it, with run.json and mesh.glb."));
  return out;
}

}  // namespace

ObjectSet objects_in_folder(const std::string& folder) {
  ObjectSet set;
  std::vector<std::pair<ObjectEntry, std::string>> found;
  for (const fs::path& path : object_folders(folder)) try {
      found.emplace_back(read_entry(path), (path / kMesh).string());
    } catch (const Error& e) {
      set.failures.push_back({path.filename().string(), "", e.what()});
    }
  if (found.empty()) {
    std::string reasons;
    for (size_t i = 0; i < std::min(kReasonsTold, set.failures.size()); ++i)
      reasons += " " + set.failures[i].reason;
    throw UserError(cat(folder, ": none of ", set.failures.size(), " sub-folders holds an object.", reasons));
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return std::tie(a.first.caption, a.first.name) < std::tie(b.first.caption, b.first.name);
  });
  std::vector<std::string> meshes;
  for (auto& [entry, mesh] : found) {
    set.entries.push_back(std::move(entry));
    meshes.push_back(std::move(mesh));
  }
  set.load = [meshes](size_t i) { return io::read_mesh(meshes[i]); };
  return set;
}

ObjectSet objects_of_truth(const std::vector<std::string>& captions, int64_t per_caption, uint64_t seed,
                           const std::string& from) {
  ObjectSet set;
  set.is_lit = true;
  std::vector<toybox::Description> descriptions;
  for (const std::string& caption : captions) {
    try {
      descriptions.push_back(toybox::parse_caption(caption));
    } catch (const UserError& e) {
      throw UserError(cat(from, ": the world has no object for \"", caption, "\": ", e.what()));
    }
    for (int64_t k = 0; k < per_caption; ++k) {
      const auto i = static_cast<int64_t>(set.entries.size());
      set.entries.push_back({cat("truth-", i), caption, toybox::caption(descriptions.back()), i});
    }
  }
  set.load = [descriptions, per_caption, seed](size_t i) {
    const auto& description = descriptions[i / static_cast<size_t>(per_caption)];
    return toybox::make_object(description, draw_for_caption(seed, i).object_seed).mesh;
  };
  return set;
}

}  // namespace t3d::evaluate
