#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "t3d/cli/command.h"
#include "t3d/cli/go_on.h"
#include "t3d/cli/output_path.h"
#include "t3d/cli/override_words.h"
#include "t3d/cli/print_result.h"
#include "t3d/core/atomic_file.h"
#include "t3d/core/config/load_config.h"
#include "t3d/core/config/read_yaml.h"
#include "t3d/core/config/struct_io.h"
#include "t3d/core/error.h"
#include "t3d/core/interrupt.h"
#include "t3d/core/log.h"
#include "t3d/core/progress.h"
#include "t3d/core/remove_tree.h"
#include "t3d/core/sentence.h"
#include "t3d/data/captioned_views.h"
#include "t3d/distributed/process_group.h"
#include "t3d/io/json_file.h"
#include "t3d/prior/autoencoder_trainer.h"
#include "t3d/prior/judge_trainer.h"
#include "t3d/prior/unet_trainer.h"

namespace t3d::cli {
namespace {

namespace fs = std::filesystem;

struct PriorCommand {
  std::string config_file, device = "cpu";
  std::vector<std::string> overrides;
  prior::TrainingRun run;
  bool overwrite = false;
};

/// What an earlier run left there; other files stay.
void remove_earlier(const fs::path& folder) {
  for (const char* name :
       {"ckpts", "configs", "csv_logs", "tb_logs", "vae", "unet", "text_encoder", "tokenizer", "scheduler",
        "judge", "model_index.json", "report.json", "reconstructions.png", "samples.png", "retrieval.png"})
    remove_tree((folder / name).string());
}

std::string report_path(const PriorCommand& o) {
  return (fs::path(o.run.folder) / "report.json").string();
}

void tell_time_is_up(int64_t done, int64_t of) {
  log::info(cat("the time is up: ", done, " of ", counted(of, "step"), " done and saved.", how_to_go_on()));
}

int train_part(const PriorCommand& o, const prior::AutoencoderTraining& training) {
  const auto report = prior::train_autoencoder(training, o.run);
  if (!o.run.group->is_first()) return 0;
  if (!report.finished) {
    tell_time_is_up(report.steps, training.steps);
    print_result(o.run.folder);
    return 0;
  }
  io::write_json_file(report_path(o), {{"part", "autoencoder"},
                                       {"finished", true},
                                       {"steps", report.steps},
                                       {"val", {{"psnr", report.psnr}}}});
  log::info(cat(o.run.folder, "/vae: ", report.psnr, " dB after ", counted(report.steps, "step")));
  print_result(o.run.folder);
  return 0;
}

int train_part(const PriorCommand& o, const prior::UNetTraining& training) {
  const auto report = prior::train_unet(training, o.run);
  if (!o.run.group->is_first()) return 0;
  io::write_json_file(report_path(o), {{"part", "unet"},
                                       {"finished", report.finished},
                                       {"steps", report.steps},
                                       {"val", {{"loss", report.val_loss}}}});
  log::info(cat(o.run.folder, ": ", report.steps, " of ", counted(training.steps, "step"),
                training.val_data.empty() ? "" : cat(", loss ", report.val_loss)));
  if (!report.finished) tell_time_is_up(report.steps, training.steps);
  print_result(o.run.folder);
  return 0;
}

int train_part(const PriorCommand& o, const prior::JudgeTraining& training) {
  const auto report = prior::train_judge(training, o.run);
  if (!o.run.group->is_first()) return 0;
  io::write_json_file(report_path(o), {{"part", "judge"},
                                       {"finished", report.finished},
                                       {"steps", report.steps},
                                       {"val",
                                        {{"r_at_1", report.r_at_1},
                                         {"r_at_1_objects", report.r_at_1_objects},
                                         {"objects", report.n_objects},
                                         {"candidates", report.n_candidates}}}});
  log::info(cat(o.run.folder, "/judge: ", report.steps, " of ", counted(training.steps, "step"), ", ",
                100 * report.r_at_1, " % of pictures know their caption among ", report.n_candidates));
  if (!report.finished) tell_time_is_up(report.steps, training.steps);
  print_result(o.run.folder);
  return 0;
}

/// Joins the processes that a launcher started. Only the first one talks, and prepares the folder before the
/// others can meet it.
template <class Prepare>
void join_group(PriorCommand& o, const Prepare& prepare) {
  const auto rendezvous = distributed::rendezvous_from_environment();
  o.run.device = distributed::device_of(o.device, rendezvous);
  if (!rendezvous || rendezvous->rank == 0) {
    prepare();
  } else {
    log::set_level(log::Level::Warning);
    o.run.control.shows_progress = false;
  }
  if (rendezvous) o.run.group = distributed::connect(*rendezvous, o.run.device);
}

/// A run that failed before its first step is not in the way of the next try.
void remove_what_never_began(const PriorCommand& o) {
  const fs::path folder = o.run.folder;
  if (o.run.resume || fs::exists(folder / "csv_logs")) return;
  remove_earlier(folder);
  std::error_code ignored;
  fs::remove(folder, ignored);  // where it is empty now
}

/// Reads the configuration of one part, keeps a copy, and trains.
template <class Training>
int train(PriorCommand& o, const config::Node& root) {
  const auto training = config::read_struct<Training>(root, "");
  bool has_begun = false;  // in the first process alone, which writes the run folder
  const auto begin = [&] {
    check_run_folder(o.run.folder, o.run.resume, o.overwrite);
    // What is wrong with the input leaves no run behind.
    const auto rendezvous = distributed::rendezvous_from_environment();
    prior::check_batch(training, rendezvous ? rendezvous->size : 1);
    data::list_shards(training.data);
    if (!training.val_data.empty()) data::list_shards(training.val_data);
    if constexpr (std::is_same_v<Training, prior::UNetTraining>)
      for (const std::string& model : {training.vae, training.init})
        if (!model.empty() && !fs::exists(model))
          throw SystemError(
              cat(model,
                  ": there is no such folder, expected a model in diffusers' layout. Train it with "
                  "t3d prior train, or name another."));
    if (o.overwrite) remove_earlier(o.run.folder);
    has_begun = true;
    make_folders((fs::path(o.run.folder) / "configs").string());
    if (!o.run.resume)
      write_file_atomically((fs::path(o.run.folder) / "configs" / "parsed.yaml").string(),
                            config::write_yaml(config::write_struct(training)));
  };
  try {
    join_group(o, begin);
    offer_to_go_on([folder = o.run.folder] { return command_to_resume(folder); });
    o.run.control.stop = stop_on_signals();
    return train_part(o, training);
  } catch (...) {
    if (has_begun) remove_what_never_began(o);
    throw;
  }
}

int train_prior(PriorCommand o) {
  const auto root = config::load_config(
      o.config_file, o.overrides, {}, [](const config::Node& given, const std::string& path) {
        for (const auto& kinds :
             {config::kinds_of<prior::UNetTraining>(), config::kinds_of<prior::AutoencoderTraining>(),
              config::kinds_of<prior::JudgeTraining>()})
          if (kinds(given, path) != config::KeyKind::Yaml) return kinds(given, path);
        return config::KeyKind::Yaml;
      });
  const config::Node* part = root.find("part");
  const std::string name = part != nullptr && part->is_string() ? std::get<std::string>(part->value) : "";
  if (name == "autoencoder") return train<prior::AutoencoderTraining>(o, root);
  if (name == "unet") return train<prior::UNetTraining>(o, root);
  if (name == "judge") return train<prior::JudgeTraining>(o, root);
  throw UserError(cat(o.config_file, ": part is \"", name, "\", expected autoencoder, unet or judge."));
}

}  // namespace

void add_prior_command(CLI::App& app, Run& run) {
  auto* group = app.add_subcommand("prior", "Train the parts of a text-to-image prior");
  group->require_subcommand(1);
  auto o = std::make_shared<PriorCommand>();
  auto* c = group->add_subcommand("train", "Train one part; see docs/prior.md");
  c->add_option("overrides", o->overrides, "key=value");
  c->add_option("--config", o->config_file, "YAML file, such as configs/toybox/autoencoder.yaml")->required();
  c->add_option("-o,--output", o->run.folder, "Run folder")->required();
  c->add_flag("--resume", o->run.resume, "Go on from the newest checkpoint of the run folder");
  c->add_flag("--overwrite", o->overwrite, "Replace an earlier run");
  c->add_option("--time-limit", o->run.time_limit, "Seconds, after which the run is saved and left")
      ->check(CLI::NonNegativeNumber);
  c->add_option("--device", o->device, "cpu, or cuda where LibTorch has it")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  c->callback([o, c, &run] {
    run = [o, c] {
      check_override_words(*c, o->overrides, {});
      return train_prior(*o);
    };
  });
}

}  // namespace t3d::cli
