#include "t3d/system/check_experiment.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "t3d/core/config/interpolation.h"
#include "t3d/core/config/overrides.h"
#include "t3d/core/config/read_yaml.h"
#include "t3d/core/error.h"
#include "t3d/diffusion/autoencoder.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/diffusion/scheduler.h"
#include "t3d/diffusion/text_encoder.h"
#include "t3d/diffusion/unet_config.h"
#include "t3d/guidance/prompt_library.h"
#include "t3d/system/experiment.h"
#include "t3d/system/planned_types.h"
#include "t3d/system/run.h"
#include "t3d/system/saved_weights.h"
#include "t3d/system/type_families.h"

namespace t3d::system {
namespace {

namespace ds = t3d::diffusion;
using config::Node;

const char* const kPrompt = "system.prompt_processor.prompt";

/// The problem that `look` throws, or nothing.
template <class F>
std::string problem_of(const F& look) {
  try {
    look();
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

class Check {
 public:
  Check(Node root) : root_(std::move(root)) {}

  std::vector<CheckLine> run() {
    note_prompt();
    if (const std::string problem = problem_of([&] { config::resolve_interpolations(root_); });
        !problem.empty()) {
      add("interpolations", "", problem);  // the rest would be compared with texts that stand for values
      return std::move(lines_);
    }
    for (const TypedBlock& block : typed_blocks()) check_block(block);
    check_fit();
    check_whole();
    check_prompt();
    check_models();
    for (const char* key : {"system.geometry_convert_from", "system.weights", "resume", "data.image_path",
                            "data.dataroot", "system.guide_shape"})
      check_path(key);
    return std::move(lines_);
  }

 private:
  void add(const std::string& what, const std::string& value, const std::string& problem) {
    lines_.push_back({what, value, problem});
  }
  bool has_problems() const {
    return std::any_of(lines_.begin(), lines_.end(),
                       [](const CheckLine& line) { return !line.problem.empty(); });
  }
  const Node* at(const std::string& path) const { return find_at(root_, path); }
  static const TypedBlock& typed(const std::string& path) {
    const auto& all = typed_blocks();
    return *std::find_if(all.begin(), all.end(),
                         [&path](const TypedBlock& block) { return block.path == path; });
  }

  /// A text key's value: what is given, else the default of the block's type; empty for null and for a type
  /// without the key.
  std::string text_at(const std::string& block, const std::string& key) const {
    const Node* given = at(block + "." + key);
    if (given != nullptr)
      return given->is_null() || given->is_mandatory() ? "" : config::to_string(*given, key);
    for (const config::FieldInfo& field : fields_of(root_, typed(block)))
      if (field.name == key) {
        const Node otherwise = config::read_yaml(field.default_text, key);
        return otherwise.is_string() && !otherwise.is_mandatory() ? std::get<std::string>(otherwise.value)
                                                                  : "";
      }
    return "";
  }

  /// Without a prompt, the folder's name and others that are made of it would not be there either.
  void note_prompt() {
    const Node* prompt = at(kPrompt);
    is_prompt_missing_ = prompt == nullptr || prompt->is_null() || prompt->is_mandatory();
    if (!is_prompt_missing_) return;
    Node given(Node::Map{});
    config::apply_override(given, cat(kPrompt, "=a prompt"));
    config::merge(root_, given);
  }

  void check_prompt() {
    if (is_prompt_missing_) return add("prompt", "", cat("missing: add ", kPrompt, "=\"...\""));
    const std::string text = text_at("system.prompt_processor", "prompt");
    add("prompt", text, problem_of([&] {
          guidance::resolve_prompt(text, text_at("system.prompt_processor", "prompt_library_path"));
        }));
  }

  void check_block(const TypedBlock& block) {
    const Node* named = at(block.path + "_type");
    const std::string type = type_of(root_, block);
    if (type.empty()) return add(block.path, "", cat("missing: give ", block.path, "_type"));
    if (named == nullptr && block.path == "system.exporter" && at(block.path) == nullptr) return;
    if (block.own_name(type).empty()) {
      std::vector<std::string> names;
      for (const TypeInfo& each : block.describe().types) names.push_back(each.name);
      return add(block.path, type,
                 is_planned_type(type) ? "not built yet" : cat("unknown", did_you_mean(type, names)));
    }
    const Node* keys = at(block.path);
    add(block.path, type, problem_of([&] {
          if (keys == nullptr) return block.check(type, Node(), block.path);
          block.check(type, without_weights(*keys, block.path), block.path);
        }));
  }

  /// The system reads `weights` of the parts of a scene by itself.
  static Node without_weights(const Node& block, const std::string& path) {
    for (const char* part : {"geometry", "material", "background", "renderer"})
      if (path == cat("system.", part) && block.is_map()) {
        Node out(Node::Map{}, block.origin);
        for (const auto& [key, value] : block.map())
          if (key != "weights") out.set(key, value);
        return out;
      }
    return block;
  }

  /// Whether the geometry can do what its renderer needs: said also where a block has other problems, which
  /// may come from the same mistake.
  void check_fit() {
    std::string path = "system.renderer";
    std::string renderer = type_of(root_, typed(path));
    if (renderer == "patch-renderer")
      if (const Node* base = at("system.renderer.base_renderer_type"); base != nullptr && base->is_string()) {
        path += ".base_renderer";
        renderer = std::get<std::string>(base->value);
      }
    const std::string geometry = type_of(root_, typed("system.geometry"));
    if (!field::geometries().contains(geometry)) return;
    const auto lacks = [&](const char* ability) {
      const auto able = field::geometries().names_with(ability);
      return std::find(able.begin(), able.end(), field::geometries().own_name(geometry)) == able.end();
    };
    if (renderer == "nerf-volume-renderer" && lacks(field::Geometry::kDensity))
      add(path, renderer, "shows no signed distance: use neus-volume-renderer");
    if (renderer == "neus-volume-renderer" && lacks(field::Geometry::kDistance))
      add(path, renderer, "shows signed distances: use geometry_type=implicit-sdf");
  }

  /// What only shows when everything is put together.
  void check_whole() {
    Experiment experiment;
    bool is_read = false;
    if (const std::string problem = problem_of([&] {
          experiment = read_experiment(root_);
          is_read = true;
        });
        !problem.empty())
      add("configuration", "", problem);
    if (is_read) {
      for (const char* block : {"trainer", "checkpoint"})
        if (const std::string problem = problem_of([&] {
              if (block == std::string("trainer"))
                experiment.trainer_config();
              else
                experiment.checkpoint_config();
            });
            !problem.empty())
          add(block, "", problem);
    }
    if (has_problems()) return;
    add("scene and optimizers", cat("seed ", experiment.seed),
        problem_of([&] { Run(experiment, {}).check_without_models(); }));
  }

  void check_models() {
    const std::string guidance = "system.guidance", prompts = "system.prompt_processor";
    const std::string file = text_at(guidance, "ckpt_path");
    const std::string first = text_at(guidance, "pretrained_model_name_or_path");
    check_model(guidance + ".pretrained_model_name_or_path", first);
    const std::string lora = text_at(guidance, "pretrained_model_name_or_path_lora");
    if (lora != first) check_model(guidance + ".pretrained_model_name_or_path_lora", lora);
    check_model(guidance + ".ckpt_path", file);
    if (file.empty()) check_model(guidance + ".model_name", text_at(guidance, "model_name"));
    const std::string text = text_at(prompts, "pretrained_model_name_or_path");
    check_model(prompts + ".pretrained_model_name_or_path", text);
    check_language_model();
  }

  /// The configs of all that training reads.
  static void read_configs(const std::string& path, bool is_text) {
    const auto place = [&path](const char* part) { return cat(path, ": ", part, " config"); };
    ds::unet_config_from_json(ds::part_config(path, "unet"), place("unet"));
    if (is_text) {
      ds::ClipTextConfig::from_json(ds::part_config(path, "text_encoder"), place("text encoder"));
      return;
    }
    ds::NoiseSchedule(
        ds::SchedulerConfig::for_training(ds::part_config(path, "scheduler"), place("scheduler")).schedule);
    ds::autoencoder_config_from_json(ds::part_config(path, "vae"), place("vae"));
  }

  void check_model(const std::string& key, const std::string& name) {
    if (name.empty()) return;
    std::string found;
    try {
      found = ds::find_model(name);
    } catch (const UserError& error) {  // it is there, and no model
      return add(key, name, error.what());
    } catch (const Error&) {
      return add(key, name, "not found: see t3d models");
    }
    const bool is_text = key.find("prompt_processor") != std::string::npos;
    // What each needs of the model: prompts its tokenizer and text encoder, guidance the rest.
    std::string missing;
    for (const ds::ModelPart& part : ds::inspect_model(found).parts) {
      const bool is_of_text = part.name == "tokenizer" || part.name == "text_encoder";
      if (!part.missing.empty() && (part.name == "checkpoint" || is_of_text == is_text))
        missing += cat(missing.empty() ? "missing: " : "; ", part.name, ": ", part.missing);
    }
    add(key, found, missing.empty() ? problem_of([&] { read_configs(found, is_text); }) : missing);
  }

  /// The model that prompts are debiased with, where they are.
  void check_language_model() {
    const std::string block = "system.prompt_processor";
    const Node* used = at(block + ".use_prompt_debiasing");
    if (used == nullptr || !config::to_bool(*used, block + ".use_prompt_debiasing")) return;
    const std::string key = "pretrained_model_name_or_path_prompt_debiasing", name = text_at(block, key);
    try {
      add(block + "." + key, ds::find_language_model(name), "");
    } catch (const Error&) {
      add(block + "." + key, name, "not found: its config.json, vocab.txt and weights go to models/" + name);
    }
  }

  /// A file or folder that the configuration names; "RUN/ckpts/last.ckpt" stands for the newest step there.
  void check_path(const std::string& key) {
    const Node* value = at(key);
    if (value == nullptr || value->is_null()) return;
    if (value->is_mandatory()) return add(key, "???", cat("missing: add ", key, "=..."));
    if (value->is_list() || value->is_map()) return;  // the block's own line says it
    const std::string named = config::to_string(*value, key);
    if (named.empty()) return;
    std::string problem;
    try {
      const std::filesystem::path path = latest_run(named);
      const bool is_newest = path.filename() == "last.ckpt" || path.filename() == "last";
      if (!std::filesystem::exists(is_newest ? path.parent_path() : path)) problem = "is not there";
    } catch (const Error& error) {
      problem = error.what();
    }
    add(key, named, problem);
  }

  Node root_;
  std::vector<CheckLine> lines_;
  bool is_prompt_missing_ = false;
};

}  // namespace

std::vector<CheckLine> check_experiment(const std::string& file, const std::vector<std::string>& overrides) {
  Node root = config::read_yaml_file(file);
  if (!root.is_map()) throw UserError(cat(file, ": is no configuration: its top is not a block of keys."));
  for (const std::string& text : overrides) config::apply_override(root, text, key_kind);
  return Check(std::move(root)).run();
}

}  // namespace t3d::system
