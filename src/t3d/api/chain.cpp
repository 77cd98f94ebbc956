#include "t3d/api/chain.h"

#include <algorithm>

#include "t3d/api/experiment_of.h"
#include "t3d/api/find_recipe.h"
#include "t3d/core/sentence.h"
#include "t3d/system/same_run.h"
#include "t3d/train/checkpoint.h"

namespace t3d::api {
namespace {

const char* const kGeometry = "system.geometry_convert_from";
const char* const kWeights = "system.weights";

std::string checkpoints_of(const std::string& folder) {
  return folder + "/ckpts";
}

/// Steps that the stage's folder has a checkpoint of; 0: none.
int64_t steps_done(const std::string& folder) {
  const auto found = train::latest_intact(checkpoints_of(folder));
  return found ? found->step : 0;
}

/// Whether an override names the stage that it is for; then without that name.
std::optional<std::string> for_stage(const Chain& chain, const std::string& text, const std::string& stage) {
  if (!names_a_stage(text)) return text;
  const size_t colon = text.find(':');
  const std::string name = text.substr(0, colon);
  std::vector<std::string> names;
  for (const ChainStage& each : chain.stages) names.push_back(each.name);
  if (std::find(names.begin(), names.end(), name) == names.end())
    throw UserError(cat(text, ": the chain ", chain.name, " has no stage ", name,
                        end_or_suggestion(name, names), " Use ", alternatives(names), "."));
  return name == stage ? std::optional<std::string>(text.substr(colon + 1)) : std::nullopt;
}

/// Finds what is wrong with a stage's configuration before any stage begins.
void check_stage(const Chain& chain, size_t index, const ChainRequest& request,
                 system::SystemContext context) {
  context.reads_weights = false;
  system::Run(stage_experiment(chain, index, request, "", false), context).prepare_fit();
}

}  // namespace

const std::vector<Chain>& chains() {
  static const std::vector<Chain> table = {
      {"toybox",
       "a field, then a mesh with its colours, on the built-in prior",
       {{"coarse", "toybox", ""}, {"refine", "toybox-refine", kGeometry}}},
      {"prolificdreamer",
       "a field, its shape by normals, its texture; Wang et al. 2023",
       {{"coarse", "prolificdreamer", ""},
        {"geometry", "prolificdreamer-geometry", kGeometry},
        {"texture", "prolificdreamer-texture", kGeometry}}},
      {"magic3d",
       "a field, then a mesh at 512x512; Lin et al. 2022",
       {{"coarse", "magic3d", ""}, {"refine", "magic3d-refine", kGeometry}}},
      {"fantasia3d",
       "a shape by its normals, then its material; Chen et al. 2023",
       {{"geometry", "fantasia3d", ""}, {"texture", "fantasia3d-texture", kGeometry}}},
      {"latentnerf",
       "latents, then pictures; Metzer et al. 2022",
       {{"coarse", "latentnerf", ""}, {"refine", "latentnerf-refine", kWeights}}},
  };
  return table;
}

const Chain& find_chain(const std::string& name) {
  std::vector<std::string> names;
  for (const Chain& each : chains()) {
    if (each.name == name) return each;
    names.push_back(each.name);
  }
  throw UserError(cat("there is no chain named ", name, end_or_suggestion(name, names), " Use ",
                      alternatives(names), "."));
}

const Chain* chain_from(const std::string& recipe) {
  for (const Chain& each : chains())
    if (each.stages.front().recipe == recipe) return &each;
  return nullptr;
}

bool names_a_stage(const std::string& override_text) {
  return override_text.find(':') < override_text.find('=');
}

std::string stage_folder(const Chain& chain, size_t index, const std::string& folder) {
  return cat(folder, "/", index + 1, "-", chain.stages[index].name);
}

system::Experiment stage_experiment(const Chain& chain, size_t index, const ChainRequest& request,
                                    const std::string& previous, bool resume) {
  const ChainStage& stage = chain.stages[index];
  Recipe recipe = request.recipe;
  recipe.name = stage.recipe;
  recipe.folder = stage_folder(chain, index, request.recipe.folder);
  recipe.resume = resume;
  recipe.overrides.clear();
  if (!stage.link.empty())
    recipe.overrides.push_back(stage.link + "=" + (previous.empty() ? "null" : checkpoints_of(previous)));
  for (const std::string& text : request.recipe.overrides)
    if (const auto own = for_stage(chain, text, stage.name)) recipe.overrides.push_back(*own);
  return experiment_of(recipe, find_recipe(stage.recipe), request.model,
                       {"PROMPT", "--model", "--output", "--resume"});
}

void check_chain(const Chain& chain, const ChainRequest& request, const system::SystemContext& context,
                 size_t first) {
  for (size_t i = first; i < chain.stages.size(); ++i) check_stage(chain, i, request, context);
}

std::unique_ptr<system::Run> run_chain(const Chain& chain, const ChainRequest& request,
                                       const system::SystemContext& context, const ChainHooks& hooks,
                                       size_t first, const std::string& before) {
  std::unique_ptr<system::Run> run;
  std::string previous = before;
  for (size_t i = first; i < chain.stages.size(); ++i) {
    const std::string own = stage_folder(chain, i, request.recipe.folder);
    const int64_t done = request.recipe.resume ? steps_done(own) : 0;
    const auto experiment = stage_experiment(chain, i, request, previous, done > 0);
    if (done > 0)
      system::check_same_run(own, [&](int64_t max_steps) {
        ChainRequest as_before = request;
        as_before.recipe.steps = max_steps;
        return stage_experiment(chain, i, as_before, previous, true);
      });
    previous = own;
    const bool is_finished = done > 0 && done >= experiment.trainer_config().max_steps;
    if (is_finished && i + 1 < chain.stages.size()) continue;
    run.reset();  // one model in memory at a time
    run = std::make_unique<system::Run>(experiment, context);
    if (is_finished) {
      run->restore_for_evaluation();
      continue;
    }
    run->prepare_fit();
    run->fit(hooks.on_stage(i, *run));
  }
  return run;
}

}  // namespace t3d::api
