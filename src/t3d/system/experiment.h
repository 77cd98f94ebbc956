#pragma once

#include <optional>
#include <string>
#include <vector>

#include "t3d/core/config/overrides.h"
#include "t3d/core/config/struct_io.h"

namespace t3d::system {

/// The trainer block: Lightning's names. Keys of Lightning that have no meaning here are read and not used.
struct TrainerConfig {
  int64_t max_steps = 10000, log_every_n_steps = 1, num_sanity_val_steps = 0, accumulate_grad_batches = 1;
  std::optional<int64_t> val_check_interval;
  std::optional<int64_t> limit_val_batches;
  std::optional<double> gradient_clip_val;
  bool enable_progress_bar = true;
  std::string precision = "32";
  int64_t max_rays = 0;

  template <class V>
  void visit(V& v) {
    using namespace config;
    v("max_steps", max_steps, in_range(0, 1e9), "optimizer steps");
    v("log_every_n_steps", log_every_n_steps, at_least(1), "steps between two rows of metrics");
    v("num_sanity_val_steps", num_sanity_val_steps, any(), "validation views before the first step");
    v("val_check_interval", val_check_interval, at_least(1), "batches between validations");
    v("limit_val_batches", limit_val_batches, non_negative(), "most views of a validation");
    v("accumulate_grad_batches", accumulate_grad_batches, at_least(1), "batches of a step");
    v("gradient_clip_val", gradient_clip_val, non_negative(), "longest gradient of all parameters together");
    v("enable_progress_bar", enable_progress_bar, any(), "show progress");
    v("max_rays", max_rays, non_negative(),
      "rays rendered at once in training, the rest strip by strip with less memory; 0: all");
    v("precision", precision, harmless("scenes are float, models half as their own keys say"),
      "of everything");
  }
};

/// The checkpoint block.
struct CheckpointConfig {
  bool save_last = true;
  int64_t save_top_k = -1, every_n_train_steps = 0;
  double every_n_seconds = 60;

  template <class V>
  void visit(V& v) {
    using namespace config;
    v("save_last", save_last, any(), "save at the end and after validations");
    v("save_top_k", save_top_k, any(), "0: none is kept beside the last");
    v("every_n_train_steps", every_n_train_steps, non_negative(), "steps between checkpoints that stay");
    v("every_n_seconds", every_n_seconds, non_negative(),
      "seconds between checkpoints of which the newest stays; 0: none");
  }
};

/// A whole configuration file, threestudio section 2.4.
struct Experiment {
  std::string name = "default", description, tag;
  int64_t seed = 0;
  bool use_timestamp = true;
  std::optional<std::string> timestamp;
  std::string exp_root_dir = "outputs", exp_dir, trial_name, trial_dir;
  int64_t n_gpus = 1;
  std::optional<std::string> resume;
  std::vector<std::string> plugins;
  std::string data_type, system_type;
  config::Node data, system, trainer, checkpoint;

  template <class V>
  void visit(V& v) {
    using namespace config;
    v("name", name, any(), "folder of the experiment, below exp_root_dir");
    v("description", description, harmless("it is for people"), "what the experiment is about");
    v("tag", tag, any(), "folder of the run, with the timestamp");
    v("seed", seed, any(), "decides the first parameters and all draws");
    v("use_timestamp", use_timestamp, any(), "end the run's folder with the time");
    v("timestamp", timestamp, any(), "that time, in the written-out configuration");
    v("exp_root_dir", exp_root_dir, any(), "folder of all experiments");
    v("exp_dir", exp_dir, any(), "written out: exp_root_dir/name");
    v("trial_name", trial_name, any(), "written out: tag and timestamp");
    v("trial_dir", trial_dir, any(), "written out: the run's folder; when it is given it is used as it is");
    v("n_gpus", n_gpus, ignored("a run uses one device"), "devices");
    v("resume", resume, any(), "checkpoint, or run folder, to go on from");
    v("plugins", plugins, any(), "shared objects with types of your own; as --load");
    v("data_type", data_type, required(), "where views come from; see data");
    v("data", data, any(), "its keys");
    v("system_type", system_type, required(), "what is optimized; see system");
    v("system", system, any(), "its keys");
    v("trainer", trainer, any(), "steps, validation and logging; docs/train.md");
    v("checkpoint", checkpoint, any(), "what is saved and when; docs/train.md");
  }

  /// Of the typed blocks. A key that is nearly one of ours throws UserError; one that Lightning does not have
  /// either is a warning.
  TrainerConfig trainer_config() const;
  CheckpointConfig checkpoint_config() const;
};

/// The keys at the top of a configuration file.
std::vector<std::string> experiment_keys();

/// Which keys of a configuration are texts, by the types that it names: config::apply_override takes those as
/// they are written.
config::KeyKind key_kind(const config::Node& root, const std::string& path);

/// A file with overrides, before interpolations are resolved. Loads its `plugins`. Throws UserError, and as
/// load_plugin does.
config::Node load_experiment(const std::string& file, const std::vector<std::string>& overrides);

/// Reads a file with overrides, and settles the run's folder (threestudio section 1.3): exp_dir, trial_name
/// and trial_dir are filled in. Loads `plugins`; creates nothing. Throws UserError, and as load_plugin does.
Experiment read_experiment(const std::string& file, const std::vector<std::string>& overrides);
Experiment read_experiment(const config::Node& root);

/// Creates the run's folder with configs/parsed.yaml, configs/raw.yaml (a copy of `file`, when it is given)
/// and cmd.txt.
void write_run_folder(const Experiment& experiment, const std::string& file,
                      const std::vector<std::string>& command);

}  // namespace t3d::system
