#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "t3d/api/chain.h"
#include "t3d/api/experiment_of.h"
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
#include "t3d/cli/toybox_prompt.h"
#include "t3d/core/atomic_file.h"
#include "t3d/core/clock.h"
#include "t3d/core/error.h"
#include "t3d/core/interrupt.h"
#include "t3d/core/is_used.h"
#include "t3d/core/log.h"
#include "t3d/core/memory_usage.h"
#include "t3d/core/remove_tree.h"
#include "t3d/core/sentence.h"
#include "t3d/io/json_file.h"
#include "t3d/ops/device_memory.h"
#include "t3d/system/mesh_exporter.h"
#include "t3d/system/outputs.h"
#include "t3d/system/plugins.h"
#include "t3d/system/same_run.h"

namespace t3d::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kMeshResolution = 160;
constexpr int kPreviewViews = 4, kPreviewSide = 192;
constexpr double kPreviewEvery_s = 5;
const char* const kToybox = "toybox";

struct GenerateOptions {
  std::string prompt, output, recipe = kToybox, model, device = "auto";
  std::vector<std::string> overrides;
  std::optional<int64_t> seed;  // else the recipe's
  int64_t steps = 0;
  std::optional<int> mesh_resolution;  // else the exporter's keys'
  std::optional<std::string> format;
  int frames = 48, frame_side = 256;
  bool resume = false, overwrite = false, refine = false;
};

/// The names of files that the report of an earlier run lists; none where there is no such report.
std::vector<std::string> listed_files(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code ignored;
  if (!fs::is_regular_file(folder / "run.json", ignored)) return names;
  const json report = io::read_json_file((folder / "run.json").string());
  if (!report.is_object() || !report.value("files", json()).is_object()) return names;
  for (const auto& [name, bytes] : report["files"].items())
    if (name == fs::path(name).filename()) names.push_back(name);
  return names;
}

/// What an earlier run left in the folder; other files stay.
void remove_earlier(const fs::path& folder) {
  for (const std::string& name : listed_files(folder)) remove_tree((folder / name).string());
  for (const char* ours :
       {"ckpts", "configs", "save", "csv_logs", "tb_logs", "cmd.txt", "run.json", "mesh.glb", "mesh.obj",
        "mesh.mtl", "mesh.png", "turntable.mp4", "turntable.gif", "preview.png"})
    remove_tree((folder / ours).string());
  for (const api::Chain& chain : api::chains())
    for (size_t i = 1; i < chain.stages.size(); ++i)
      remove_tree(api::stage_folder(chain, i, folder.string()));
}

/// The folder that was asked for, or a new one named after the prompt. Changes nothing.
std::string choose_folder(const GenerateOptions& o) {
  const std::string wanted = o.output.empty() ? "out/" + folder_name(o.prompt) : o.output;
  if (!o.output.empty() || o.resume || o.overwrite || !is_used(wanted)) {
    check_run_folder(wanted, o.resume, o.overwrite);
    return wanted;
  }
  for (int n = 2;; ++n) {
    const std::string next = wanted + "-" + std::to_string(n);
    if (!is_used(next)) return next;
  }
}

/// Keys that the command line has words of its own for.
void check_no_override_of_options(const GenerateOptions& o) {
  const std::pair<const char*, const char*> taken[] = {
      {"system.prompt_processor.prompt", "the prompt stands before the overrides"},
      {"trial_dir", "the folder is -o"},
      {"resume", "going on is --resume"}};
  for (const std::string& text : o.overrides) {
    const std::string key = text.substr(0, text.find('='));
    for (const auto& [name, instead] : taken)
      if (key == name) throw UserError(cat(text, ": ", instead, ". Leave the override out."));
    const char* option = key == "seed" && o.seed                                    ? "--seed"
                         : key == "trainer.max_steps" && o.steps > 0                ? "--steps"
                         : key == "system.exporter.fmt" && o.format                 ? "--format"
                         : key == "system.exporter.resolution" && o.mesh_resolution ? "--mesh-resolution"
                                                                                    : nullptr;
    if (option != nullptr)
      throw UserError(cat(text, " and ", option, " say the same thing twice. Leave one of them out."));
  }
}

/// What the command line says, as a recipe.
Recipe recipe_of(const GenerateOptions& o, const std::string& folder) {
  Recipe recipe;
  recipe.prompt = o.prompt;
  recipe.folder = folder;
  recipe.seed = o.seed;
  if (o.steps > 0) recipe.steps = o.steps;
  recipe.resume = o.resume;
  for (const std::string& text : o.overrides)
    if (!(o.refine && api::names_a_stage(text))) recipe.overrides.push_back(text);
  return recipe;
}

system::Experiment make_experiment(const GenerateOptions& o, const std::string& file,
                                   const std::string& model, const std::string& folder) {
  return api::experiment_of(recipe_of(o, folder), file, model, {"PROMPT", "--model", "--output", "--resume"});
}

