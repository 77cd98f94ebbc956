#include <ATen/ATen.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "t3d/cli/command.h"
#include "t3d/cli/experiment_command.h"
#include "t3d/cli/go_on.h"
#include "t3d/cli/load_option.h"
#include "t3d/cli/output_path.h"
#include "t3d/cli/override_words.h"
#include "t3d/cli/print_result.h"
#include "t3d/core/error.h"
#include "t3d/core/interrupt.h"
#include "t3d/core/is_used.h"
#include "t3d/core/log.h"
#include "t3d/core/memory_usage.h"
#include "t3d/core/sentence.h"
#include "t3d/ops/device_memory.h"
#include "t3d/ops/matrix_unit.h"
#include "t3d/system/mesh_exporter.h"
#include "t3d/system/plugins.h"
#include "t3d/system/prepare_training.h"

namespace t3d::cli {
namespace {

namespace fs = std::filesystem;

enum class Mode { Train, Validate, Test, Export };

struct ModeOptions {
  std::string config, gpu, device = "auto";
  std::vector<std::string> overrides;
  bool verbose = false, ignored = false;
};

const char* const kTestViews = "test-views";  // `test` alone runs the program's own tests
std::vector<std::string> g_command;

/// --gpu N, as threestudio has it: only where the variable is not set already.
void choose_gpu(const std::string& gpu) {
  if (gpu.empty()) return;
  if (gpu.find(',') != std::string::npos)
    throw UserError(cat("--gpu ", gpu, ": t3d train uses one device. Name one, such as --gpu ",
                        gpu.substr(0, gpu.find(',')), "."));
  setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID", 0);
  setenv("CUDA_VISIBLE_DEVICES", gpu.c_str(), 0);
}

int export_mesh(system::Run& run) {
  const auto written = system::export_run(run, cat(run.save_folder(), "/it", run.step(), "-export"));
  for (const std::string& path : written.paths) print_result(path);
  return 0;
}

/// The run goes on by the configuration that it has written.
std::string command_to_train_on(const system::Experiment& e, const ModeOptions& o) {
  std::vector<std::string> words = {"train", "--config", e.trial_dir + "/configs/parsed.yaml"};
  if (is_used(e.trial_dir + "/ckpts")) words.push_back("resume=" + e.trial_dir + "/ckpts/last.ckpt");
  if (o.device != "auto") words.insert(words.end(), {"--device", o.device});
  if (!o.gpu.empty()) words.insert(words.end(), {"--gpu", o.gpu});
  return command_line(words);
}

int run_mode(const ModeOptions& o, Mode mode) {
  if (o.verbose) log::set_level(log::Level::Debug);
  choose_gpu(o.gpu);
  const StopToken stop = stop_on_signals();
  const std::string file = find_recipe(o.config);
  system::SystemContext context;
  context.device = device_named(o.device);
  context.control.stop = stop;
  if (mode == Mode::Train) {
    const auto prepared = system::prepare_training(
        file, o.overrides, context,
        [&o](const system::Experiment& e) { offer_to_go_on([e, o] { return command_to_train_on(e, o); }); });
    system::Run& run = *prepared;
    const system::Experiment& experiment = run.experiment();
    system::write_run_folder(experiment, file, g_command);
    log::info(cat("run folder: ", experiment.trial_dir));
    const auto report = run.fit();
    const double device_peak = static_cast<double>(ops::peak_device_bytes(context.device));
    log::info(cat(counted(report.steps, "step"), ", ", report.skipped, " of them skipped, in ",
                  human_seconds(report.seconds), "; memory at the peak ",
                  human_bytes(static_cast<double>(peak_rss_bytes())),
                  device_peak > 0 ? cat(", on the device ", human_bytes(device_peak)) : ""));
    run.test();
    print_result(experiment.trial_dir);
    return 0;
  }
  system::Run run(system::read_experiment(file, o.overrides), context);
  offer_to_go_on([] { return command_again(); });
  run.restore_for_evaluation();
  switch (mode) {
    case Mode::Validate:
      run.validate();
      log::info(cat(run.save_folder(), ": validation of step ", run.step()));
      print_result(run.save_folder());
      return 0;
    case Mode::Test:
      run.test();
      print_result(cat(run.save_folder(), "/it", run.step(), "-test"));
      return 0;
    default:
      return export_mesh(run);
  }
}

void add_mode(CLI::App& app, Run& run, Mode mode, const char* name, const char* help) {
  auto o = std::make_shared<ModeOptions>();
  auto* command = app.add_subcommand(name, help);
  command
      ->add_option("--config", o->config,
                   "Configuration file, as threestudio's, or the name of one in configs/")
      ->required();
  command->add_option("OVERRIDES", o->overrides, "key.path=value, over the file's");
  command->add_option("--device", o->device, "Where to compute")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  command->add_option("--gpu", o->gpu, "Number of the CUDA device");
  const PluginFiles plugins = add_load_option(*command);
  command->add_flag("--verbose", o->verbose, "More log lines");
  command->add_flag("--typecheck,--gradio", o->ignored, "Accepted, without effect");
  command->callback([o, mode, command, plugins, &run] {
    run = [o, mode, command, plugins] {
      system::load_plugins(*plugins);
      check_override_words(*command, o->overrides, system::experiment_keys());
      return run_mode(*o, mode);
    };
  });
}

}  // namespace

bool has_bfloat16() {
  return ops::has_fast_matrix_unit();
}

std::vector<std::string> translate_launch(const std::vector<std::string>& arguments) {
  if (arguments.empty()) return arguments;
  std::vector<std::string> words;
  if (arguments[0] == "test" &&
      std::find(arguments.begin(), arguments.end(), "--config") != arguments.end()) {
    words = arguments;  // not the tests of the program, but those of a run
    words[0] = kTestViews;
    return words;
  }
  if (arguments[0].rfind("--", 0) != 0) return arguments;
  std::string mode;
  for (const std::string& word : arguments) {
    if (word == "--train" || word == "--validate" || word == "--test" || word == "--export") {
      if (!mode.empty())
        throw UserError(cat(mode, " and ", word, " contradict each other. Give one of them."));
      mode = word;
    } else {
      words.push_back(word);
    }
  }
  if (mode.empty()) return arguments;
  words.insert(words.begin(), mode == "--test" ? kTestViews : mode.substr(2));
  return words;
}

void remember_command(int argc, char** argv) {
  g_command.assign(argv, argv + argc);
}

const std::vector<std::string>& command_words() {
  return g_command;
}

void add_train_commands(CLI::App& app, Run& run) {
  add_mode(app, run, Mode::Train, "train", "Run a recipe of text to 3D, then its test");
  add_mode(app, run, Mode::Validate, "validate", "Write the validation views of a checkpoint");
  add_mode(app, run, Mode::Test, kTestViews,
           "Write the test views and the film of a checkpoint; also t3d test --config");
  add_mode(app, run, Mode::Export, "export", "Write the mesh of a checkpoint");
}

}  // namespace t3d::cli
