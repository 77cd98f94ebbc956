#include "t3d/api/experiment_of.h"

#include "t3d/core/config/interpolation.h"
#include "t3d/core/config/overrides.h"
#include "t3d/core/config/paths.h"
#include "t3d/core/config/read_yaml.h"
#include "t3d/ops/matrix_unit.h"
#include "t3d/system/plugins.h"
#include "t3d/system/type_families.h"

namespace t3d::api {
namespace {

config::Node text_node(const std::string& text, const char* word) {
  return config::Node(text, {word, 0, 0});
}

bool has_at(const config::Node& root, const std::string& dotted) {
  return config::find_at(root, dotted) != nullptr;
}

/// Where the guidance has such a key, and nobody has set it.
void set_bfloat16(config::Node& root) {
  const std::string block = "system.guidance", key = "cpu_bfloat16";
  if (has_at(root, block + "." + key)) return;
  for (const system::TypedBlock& typed : system::typed_blocks())
    if (typed.path == block)
      for (const config::FieldInfo& field : system::fields_of(root, typed))
        if (field.name == key) config::set_at(root, block + "." + key, config::Node(true));
}

void set_model(config::Node& root, const std::string& model, const char* word) {
  const bool is_multiview = has_at(root, "system.guidance.model_name") ||
                            !has_at(root, "system.guidance.pretrained_model_name_or_path");
  config::set_at(
      root, is_multiview ? "system.guidance.model_name" : "system.guidance.pretrained_model_name_or_path",
      text_node(model, word));
  const char* lora = "system.guidance.pretrained_model_name_or_path_lora";
  if (has_at(root, lora)) config::set_at(root, lora, text_node(model, word));
  config::set_at(root, "system.prompt_processor.pretrained_model_name_or_path", text_node(model, word));
}

}  // namespace

system::Experiment experiment_of(const Recipe& recipe, const std::string& file, const std::string& model,
                                 const RecipeWords& words) {
  config::Node root = config::read_yaml_file(file);
  if (!root.is_map())
    throw UserError(cat(file, ": is no recipe: its top is not a block of keys. See docs/config.md."));
  system::load_plugins(recipe.plugins);
  system::load_plugins_of(root, recipe.overrides);
  if (!model.empty()) set_model(root, model, words.model);
  for (const std::string& text : recipe.overrides) config::apply_override(root, text, system::key_kind);
  config::set_at(root, "system.prompt_processor.prompt", text_node(recipe.prompt, words.prompt));
  if (recipe.seed) config::set_at(root, "seed", config::Node(*recipe.seed));
  if (ops::has_fast_matrix_unit()) set_bfloat16(root);
  if (recipe.steps) config::set_at(root, "trainer.max_steps", config::Node(*recipe.steps));
  config::set_at(root, "trial_dir", text_node(recipe.folder, words.folder));
  if (recipe.resume) config::set_at(root, "resume", text_node(recipe.folder, words.resume));
  config::resolve_interpolations(root);
  return system::read_experiment(root);
}

}  // namespace t3d::api