/// mesh.glb, and mesh.obj with normals, mesh.mtl and mesh.png, unless the exporter's keys or the options say
/// otherwise.
system::MeshRequest mesh_request(const GenerateOptions& o) {
  system::MeshRequest request;
  const auto key = [](config::Node& block, const char* name, config::Node::Value value, const char* option) {
    block.set(name, config::Node(std::move(value), {option, 0, 0}));
  };
  key(request.otherwise, "save_name", std::string("mesh"), "generate");
  key(request.otherwise, "texture_format", std::string("png"), "generate");
  key(request.otherwise, "save_normal", true, "generate");
  key(request.otherwise, "resolution", int64_t{kMeshResolution}, "generate");
  if (o.mesh_resolution) key(request.given, "resolution", int64_t{*o.mesh_resolution}, "--mesh-resolution");
  if (o.format) key(request.given, "fmt", *o.format, "--format");
  request.texture_name.clear();
  return request;
}

/// Every file of the result with its size, read again from the disk.
json list_files(const fs::path& folder, const std::vector<std::string>& mesh_files) {
  json files = json::object();
  for (const std::string& path : mesh_files) files[fs::path(path).filename().string()] = fs::file_size(path);
  for (const char* name : {"turntable.mp4", "turntable.gif", "preview.png"})
    if (fs::exists(folder / name)) files[name] = fs::file_size(folder / name);
  return files;
}

/// The stages that come after the recipe's own.
const api::Chain& chain_of(const GenerateOptions& o) {
  if (const api::Chain* chain = api::chain_from(o.recipe)) return *chain;
  std::vector<std::string> ways;
  for (const api::Chain& each : api::chains()) ways.push_back(each.stages.front().recipe);
  throw UserError(cat("--refine: no stages come after the recipe ", o.recipe, ". Use --recipe ",
                      alternatives(ways), ", or leave --refine out."));
}

/// Whether a key says what a geometry's features are made of, which a later stage takes over as they are.
bool is_of_features(const std::string& text) {
  for (const char* start : {"system.geometry.pos_encoding_config", "system.geometry.mlp_network_config",
                            "system.geometry.n_feature_dims", "system.geometry.radius"})
    if (text.rfind(start, 0) == 0) return true;
  return false;
}

/// What stages after the first one are made with. Overrides without a stage's name are the first stage's, but
/// for those that have to be the same in all.
api::ChainRequest later_stages(const GenerateOptions& o, const std::string& model,
                               const std::string& folder) {
  api::ChainRequest request;
  request.model = model;
  request.recipe = recipe_of(o, folder);
  request.recipe.steps.reset();
  request.recipe.overrides.clear();
  for (const std::string& text : o.overrides)
    if (api::names_a_stage(text) || is_of_features(text)) request.recipe.overrides.push_back(text);
  return request;
}

void write_run_json(const std::string& folder, const json& report) {
  const std::string path = folder + "/run.json";
  io::write_json_file(path, report);
  if (io::read_json_file(path) != report)
    throw SystemError(cat(path, ": what was read back is not what was written. Check the disk."));
}

