#include "t3d/system/same_run.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "t3d/core/config/read_yaml.h"
#include "t3d/core/config/write_yaml.h"
#include "t3d/core/error.h"
#include "t3d/core/is_used.h"
#include "t3d/system/saved_weights.h"

namespace t3d::system {
namespace {

namespace fs = std::filesystem;
using config::Node;

/// Keys, and beginnings of keys that end with a star, that do not decide what is optimized, or only where a
/// run begins.
const std::vector<std::string>& free_keys() {
  static const std::vector<std::string> keys = {"name",
                                                "description",
                                                "tag",
                                                "use_timestamp",
                                                "timestamp",
                                                "exp_root_dir",
                                                "exp_dir",
                                                "trial_name",
                                                "trial_dir",
                                                "n_gpus",
                                                "plugins",
                                                "resume",
                                                "checkpoint*",
                                                "data.eval_*",
                                                "data.n_val_views",
                                                "data.n_test_views",
                                                "system.exporter*",
                                                "system.freq*",
                                                "system.weights*",
                                                "system.geometry_convert_*",
                                                "system.guidance.cpu_bfloat16",
                                                "system.prompt_processor.use_cache"};
  return keys;
}

/// Of the trainer's keys these alone decide the steps.
bool decides(const std::string& key) {
  if (key.rfind("trainer.", 0) == 0)
    return key == "trainer.accumulate_grad_batches" || key == "trainer.gradient_clip_val";
  return std::none_of(free_keys().begin(), free_keys().end(), [&](const std::string& free) {
    return free.back() == '*' ? key.rfind(free.substr(0, free.size() - 1), 0) == 0 : key == free;
  });
}

/// The same folder or file, seen from another working folder: models are named by path.
bool is_same_model(const std::string& key, const Node& a, const Node& b) {
  if (!a.is_string() || !b.is_string()) return false;
  const std::string last = key.substr(key.find_last_of('.') + 1);
  if (last.rfind("pretrained_model_name_or_path", 0) != 0 && last != "model_name" && last != "ckpt_path")
    return false;
  const auto name = [](const Node& n) { return fs::path(std::get<std::string>(n.value)).filename(); };
  return name(a) == name(b);
}

std::string shown(const Node* value) {
  return value == nullptr ? "none" : config::write_yaml_line(*value);
}

void compare(const Node* was, const Node* is, const std::string& key, const std::string& file) {
  const Node nothing{Node::Map{}};
  const bool was_block = was != nullptr && was->is_map(), is_block = is != nullptr && is->is_map();
  if (was_block || is_block) {
    const Node &a = was_block ? *was : nothing, &b = is_block ? *is : nothing;
    const std::string prefix = key.empty() ? "" : key + ".";
    for (const auto& [name, value] : a.map()) compare(&value, b.find(name), prefix + name, file);
    for (const auto& [name, value] : b.map())
      if (a.find(name) == nullptr) compare(nullptr, &value, prefix + name, file);
    return;
  }
  const bool both_null = (was == nullptr || was->is_null()) && (is == nullptr || is->is_null());
  if (both_null || !decides(key)) return;
  if (was != nullptr && is != nullptr && (*was == *is || is_same_model(key, *was, *is))) return;
  throw UserError(cat(file, ": the run in this folder has ", key, " ", shown(was),
                      ", and what was asked for has ", shown(is),
                      ". Ask for the same to go on with it, or name another folder."));
}

}  // namespace

void check_same_run(const std::string& folder, const WithSteps& now) {
  const std::string file = (fs::path(folder) / "configs" / "parsed.yaml").string();
  if (!fs::exists(file)) return;
  const Node earlier = config::read_yaml_file(file);
  const Node* trainer = earlier.find("trainer");
  const Node* steps = trainer != nullptr ? trainer->find("max_steps") : nullptr;
  const int64_t max_steps =
      steps != nullptr && steps->is_int() ? std::get<int64_t>(steps->value) : TrainerConfig().max_steps;
  const Node asked = config::write_struct(now(max_steps));
  compare(&earlier, &asked, "", file);
}

void check_folder(const Experiment& e, const WithSteps& now) {
  if (!is_used((fs::path(e.trial_dir) / "ckpts").string())) return;
  if (!e.resume)
    throw UserError(cat(e.trial_dir, ": holds a run already. Go on with it by resume=", e.trial_dir,
                        ", or give another tag or name, or remove the folder."));
  std::error_code ignored;
  const fs::path from = fs::weakly_canonical(latest_run(*e.resume), ignored),
                 own = fs::weakly_canonical(e.trial_dir, ignored);
  const bool is_same = from == own || from.parent_path() == own || from.parent_path().parent_path() == own;
  if (!is_same)
    throw UserError(cat(e.trial_dir, ": holds a run already, and resume=", *e.resume,
                        " is another one. Give another tag or name, or remove the folder."));
  check_same_run(e.trial_dir, now);
}

}  // namespace t3d::system
