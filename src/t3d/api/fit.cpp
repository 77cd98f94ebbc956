#include "t3d/t3d.h"

#include <algorithm>

#include "t3d/api/device_named.h"
#include "t3d/api/experiment_of.h"
#include "t3d/api/find_recipe.h"
#include "t3d/api/model.h"
#include "t3d/ops/startup.h"
#include "t3d/system/mesh_exporter.h"
#include "t3d/system/run.h"

namespace t3d {
namespace {

const char* const kToybox = "toybox";

/// With its model: the toybox recipe names none.
Recipe whole(Recipe recipe) {
  if (recipe.folder.empty())
    throw UserError("the recipe's folder is empty. Name one for checkpoints and metrics.");
  if (!recipe.model && recipe.name == kToybox) recipe.model = Model(kToybox);
  return recipe;
}

}  // namespace

std::string version() {
  return T3D_VERSION;
}

void tune_process(char** argv) {
  ops::tune_process(argv);
}

struct Fit::Impl {
  Impl(const Recipe& r, const StopToken& stop, bool shows_progress)
      : recipe(whole(r)),
        file(api::find_recipe(recipe.name)),
        experiment(api::experiment_of(recipe, file, recipe.model ? recipe.model->path() : "")),
        run(experiment, context_of(recipe, stop, shows_progress)) {}

  static system::SystemContext context_of(const Recipe& recipe, const StopToken& stop, bool shows_progress) {
    system::SystemContext context;
    context.device = api::device_named(recipe.device);
    context.control = {stop, shows_progress};
    if (recipe.model) context.open = api::opener_of(*recipe.model);
    return context;
  }

  Recipe recipe;
  std::string file;
  system::Experiment experiment;
  system::Run run;
};

Fit::Fit(const Recipe& recipe, const StopToken& stop, bool shows_progress)
    : impl_(std::make_unique<Impl>(recipe, stop, shows_progress)) {}
Fit::~Fit() = default;
Fit::Fit(Fit&&) noexcept = default;
Fit& Fit::operator=(Fit&&) noexcept = default;

FitResult Fit::run(const FitCallbacks& callbacks) {
  impl_->run.prepare_fit();
  system::write_run_folder(impl_->experiment, impl_->file, {});
  StepReport report;
  report.steps = impl_->experiment.trainer_config().max_steps;
  system::FitHooks hooks;
  hooks.go_on = "Recipe::resume";
  if (callbacks.on_step) {
    hooks.on_metrics = [&](const std::map<std::string, double>& row) { report.metrics = row; };
    hooks.after_step = [&](int64_t done) {
      report.step = done;
      callbacks.on_step(report);
      report.metrics.clear();
    };
  }
  const system::FitReport fit = impl_->run.fit(hooks);
  return {fit.steps, fit.skipped, fit.seconds, fit.last};
}

RgbImage Fit::view(int index, int n, int side) {
  system::System& system = impl_->run.system();
  io::Image8 image =
      system.rgb_picture(system.render_view(impl_->run.views().circle_view(index, n, side, side)));
  T3D_CHECK(image.channels == 3, image.channels, " channels");
  return {image.width, image.height, std::move(image.pixels)};
}

std::vector<std::string> Fit::export_mesh(const std::string& folder, const MeshOptions& options) {
  system::MeshRequest request;
  const auto key = [](config::Node& block, const char* name, config::Node::Value value) {
    block.set(name, config::Node(std::move(value), {"MeshOptions", 0, 0}));
  };
  key(request.given, "save_name", options.name);
  key(request.given, "resolution", int64_t{options.resolution});
  key(request.given, "n_faces", int64_t{std::max(0, options.n_faces)});
  key(request.given, "texture_size", int64_t{options.texture_size});
  key(request.otherwise, "texture_format", std::string("png"));
  key(request.otherwise, "save_normal", true);
  request.texture_name.clear();
  return system::export_mesh(impl_->run.system(), folder, request).paths;
}

int64_t Fit::step() const {
  return impl_->run.step();
}

}  // namespace t3d