int generate(const GenerateOptions& o) {
  const double began = now_s();
  const StopToken stop = stop_on_signals();
  if (o.prompt.find_first_not_of(" \t\n") == std::string::npos)
    throw UserError("the prompt is empty. Say what to make: t3d generate \"a red mushroom\".");
  const std::string recipe = find_recipe(o.recipe);
  const bool is_toybox = o.recipe == kToybox && (o.model.empty() || fs::path(o.model).filename() == kToybox);
  json report;
  report["prompt"] = o.prompt;
  // Other words than the prior's would give an object that has nothing to do with them.
  if (is_toybox) report["caption"] = toybox::caption(parse_prompt(o.prompt));
  const std::string model = o.model.empty() && o.recipe != kToybox
                                ? ""
                                : api::find_complete_model(o.model.empty() ? std::string(kToybox) : o.model);
  const std::string folder = choose_folder(o);
  offer_to_go_on([folder, has_folder = !o.output.empty()] {
    return command_to_resume(
        folder, has_folder ? std::vector<std::string>{} : std::vector<std::string>{"-o", folder});
  });
  const system::Experiment experiment = make_experiment(o, recipe, model, folder);
  if (o.resume)
    system::check_same_run(folder, [&](int64_t max_steps) {
      GenerateOptions as_before = o;
      as_before.steps = max_steps;
      return make_experiment(as_before, recipe, model, folder);
    });
  system::SystemContext context;
  context.device = device_named(o.device);
  context.control.stop = stop;
  auto run = std::make_unique<system::Run>(experiment, context);
  system::exporter_config(run->system(), mesh_request(o));  // before the long part
  if (o.refine) api::check_chain(chain_of(o), later_stages(o, model, folder), context, 1);
  run->prepare_fit();
  // From here on the input is known to be good, and the folder may change.
  if (o.overwrite) remove_earlier(folder);
  system::write_run_folder(experiment, recipe, command_words());
  log::info(cat("\"", o.prompt, "\" -> ", folder));

  double preview_at = now_s();
  const std::string preview = folder + "/preview.png";
  const auto hooks_of = [&](system::Run& shown) {
    system::FitHooks hooks;
    hooks.go_on = "--resume";
    hooks.after_step = [&](int64_t) {
      if (now_s() - preview_at < kPreviewEvery_s) return;
      system::write_preview(shown, preview, kPreviewViews, kPreviewSide / 2);
      preview_at = now_s();
    };
    return hooks;
  };
  const auto fit = run->fit(hooks_of(*run));
  const double optimized = now_s();
  if (o.refine) {
    const api::Chain& chain = chain_of(o);
    api::ChainHooks stages;
    stages.on_stage = [&](size_t index, system::Run& stage) {
      begin_stage(chain, index, stage);
      return hooks_of(stage);
    };
    run.reset();  // one model in memory at a time
    run = api::run_chain(chain, later_stages(o, model, folder), context, stages, 1, folder);
  }

  const double fitted = now_s();
  const export_::WrittenMesh mesh = system::export_run(*run, folder, mesh_request(o));
  const double meshed = now_s();
  system::write_preview(*run, preview, kPreviewViews, kPreviewSide);
  system::FilmOptions film;
  film.n_frames = o.frames, film.side = o.frame_side;
  system::write_turntable(*run, folder, film);

  report["model"] = model.empty() ? json(nullptr) : json(model);
  report["recipe"] = recipe;
  report["refined"] = o.refine;
  report["seed"] = experiment.seed;
  report["device"] = context.device.is_cuda() ? "cuda" : "cpu";
  report["version"] = T3D_VERSION;
  report["steps"] = fit.steps;
  report["skipped_steps"] = fit.skipped;
  report["mesh"] = {{"vertices", mesh.n_vertices}, {"triangles", mesh.n_faces}};
  report["metrics"] = fit.last;
  report["seconds"] = {{"load", optimized - began - fit.seconds},
                       {"optimize", fit.seconds},
                       {"refine", fitted - optimized},
                       {"mesh", meshed - fitted},
                       {"film", now_s() - meshed},
                       {"total", now_s() - began}};
  report["memory"] = {{"peak_mib", static_cast<double>(peak_rss_bytes()) / (1 << 20)}};
  if (context.device.is_cuda())
    report["memory"]["device_peak_mib"] =
        static_cast<double>(ops::peak_device_bytes(context.device)) / (1 << 20);
  report["files"] = list_files(folder, mesh.paths);
  write_run_json(folder, report);
  std::string meshes;
  for (const std::string& path : mesh.paths) meshes += fs::path(path).filename().string() + ", ";
  log::info(cat(folder, ": ", meshes, counted(static_cast<int64_t>(mesh.n_faces), "triangle"),
                ", preview.png",
                fs::exists(folder + "/turntable.mp4") ? ", turntable.mp4, turntable.gif" : "", " in ",
                human_seconds(now_s() - began), ", ", human_bytes(static_cast<double>(peak_rss_bytes()))));
  print_result(folder);
  return 0;
}

}  // namespace

void add_generate_command(CLI::App& app, Run& run) {
  auto o = std::make_shared<GenerateOptions>();
  auto* c = app.add_subcommand("generate", "Make a 3D object from text: mesh, film, pictures");
  c->add_option("PROMPT", o->prompt, "What to make, such as \"a red mushroom with a white stem\"")
      ->required();
  c->add_option("OVERRIDES", o->overrides, "key.path=value, over the recipe's");
  c->add_option("-o,--output", o->output, "Folder of the result [out/ and the prompt's words]");
  c->add_option("--recipe", o->recipe, "A file in configs/, or a path")->capture_default_str();
  c->add_option("--model", o->model, "Diffusion model [the toybox prior that comes with t3d]");
  c->add_option("--seed", o->seed, "Another seed gives another object [the recipe's: 0]");
  c->add_option("--steps", o->steps, "Optimizer steps [the recipe's]")->check(CLI::Range(1, 100000000));
  c->add_option("--device", o->device, "Where to compute")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  c->add_option("--mesh-resolution", o->mesh_resolution, "Samples per side for the mesh [160]")
      ->check(CLI::Range(32, 512));
  c->add_option("--format", o->format,
                "Of the mesh: obj-mtl (with a GLB beside it), obj, glb, ply, stl or 3mf [obj-mtl]");
  c->add_option("--frames", o->frames, "Of the turntable")
      ->check(CLI::Range(2, 10000))
      ->capture_default_str();
  c->add_option("--frame-size", o->frame_side, "Pixels of a side of them")
      ->check(CLI::Range(16, 4096))
      ->capture_default_str();
  const PluginFiles plugins = add_load_option(*c);
  c->add_flag("--refine", o->refine,
              "Then a mesh and its colours, from what the recipe made: the later stages of t3d chain");
  c->add_flag("--resume", o->resume, "Go on from the newest checkpoint of the folder");
  c->add_flag("--overwrite", o->overwrite, "Replace an earlier result");
  c->callback([o, c, plugins, &run] {
    run = [o, c, plugins] {
      system::load_plugins(*plugins);
      check_override_words(*c, o->overrides, system::experiment_keys(), o->prompt);
      check_no_override_of_options(*o);
      return generate(*o);
    };
  });
}

}  // namespace t3d::cli
