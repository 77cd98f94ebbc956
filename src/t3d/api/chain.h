#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "t3d/system/run.h"
#include "t3d/t3d.h"

namespace t3d::api {

/// A run of a chain: a recipe, and the key that names the stage before it.
struct ChainStage {
  std::string name;    ///< "geometry": of its folder, and before overrides that are for it alone
  std::string recipe;  ///< a file in configs/
  std::string link;    ///< "system.geometry_convert_from"; empty for the first stage
};

/// Runs that start one from another: threestudio section 6.3.
struct Chain {
  std::string name, help;
  std::vector<ChainStage> stages;
};

const std::vector<Chain>& chains();
/// Throws UserError that suggests the nearest.
const Chain& find_chain(const std::string& name);
/// The chain that begins with a recipe of configs/; null: none does.
const Chain* chain_from(const std::string& recipe);

/// FOLDER/1-coarse, FOLDER/2-geometry, ...
std::string stage_folder(const Chain& chain, size_t index, const std::string& folder);

/// What the stages of a chain share, and what is for one of them.
struct ChainRequest {
  Recipe recipe;      ///< its name, folder and resume are the stages' own; `steps` is of every stage
  std::string model;  ///< the path that was found; empty: those that the recipes name
};

/// Whether an override begins with the name of a stage, "refine:trainer.max_steps=60".
bool names_a_stage(const std::string& override_text);

/// The experiment of a stage. An override "geometry:trainer.max_steps=100" is for the stage of that name,
/// others are for all. `previous`: the run folder of the stage before, empty to leave the link out. Throws
/// UserError.
system::Experiment stage_experiment(const Chain& chain, size_t index, const ChainRequest& request,
                                    const std::string& previous, bool resume);

/// The configurations of the stages from `first` on, without where they begin: throws what is wrong with
/// them.
void check_chain(const Chain& chain, const ChainRequest& request, const system::SystemContext& context,
                 size_t first = 0);

/// What a caller hears of a chain.
struct ChainHooks {
  /// Before a stage is fitted; what it returns goes with its fit.
  std::function<system::FitHooks(size_t index, system::Run& run)> on_stage;
};

/// Runs the stages from `first` on that are not finished, one after another, that one from the run folder
/// `previous` (empty for the chain's beginning); check_chain has found nothing wrong with them. With
/// request.recipe.resume, stages that are finished are kept and one that was stopped goes on from its newest
/// checkpoint. Returns the last stage's run. Throws as Run::fit.
std::unique_ptr<system::Run> run_chain(const Chain& chain, const ChainRequest& request,
                                       const system::SystemContext& context, const ChainHooks& hooks,
                                       size_t first = 0, const std::string& previous = "");

}  // namespace t3d::api
