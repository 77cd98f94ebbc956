#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "t3d/cli/command.h"
#include "t3d/cli/output_path.h"
#include "t3d/core/atomic_file.h"
#include "t3d/core/config/load_config.h"
#include "t3d/core/config/read_yaml.h"
#include "t3d/core/config/struct_io.h"
#include "t3d/core/error.h"
#include "t3d/core/interrupt.h"
#include "t3d/core/log.h"
#include "t3d/core/progress.h"
#include "t3d/core/remove_tree.h"
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

int train_part(const PriorCommand& o, const prior::AutoencoderTraining& training) {
  const auto report = prior::train_autoencoder(training, o.run);
  if (!o.run.group->is_first()) return 0;
  if (!report.finished) {
    log::info(cat(o.run.folder, ": ", report.steps, " of ", training.steps, " steps done; --resume goes on"));
    return 0;
  }
  io::write_json_file(report_path(o), {{"part", "autoencoder"},
                                       {"finished", true},
                                       {"steps", report.steps},
                                       {"val", {{"psnr", report.psnr}}}});
  log::info(cat(o.run.folder, "/vae: ", report.psnr, " dB after ", report.steps, " steps"));
  return 0;
}

int train_part(const PriorCommand& o, const prior::UNetTraining& training) {
  const auto report = prior::train_unet(training, o.run);
  if (!o.run.group->is_first()) return 0;
  io::write_json_file(report_path(o), {{"part", "unet"},
                                       {"finished", report.finished},
                                       {"steps", report.steps},
                                       {"val", {{"loss", report.val_loss}}}});
  log::info(cat(o.run.folder, ": ", report.steps, " of ", training.steps, " steps, loss ", report.val_loss,
                report.finished ? "" : "; --resume goes on"));
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
  log::info(cat(o.run.folder, "/judge: ", report.steps, " of ", training.steps, " steps, ",
                100 * report.r_at_1, " % of pictures know their caption among ", report.n_candidates,
                report.finished ? "" : "; --resume goes on"));
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
    set_progress_enabled(false);
  }
  if (rendezvous) o.run.group = distributed::connect(*rendezvous, o.run.device);
}

/// Reads the configuration of one part, keeps a copy, and trains.
template <class Training>
int train(PriorCommand& o, const config::Node& root) {
  const auto training = config::read_struct<Training>(root, "");
  join_group(o, [&] {
    check_run_folder(o.run.folder, o.run.resume, o.overwrite);
    data::list_shards(training.data);  // a folder that is not there leaves no run behind
    if (!training.val_data.empty()) data::list_shards(training.val_data);
    if (o.overwrite) remove_earlier(o.run.folder);
    make_folders((fs::path(o.run.folder) / "configs").string());
    if (!o.run.resume)
      write_file_atomically((fs::path(o.run.folder) / "configs" / "parsed.yaml").string(),
                            config::write_yaml(config::write_struct(training)));
  });
  const InterruptScope interrupts;
  return train_part(o, training);
}

int train_prior(PriorCommand o) {
  const auto root = config::load_config(o.config_file, o.overrides);
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
  c->callback([o, &run] { run = [o] { return train_prior(*o); }; });
}

}  // namespace t3d::cli
