#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "t3d/core/error.h"
#include "t3d/core/interrupt.h"

/// t3d as a library: open a model, choose a recipe, fit it, write the mesh.
///
///   t3d::Recipe recipe;
///   recipe.prompt = "a red mushroom";
///   recipe.folder = "out/mushroom";
///   t3d::Fit fit(recipe);
///   fit.run();
///   fit.export_mesh(recipe.folder);
///
/// docs/library.md is the guide; the headers of the modules (t3d/field/..., t3d/guidance/...) are there for
/// what this one does not offer. Every function throws t3d::Error (core/error.h), whose text is a sentence
/// for people. No state is shared by two fits of a process but the model that both are given, which neither
/// changes.
namespace t3d {

/// "0.1.0".
std::string version();

/// Threads, OpenBLAS and memory as the program `t3d` sets them up (docs/performance.md). To be called first
/// thing in main, if at all: it may start the program anew, once, with another environment.
void tune_process(char** argv);

/// A diffusion model on disk, which fits share: each form of its weights is loaded when the first fit needs
/// it.
class Model {
 public:
  /// A path, or a name that is looked up where `t3d models` says. "toybox" comes with t3d. Throws SystemError
  /// where there is none or files of it are missing, UserError for what is no model. Reads no weights.
  explicit Model(const std::string& name_or_path = "toybox");

  const std::string& path() const;

  struct Impl;
  const std::shared_ptr<Impl>& impl() const { return impl_; }  ///< for t3d itself

 private:
  std::shared_ptr<Impl> impl_;
};

/// What is to be made. The keys that are not members here are those of configuration files, by `overrides`.
struct Recipe {
  std::string name = "toybox";  ///< a recipe that comes with t3d (t3d/configs), or the path of a YAML file
  std::string prompt;
  std::string folder;            ///< of checkpoints, metrics and views; made where it is not there
  std::optional<Model> model;    ///< else the one that the recipe names; "toybox" for the recipe of that name
  std::optional<int64_t> seed;   ///< else the recipe's
  std::optional<int64_t> steps;  ///< else the recipe's
  std::string device = "auto";   ///< "auto", "cpu", "cuda"
  bool resume = false;           ///< goes on from the newest checkpoint of `folder`
  std::vector<std::string> overrides;  ///< "system.loss.lambda_sds=2", as on the command line
  std::vector<std::string> plugins;    ///< shared objects with types of your own: docs/own_modules.md
};

struct StepReport {
  int64_t step = 0, steps = 0;  ///< done, and in all
  /// "train/loss", ...: of the steps that are logged (trainer.log_every_n_steps); else empty.
  std::map<std::string, double> metrics;
};

struct FitCallbacks {
  std::function<void(const StepReport&)> on_step;  ///< after every step, on the thread that called run()
};

struct FitResult {
  int64_t steps = 0, skipped = 0;  ///< done in all; whose gradient was not finite
  double seconds = 0;              ///< of this call
  std::map<std::string, double> metrics;
};

/// An RGB image, 3 bytes a pixel, rows from the top.
struct RgbImage {
  int width = 0, height = 0;
  std::vector<uint8_t> pixels;
};

struct MeshOptions {
  std::string name = "mesh";  ///< of the files, without ending
  int resolution = 160;       ///< samples along the longest side
  int n_faces = 60000;        ///< at most; 0: all
  int texture_size = 1024;    ///< texels along a side
};

/// One optimization of one scene.
class Fit {
 public:
  /// Reads the recipe and builds the scene; run() opens the model. `stop`: asked for, run() saves and throws
  /// Interrupted, and nothing else of the process stops. `shows_progress`: a line on standard error. Throws
  /// UserError for a recipe that is wrong, with the key and what is expected.
  explicit Fit(const Recipe& recipe, const StopToken& stop = {}, bool shows_progress = false);
  ~Fit();
  Fit(Fit&&) noexcept;
  Fit& operator=(Fit&&) noexcept;

  /// Optimizes up to the recipe's steps. Writes checkpoints and metrics to the folder. A function of recipe,
  /// model and seed: other fits of the process change nothing. Throws as the command line's train says, and
  /// whatever a callback throws.
  FitResult run(const FitCallbacks& callbacks = {});

  /// The scene from azimuth 360 index / n degrees, as it is now. Cost: one rendering.
  RgbImage view(int index, int n, int side);
  /// FOLDER/NAME.glb, and NAME.obj with .mtl and .png; z up, front on +x. Returns the paths. Throws UserError
  /// where the scene has no surface yet.
  std::vector<std::string> export_mesh(const std::string& folder, const MeshOptions& options = {});

  int64_t step() const;  ///< steps done

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace t3d
