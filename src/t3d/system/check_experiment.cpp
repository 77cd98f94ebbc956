#include "t3d/system/check_experiment.h"

#include <algorithm>
#include <filesystem>

#include "t3d/core/config/interpolation.h"
#include "t3d/core/config/overrides.h"
#include "t3d/core/config/paths.h"
#include "t3d/core/config/read_yaml.h"
#include "t3d/core/error.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/field/encoding.h"
#include "t3d/guidance/prompt_library.h"
#include "t3d/shading/pbr_material.h"
#include "t3d/system/experiment.h"
#include "t3d/system/prepare_training.h"
#include "t3d/system/saved_weights.h"
#include "t3d/system/type_families.h"

namespace t3d::system {
namespace {

namespace ds = t3d::diffusion;
using config::Node;

const std::string kPrompts = "system.prompt_processor", kGuidance = "system.guidance";
const std::string kPrompt = kPrompts + ".prompt";

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

std::string problem_of_training(const std::string& file, const std::vector<std::string>& overrides) {
  SystemContext context;
  context.reads_weights = false;
  return problem_of([&] { prepare_training(file, overrides, context); });
}

/// Looks at everything that a configuration names, one thing after another, so that one problem does not hide
/// the others.
class Check {
 public:
  Check(Node root) : root_(std::move(root)) {}

  std::vector<CheckLine> run() {
    if (const std::string problem = problem_of([&] { config::resolve_interpolations(root_); });
        !problem.empty()) {
      add("interpolations", "", problem);  // the rest would be compared with texts that stand for values
      return std::move(lines_);
    }
    for (const TypedBlock& block : typed_blocks()) check_block(block);
    check_fit();
    for (const char* block : {"trainer", "checkpoint"}) check_open_block(block);
    check_prompt();
    check_models();
    for (const char* key : {"system.geometry_convert_from", "system.weights", "resume"}) check_saved(key);
    check_environment();
    for (const char* key : {"data.image_path", "data.dataroot", "system.guide_shape"}) check_path(key);
    return std::move(lines_);
  }

 private:
  void add(const std::string& what, const std::string& value, const std::string& problem) {
    lines_.push_back({what, value, problem});
  }
  const Node* at(const std::string& path) const { return config::find_at(root_, path); }
  static const TypedBlock& typed(const std::string& path) {
    const auto& all = typed_blocks();
    return *std::find_if(all.begin(), all.end(),
                         [&path](const TypedBlock& block) { return block.path == path; });
  }

  /// A text key's value: what is given, else the default of the block's type; empty for null, for what is no
  /// text and for a type without the key.
  std::string text_at(const std::string& block, const std::string& key) const {
    const auto text_of = [](const Node& node) {
      return node.is_string() && !node.is_mandatory() ? std::get<std::string>(node.value) : "";
    };
    if (const Node* given = at(block + "." + key)) return text_of(*given);
    for (const config::FieldInfo& field : fields_of(root_, typed(block)))
      if (field.name == key) return text_of(config::read_yaml(field.default_text, key));
    return "";
  }

  void check_block(const TypedBlock& block) {
    const Node* named = at(block.path + "_type");
    const std::string type = type_of(root_, block);
    if (type.empty()) return add(block.path, "", cat("missing: give ", block.path, "_type"));
    if (named == nullptr && block.path == "system.exporter" && at(block.path) == nullptr) return;
    const Node* keys = at(block.path);
    add(block.path, type, problem_of([&] {
          if (keys == nullptr) return block.check(type, Node(), block.path);
          block.check(type, without_weights(*keys, block.path), block.path);
        }));
  }

