#include "t3d/system/experiment.h"

#include <algorithm>
#include <ctime>
#include <filesystem>

#include "t3d/core/atomic_file.h"
#include "t3d/core/config/interpolation.h"
#include "t3d/core/config/load_config.h"
#include "t3d/core/config/overrides.h"
#include "t3d/core/error.h"
#include "t3d/core/plugin.h"
#include "t3d/core/shell_line.h"
#include "t3d/system/plugins.h"

namespace t3d::system {
namespace {

namespace fs = std::filesystem;
using config::Node;

/// A key of Lightning's that nothing reads, what happens instead (empty where no value changes a result), and
/// the value that asks for nothing else.
struct ForeignKey {
  const char *name, *instead, *usual = "false";
};

const std::vector<ForeignKey>& lightning_trainer() {
  static const std::vector<ForeignKey> keys = {
      {"accelerator", ""},
      {"strategy", ""},
      {"devices", ""},
      {"num_nodes", ""},
      {"logger", ""},
      {"callbacks", "callbacks are objects of a Python program"},
      {"fast_dev_run", "set trainer.max_steps=1 for a trial"},
      {"max_epochs", ""},  // views are drawn without end, so that max_steps decides
      {"min_epochs", ""},
      {"min_steps", ""},
      {"max_time", "a run ends at trainer.max_steps"},
      {"limit_train_batches", "a run ends at trainer.max_steps"},
      {"limit_test_batches", "data.n_test_views says how many views the test has"},
      {"overfit_batches", "every step draws new views"},
      {"check_val_every_n_epoch", ""},
      {"enable_checkpointing", "the checkpoint block says what is saved", "true"},
      {"inference_mode", ""},
      {"deterministic", ""},
      {"benchmark", ""},
      {"use_distributed_sampler", ""},
      {"profiler", ""},
      {"detect_anomaly", ""},
      {"barebones", ""},
      {"plugins", "plugins are objects of a Python program"},
      {"sync_batchnorm", ""},
      {"gradient_clip_algorithm", "gradients are clipped by their length", "norm"},
      {"enable_model_summary", ""},
      {"limit_predict_batches", ""},
      {"reload_dataloaders_every_n_epochs", ""},
      {"default_root_dir", "exp_root_dir names the folder of all runs"}};
  return keys;
}

const std::vector<ForeignKey>& lightning_checkpoint() {
  static const std::vector<ForeignKey> keys = {{"dirpath", "checkpoints are in ckpts of the run's folder"},
                                               {"filename", ""},
                                               {"monitor", ""},
                                               {"mode", ""},
                                               {"verbose", ""},
                                               {"auto_insert_metric_name", ""},
                                               {"save_weights_only", ""},
                                               {"every_n_epochs", ""},
                                               {"train_time_interval", "set checkpoint.every_n_seconds"},
                                               {"save_on_train_epoch_end", ""},
                                               {"enable_version_counter", ""}};
  return keys;
}

template <class T>
std::vector<std::string> keys_of() {
  config::detail::Names names;
  T value;
  value.visit(names);
  return names.known;
}

/// The keys that T has. Of the others, those that are nearly one of a known name are refused as slips of the
/// pen, and those that nobody knows are named in a warning: Lightning's keys change with its versions.
template <class T>
T read_open_block(const Node& block, const std::string& path, const std::vector<ForeignKey>& foreign) {
  if (block.is_null()) return {};
  if (!block.is_map()) config::reject(block, path, "a block");
  Node known(Node::Map{}, block.origin);
  const std::vector<std::string> ours = keys_of<T>();
  for (const auto& [key, value] : block.map()) {
    if (std::find(ours.begin(), ours.end(), key) != ours.end()) {
      known.set(key, value);
      continue;
    }
    const auto lightning = std::find_if(foreign.begin(), foreign.end(),
                                        [&, &name = key](const ForeignKey& f) { return name == f.name; });
    if (lightning != foreign.end()) {
      if (*lightning->instead != '\0' && config::write_yaml_line(value) != lightning->usual)
        config::warn_ignored(value, cat(path, ".", key), lightning->instead);
      continue;
    }
    const std::string near = nearest(key, ours);
    if (!near.empty())
      throw UserError(cat(value.origin.source.empty() ? "" : value.origin.text() + ": ", "unknown option ",
                          path, ".", key, "; did you mean ", path, ".", near, "?"));
    config::warn_ignored(value, cat(path, ".", key), "no such key is known");
  }
  return config::read_struct<T>(known, path);
}

std::string time_text() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char text[32];
  std::strftime(text, sizeof text, "@%Y%m%d-%H%M%S", &local);
  return text;
}

/// A prompt in a folder's name may hold slashes, which make folders as in the reference, but it cannot lead
/// out of the experiment's folder.
std::string below(const std::string& name) {
  fs::path out;
  for (const auto& part : fs::path(name).relative_path()) out /= part == ".." ? fs::path("__") : part;
  return out.string();
}

/// Folder names are at most 255 bytes, also where a prompt is longer: its start and a number made of it.
std::string short_parts(const std::string& path) {
  constexpr size_t kMost = 200;
  fs::path out;
  for (const auto& part : fs::path(path)) {
    std::string text = part.string();
    if (text.size() > kMost) {
      const size_t number = std::hash<std::string>{}(text);
      size_t end = kMost;
      while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0u) == 0x80u) --end;  // whole characters
      text = cat(text.substr(0, end), "~", number % 1000000);
    }
    out /= text;
  }
  return out.string();
}

}  // namespace

