#include "t3d/system/start.h"

#include <algorithm>
#include <filesystem>

#include "t3d/core/config/load_config.h"
#include "t3d/core/config/overrides.h"
#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/core/sentence.h"
#include "t3d/system/saved_weights.h"

namespace t3d::system {
namespace {

namespace fs = std::filesystem;
using config::Node;

NamedTensors tensors_of(const field::Component& part) {
  NamedTensors all, buffers;
  part.collect("", all, buffers);
  all.insert(buffers.begin(), buffers.end());
  return all;
}

/// "PATH:NAME", all of it.
void start_part(System& system, const std::string& part, const std::string& weights) {
  const size_t colon = weights.rfind(':');
  if (colon == std::string::npos || colon + 1 == weights.size())
    throw UserError(cat("system.", part, ".weights is ", weights,
                        ", expected a checkpoint and a part in it. Write path/to/last.ckpt:", part, "."));
  const SavedWeights saved = read_saved_weights(weights.substr(0, colon));
  const std::string prefix = part + ".";
  NamedTensors ours;
  for (const auto& all : {system.parameters(), system.buffers()})
    for (const auto& [name, tensor] : all)
      if (name.rfind(prefix, 0) == 0) ours.emplace(name.substr(prefix.size()), tensor);
  std::map<std::string, std::string> left_out;
  const int64_t n = copy_saved(saved, weights.substr(colon + 1) + ".", ours, left_out);
  if (!left_out.empty())
    throw UserError(cat(saved.path, ": ", weights.substr(colon + 1), ".", left_out.begin()->first, " ",
                        left_out.begin()->second, ". Give system.", part,
                        " the keys of the run that the file is of: its configs/parsed.yaml."));
  log::info(cat(part, ": ", counted(n, "tensor"), " of ", saved.path));
  if (field::Component* component = system.part(part)) component->update_step(saved.step);
}

void start_system(System& system, const std::string& path) {
  const SavedWeights saved = read_saved_weights(path);
  const auto& ignored = system.config().weights_ignore_modules;
  NamedTensors ours;
  for (const auto& all : {system.parameters(), system.buffers()})
    for (const auto& [name, tensor] : all) {
      const std::string part = name.substr(0, name.find('.'));
      if (!ignored || std::find(ignored->begin(), ignored->end(), part) == ignored->end())
        ours.emplace(name, tensor);
    }
  std::map<std::string, std::string> left_out;
  const int64_t n = copy_saved(saved, "", ours, left_out);
  if (n == 0)
    throw UserError(
        cat("system.weights: ", saved.path, " has nothing that fits this system. Name another one."));
  log::info(cat("started from ", counted(n, "tensor"), " of ", saved.path));
  for (const auto& [name, what] : left_out) log::debug(cat("system.weights: ", name, " ", what));
  system.update_step(saved.step, /*is_training=*/false);
}

void convert_geometry(System& system, const std::string& path) {
  const SavedWeights saved = read_saved_weights(path);
  const std::string file =
      (fs::absolute(saved.path).parent_path().parent_path() / "configs" / "parsed.yaml").string();
  if (!fs::exists(file))
    throw SystemError(cat("system.geometry_convert_from: ", file, " is not there, which says what geometry ",
                          saved.path, " is of. Keep a run's folder together."));
  const Node root = config::load_config(file, {});
  const Node* block = root.find("system");
  const Node* type = block == nullptr ? nullptr : block->find("geometry_type");
  if (type == nullptr) throw UserError(cat(file, ": has no system.geometry_type. Name a run of text to 3D."));
  Node keys(Node::Map{}, block->origin);
  if (const Node* geometry = block->find("geometry")) config::merge(keys, *geometry);
  const Node& changes = system.config().geometry_convert_override;
  if (!changes.is_null()) config::merge(keys, changes);
  keys.set("weights", Node());
  const auto previous = field::geometries().make(config::to_string(*type, "system.geometry_type"), keys,
                                                 file + ": system.geometry", {0, system.context().device});
  std::map<std::string, std::string> left_out;
  if (copy_saved(saved, "geometry.", tensors_of(*previous), left_out) == 0)
    throw UserError(cat("system.geometry_convert_from: ", saved.path, " has no tensor of the geometry that ",
                        file, " describes. Name the checkpoint of that run."));
  for (const auto& [name, what] : left_out)
    log::warning(cat(saved.path, ": geometry.", name, " ", what, "; it stays as it began"));
  previous->update_step(saved.step);
  system.geometry().start_as(*previous, system.config().geometry_convert_inherit_texture);
  system.geometry().update_step(saved.step);
  log::info(cat("geometry started from ", saved.path));
}

}  // namespace

bool start_from_saved(System& system) {
  const SystemConfig& c = system.config();
  for (const auto& [part, weights] : system.part_weights()) start_part(system, part, weights);
  if (c.weights)
    start_system(system, *c.weights);
  else if (c.geometry_convert_from)
    convert_geometry(system, *c.geometry_convert_from);
  return c.weights || c.geometry_convert_from || !system.part_weights().empty();
}

}  // namespace t3d::system