  /// The system reads `weights` of the parts of a scene by itself.
  static Node without_weights(const Node& block, const std::string& path) {
    for (const char* part : {"geometry", "material", "background", "renderer"})
      if (path == cat("system.", part)) return field::without_keys(block, {"weights"});
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

  void check_open_block(const std::string& block) {
    Experiment experiment;
    const Node* keys = at(block);
    if (keys == nullptr) return;
    (block == "trainer" ? experiment.trainer : experiment.checkpoint) = *keys;
    const std::string problem = problem_of([&] {
      if (block == "trainer")
        experiment.trainer_config();
      else
        experiment.checkpoint_config();
    });
    if (!problem.empty()) add(block, "", problem);
  }

  void check_prompt() {
    const Node* given = at(kPrompt);
    if (given != nullptr && (given->is_null() || given->is_mandatory()))
      return add("prompt", "", cat("missing: add ", kPrompt, "=\"...\""));
    const std::string text = text_at(kPrompts, "prompt");
    add("prompt", text,
        problem_of([&] { guidance::resolve_prompt(text, text_at(kPrompts, "prompt_library_path")); }));
  }

  void check_models() {
    const auto model = +[](const std::string& name) { return ds::find_model(name); };
    check_model(kPrompts, "pretrained_model_name_or_path", model);
    const Node* debiases = at(kPrompts + ".use_prompt_debiasing");
    if (debiases != nullptr && *debiases == Node(true))
      check_model(kPrompts, "pretrained_model_name_or_path_prompt_debiasing",
                  [](const std::string& name) { return ds::find_language_model(name); });
    const std::string first = text_at(kGuidance, "pretrained_model_name_or_path");
    check_model(kGuidance, "pretrained_model_name_or_path", model);
    if (text_at(kGuidance, "pretrained_model_name_or_path_lora") != first)
      check_model(kGuidance, "pretrained_model_name_or_path_lora", model);
    const bool has_file = !text_at(kGuidance, "ckpt_path").empty();
    check_model(kGuidance, has_file ? "ckpt_path" : "model_name", model);
  }

  /// Where the model is, by the place that training takes it from.
  void check_model(const std::string& block, const std::string& key,
                   std::string (*find)(const std::string& name)) {
    const std::string name = text_at(block, key);
    if (name.empty()) return;
    std::string found = name;
    const std::string problem = problem_of([&] { found = find(name); });
    add(block + "." + key, found, problem);
  }

  /// A checkpoint of ours, a run's folder or a PyTorch file.
  void check_saved(const std::string& key) {
    const Node* value = at(key);
    if (value == nullptr || value->is_null() || value->is_list() || value->is_map()) return;
    if (value->is_mandatory()) return add(key, "???", cat("missing: add ", key, "=..."));
    const std::string named = config::to_string(*value, key);
    std::string found = named;
    const std::string problem = problem_of([&] { found = find_saved_weights(named); });
    add(key, found, problem);
  }

  /// The light of a material that has one.
  void check_environment() {
    const std::string key = "system.material.environment_texture";
    const Node* named = at(key);
    if (named == nullptr || !named->is_string() || named->is_mandatory()) return;
    const std::string path = config::to_string(*named, key);
    add(key, path, problem_of([&] { shading::PbrMaterial::check_environment(path); }));
  }

  /// A file or folder that the configuration names.
  void check_path(const std::string& key) {
    const Node* value = at(key);
    if (value == nullptr || value->is_null()) return;
    if (value->is_mandatory()) return add(key, "???", cat("missing: add ", key, "=..."));
    if (value->is_list() || value->is_map()) return;  // the block's own line says it
    const std::string named = config::to_string(*value, key);
    if (!named.empty()) add(key, named, std::filesystem::exists(named) ? "" : "is not there");
  }

  Node root_;
  std::vector<CheckLine> lines_;
};

/// What training stops at stands before the other problems.
void put_first(const std::string& problem, std::vector<CheckLine>& lines) {
  const auto is_it = [&](const CheckLine& line) { return line.problem == problem; };
  const auto found = std::find_if(lines.begin(), lines.end(), is_it);
  const CheckLine line = found != lines.end() ? *found : CheckLine{"t3d train", "", problem};
  lines.erase(std::remove_if(lines.begin(), lines.end(), is_it), lines.end());
  lines.insert(
      std::find_if(lines.begin(), lines.end(), [](const CheckLine& other) { return !other.problem.empty(); }),
      line);
}

}  // namespace

std::vector<CheckLine> check_experiment(const std::string& file, const std::vector<std::string>& overrides) {
  Node root = load_experiment(file, overrides);
  const std::string problem = problem_of_training(file, overrides);
  const Node* prompt = config::find_at(root, kPrompt);
  const bool is_given = prompt != nullptr && !prompt->is_null() && !prompt->is_mandatory();
  std::vector<CheckLine> lines;
  if (is_given || problem.find(kPrompt) == std::string::npos) {
    lines = Check(std::move(root)).run();
  } else {
    // The folder's name and others that are made of the prompt are not there either, so that nothing else
    // would be looked at.
    std::vector<std::string> with_prompt = overrides;
    with_prompt.push_back(cat(kPrompt, "=a prompt"));
    lines = check_experiment(file, with_prompt);
    for (CheckLine& line : lines)
      if (line.what == "prompt") line = {"prompt", "", problem};
  }
  if (!problem.empty()) put_first(problem, lines);
  return lines;
}

}  // namespace t3d::system
