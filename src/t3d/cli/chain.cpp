#include <filesystem>
#include <iostream>
#include <memory>

#include "t3d/api/chain.h"
#include "t3d/api/model.h"
#include "t3d/cli/begin_stage.h"
#include "t3d/cli/command.h"
#include "t3d/cli/experiment_command.h"
#include "t3d/cli/folder_name.h"
#include "t3d/cli/go_on.h"
#include "t3d/cli/load_option.h"
#include "t3d/cli/output_path.h"
#include "t3d/cli/override_words.h"
#include "t3d/cli/print_result.h"
#include "t3d/core/clock.h"
#include "t3d/core/error.h"
#include "t3d/core/interrupt.h"
#include "t3d/core/is_used.h"
#include "t3d/core/log.h"
#include "t3d/core/remove_tree.h"
#include "t3d/core/sentence.h"
#include "t3d/system/mesh_exporter.h"
#include "t3d/system/outputs.h"
#include "t3d/system/plugins.h"

namespace t3d::cli {
namespace {

struct ChainOptions {
  std::string chain, prompt, output, model, device = "auto";
  std::vector<std::string> overrides;
  std::optional<int64_t> seed, steps;
  bool resume = false, overwrite = false;
};

int list_chains() {
  for (const api::Chain& chain : api::chains()) {
    std::cout << chain.name << ": " << chain.help << "\n";
    for (const api::ChainStage& stage : chain.stages)
      std::cout << "  " << stage.name << "  configs/" << stage.recipe << ".yaml\n";
  }
  return 0;
}

/// What an earlier run of a chain left; other files stay.
void remove_stages(const api::Chain& chain, const std::string& folder) {
  for (size_t i = 0; i < chain.stages.size(); ++i) remove_tree(api::stage_folder(chain, i, folder));
}

int run_chain(const ChainOptions& o) {
  const double began = now_s();
  const StopToken stop = stop_on_signals();
  const api::Chain& chain = api::find_chain(o.chain);
  if (o.prompt.find_first_not_of(" \t\n") == std::string::npos)
    throw UserError(
        cat("the prompt is empty. Say what to make: t3d chain ", chain.name, " \"a pineapple\"."));
  const std::string folder = o.output.empty() ? "out/" + chain.name + "/" + folder_name(o.prompt) : o.output;
  const std::string first_checkpoints = api::stage_folder(chain, 0, "") + "/ckpts";
  check_run_folder(folder, o.resume, o.overwrite, first_checkpoints.substr(1));
  api::ChainRequest request;
  request.model = o.model.empty() ? "" : api::find_complete_model(o.model);
  request.recipe.prompt = o.prompt, request.recipe.folder = folder, request.recipe.resume = o.resume;
  request.recipe.seed = o.seed, request.recipe.steps = o.steps, request.recipe.overrides = o.overrides;
  system::SystemContext context;
  context.device = device_named(o.device);
  context.control.stop = stop;
  offer_to_go_on([checkpoints = folder + first_checkpoints] {
    return command_again({is_used(checkpoints) ? "--resume" : "--overwrite"});
  });
  api::check_chain(chain, request, context);
  if (o.overwrite) remove_stages(chain, folder);
  api::ChainHooks hooks;
  hooks.on_stage = [&](size_t stage, system::Run& each) {
    begin_stage(chain, stage, each);
    system::FitHooks fit;
    fit.go_on = "--resume";
    return fit;
  };
  const auto run = api::run_chain(chain, request, context, hooks);
  const auto written = system::export_mesh(run->system(), folder);
  system::write_preview(*run, folder + "/preview.png", 4, 192);
  system::write_turntable(*run, folder, {});
  log::info(cat(folder, ": ", counted(static_cast<int64_t>(written.paths.size()), "file"),
                " of the mesh, preview.png in ", human_seconds(now_s() - began)));
  print_result(folder);
  return 0;
}

}  // namespace

void add_chain_command(CLI::App& app, Run& run) {
  auto o = std::make_shared<ChainOptions>();
  auto* c =
      app.add_subcommand("chain", "Run the stages of a method one after another; without words, list them");
  c->add_option("CHAIN", o->chain, "Its name");
  c->add_option("PROMPT", o->prompt, "What to make");
  c->add_option("OVERRIDES", o->overrides, "key.path=value for all stages, stage:key.path=value for one");
  c->add_option("-o,--output", o->output,
                "Folder of the stages and the result [out/CHAIN/ and the prompt's words]");
  c->add_option("--model", o->model, "Diffusion model [those that the recipes name]");
  c->add_option("--seed", o->seed, "Another seed gives another object [the recipes': 0]");
  c->add_option("--steps", o->steps, "Optimizer steps of every stage [the recipes']")
      ->check(CLI::Range(1, 100000000));
  c->add_option("--device", o->device, "Where to compute")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  const PluginFiles plugins = add_load_option(*c);
  c->add_flag("--resume", o->resume, "Go on: finished stages are kept");
  c->add_flag("--overwrite", o->overwrite, "Replace an earlier result");
  c->callback([o, c, plugins, &run] {
    run = [o, c, plugins] {
      system::load_plugins(*plugins);
      if (o->chain.empty()) return list_chains();
      check_override_words(*c, o->overrides, system::experiment_keys(), o->prompt);
      return run_chain(*o);
    };
  });
}

}  // namespace t3d::cli