TrainerConfig Experiment::trainer_config() const {
  return read_open_block<TrainerConfig>(trainer, "trainer", lightning_trainer());
}

CheckpointConfig Experiment::checkpoint_config() const {
  return read_open_block<CheckpointConfig>(checkpoint, "checkpoint", lightning_checkpoint());
}

std::vector<std::string> experiment_keys() {
  return keys_of<Experiment>();
}

Experiment read_experiment(const Node& root) {
  load_plugins_of(root, {});
  Experiment e = config::read_struct<Experiment>(root, "");
  e.plugins = loaded_plugins();  // those of --load too: the written-out configuration then needs no option
  if (!e.trial_dir.empty() && e.trial_name.empty() && e.exp_dir.empty()) return e;  // a folder of its own
  if (e.tag.empty() && !e.use_timestamp)
    throw UserError(
        "tag is empty and use_timestamp is false, so that the run's folder has no name. Set tag.");
  if (!e.timestamp) e.timestamp = e.use_timestamp ? time_text() : "";
  e.trial_name = e.tag + *e.timestamp;
  e.exp_dir = (fs::path(e.exp_root_dir) / e.name).string();
  e.trial_dir = short_parts((fs::path(e.exp_dir) / below(e.trial_name)).string());
  return e;
}

Node load_experiment(const std::string& file, const std::vector<std::string>& overrides) {
  Node root = config::load_unresolved(file);
  load_plugins_of(root, overrides);  // whose types say how overrides are read
  for (const std::string& text : overrides) config::apply_override(root, text, key_kind);
  return root;
}

Experiment read_experiment(const std::string& file, const std::vector<std::string>& overrides) {
  Node root = load_experiment(file, overrides);
  config::resolve_interpolations(root);
  return read_experiment(root);
}

void write_run_folder(const Experiment& e, const std::string& file, const std::vector<std::string>& command) {
  const fs::path folder = e.trial_dir;
  make_folders((folder / "configs").string());
  write_file_atomically((folder / "configs" / "parsed.yaml").string(),
                        config::write_yaml(config::write_struct(e)));
  const fs::path raw = folder / "configs" / "raw.yaml";
  if (!file.empty() && fs::exists(file) && !(fs::exists(raw) && fs::equivalent(file, raw)))
    write_file_atomically(raw.string(), read_whole_file(file));
  write_file_atomically((folder / "cmd.txt").string(), shell_line(command) + "\n");
}

}  // namespace t3d::system
