#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "t3d/cli/command.h"
#include "t3d/cli/experiment_command.h"
#include "t3d/cli/families.h"
#include "t3d/core/config/interpolation.h"
#include "t3d/core/config/overrides.h"
#include "t3d/core/config/read_yaml.h"
#include "t3d/core/error.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/guidance/stable_diffusion_prompts.h"
#include "t3d/system/experiment.h"
#include "t3d/system/saved_weights.h"

namespace t3d::cli {
namespace {

using config::Node;

/// threestudio's and its relatives' types that a file may name and that are not built yet.
bool is_planned(const std::string& type) {
  static const std::vector<std::string> types = {"eff-random-camera-datamodule",
                                                 "single-image-datamodule",
                                                 "multiview-camera-datamodule",
                                                 "co3d-datamodule",
                                                 "multiprompt-camera-datamodule",
                                                 "multiprompt-multiview-camera-datamodule",
                                                 "tetrahedra-sdf-grid",
                                                 "custom-mesh",
                                                 "Hyper-iNGP",
                                                 "3DConv-net",
                                                 "Triplane-transformer-sdf",
                                                 "pbr-material",
                                                 "neural-radiance-material",
                                                 "hybrid-rgb-latent-material",
                                                 "sd-latent-adapter-material",
                                                 "multiprompt-neural-hashgrid-environment-map-background",
                                                 "nvdiff-rasterizer",
                                                 "gan-volume-renderer",
                                                 "generative-space-volsdf-volume-renderer",

                                                 "stable-diffusion-unified-guidance",
                                                 "stable-diffusion-sdi-guidance",
                                                 "deep-floyd-guidance",
                                                 "stable-diffusion-instructpix2pix-guidance",
                                                 "stable-diffusion-controlnet-guidance",
                                                 "zero123-guidance",
                                                 "stable-zero123-guidance",
                                                 "zero123-unified-guidance",

                                                 "deep-floyd-prompt-processor",
                                                 "dummy-prompt-processor",
                                                 "stable-diffusion-multi-prompt-processor",
                                                 "efficient-dreamfusion-system",
                                                 "magic3d-system",
                                                 "fantasia3d-system",
                                                 "sdi-system",
                                                 "zero123-system",
                                                 "zero123-simple-system",
                                                 "magic123-system",
                                                 "image-condition-dreamfusion-system",
                                                 "instructnerf2nerf-system",
                                                 "control4d-multiview-system",
                                                 "multiprompt-radience-field-generator-system"};
  return std::find(types.begin(), types.end(), type) != types.end();
}

const Node* at_path(const Node& root, const std::string& dotted) {
  const Node* at = &root;
  size_t begin = 0;
  while (at != nullptr && begin <= dotted.size()) {
    const size_t dot = std::min(dotted.find('.', begin), dotted.size());
    at = at->find(dotted.substr(begin, dot - begin));
    begin = dot + 1;
  }
  return at;
}

class Report {
 public:
  void line(const std::string& what, const std::string& value, const std::string& problem) {
    std::printf("  %-26s %-50s %s\n", what.c_str(), value.c_str(), problem.empty() ? "ok" : problem.c_str());
    n_problems_ += problem.empty() ? 0 : 1;
  }
  int n_problems() const { return n_problems_; }

 private:
  int n_problems_ = 0;
};

/// The first key of the block that its type does not have.
std::string unknown_key(const Node* block, const TypeInfo& type, const std::string& path) {
  if (block == nullptr || !block->is_map()) return "";
  std::vector<std::string> known;
  for (const auto& field : type.fields) known.push_back(field.name);
  for (const char* part : {"geometry", "material", "background", "renderer"})
    if (path == cat("system.", part)) known.push_back("weights");  // the system reads it
  for (const auto& [key, value] : block->map())
    if (std::find(known.begin(), known.end(), key) == known.end())
      return cat("unknown option ", path, ".", key, did_you_mean(key, known));
  return "";
}

void check_type(const Node& root, const std::string& path, const std::string& family, Report& report) {
  const Node* named = at_path(root, path + "_type");
  if (named == nullptr) {
    if (path != "system.background") report.line(path, "", cat("missing: give ", path, "_type"));
    return;
  }
  const std::string type = config::to_string(*named, path + "_type");
  for (const FamilyInfo& info : families()) {
    if (info.name != family) continue;
    std::vector<std::string> names;
    for (const TypeInfo& each : info.types) {
      if (each.name == type) return report.line(path, type, unknown_key(at_path(root, path), each, path));
      names.push_back(each.name);
    }
    return report.line(path, type,
                       is_planned(type) ? "not built yet" : cat("unknown", did_you_mean(type, names)));
  }
}

/// Whether `path`_type is `type`.
bool names(const Node& root, const std::string& path, const std::string& type) {
  const Node* named = at_path(root, path + "_type");
  return named != nullptr && named->is_string() && config::to_string(*named, path) == type;
}

/// Renderers that show densities, and those that show signed distances.
void check_fit(const Node& root, const std::string& renderer, Report& report) {
  const bool is_distance = names(root, "system.geometry", "implicit-sdf");
  if (is_distance && names(root, renderer, "nerf-volume-renderer"))
    report.line(renderer, "", "shows no signed distance: use neus-volume-renderer");
  if (!is_distance && names(root, renderer, "neus-volume-renderer"))
    report.line(renderer, "", "shows signed distances: use geometry_type=implicit-sdf");
}

void check_model(const Node& root, const std::string& path, Report& report) {
  const Node* named = at_path(root, path);
  if (named == nullptr || named->is_null()) return;
  const std::string name = config::to_string(*named, path);
  try {
    const std::string found = diffusion::find_model(name);
    const std::string missing = diffusion::inspect_model(found).missing();
    report.line(path, found, missing.empty() ? "" : "missing: " + missing);
  } catch (const Error& e) {
    report.line(path, name, "not found: see t3d models");
  }
}

/// The model that prompts are debiased with, where they are.
void check_language_model(const Node& root, Report& report) {
  const std::string block = "system.prompt_processor.";
  const Node* used = at_path(root, block + "use_prompt_debiasing");
  if (used == nullptr || config::to_string(*used, "use_prompt_debiasing") != "true") return;
  const std::string key = block + "pretrained_model_name_or_path_prompt_debiasing";
  const Node* named = at_path(root, key);
  const std::string name =
      named != nullptr
          ? config::to_string(*named, key)
          : guidance::StableDiffusionPrompts::Config().pretrained_model_name_or_path_prompt_debiasing;
  try {
    report.line(key, diffusion::find_language_model(name), "");
  } catch (const Error& e) {
    report.line(key, name, "not found: its config.json, vocab.txt and weights go to models/" + name);
  }
}

/// A file or folder that the configuration names; "RUN/ckpts/last.ckpt" stands for the newest step there.
void check_path(const Node& root, const std::string& key, Report& report) {
  const Node* value = at_path(root, key);
  if (value == nullptr || value->is_null()) return;
  if (value->is_mandatory()) return report.line(key, "???", cat("missing: add ", key, "=..."));
  const std::string named = config::to_string(*value, key);
  if (named.empty()) return;
  try {
    const std::filesystem::path path = system::latest_run(named);
    const bool is_newest = path.filename() == "last.ckpt" || path.filename() == "last";
    report.line(key, named,
                std::filesystem::exists(is_newest ? path.parent_path() : path) ? "" : "is not there");
  } catch (const Error& e) {
    report.line(key, named, e.what());
  }
}

int check(const std::string& file, const std::vector<std::string>& overrides) {
  const std::string path = find_recipe(file);
  Node root = config::read_yaml_file(path);
  if (!root.is_map()) throw UserError(cat(path, ": is no configuration: its top is not a block of keys."));
  for (const std::string& text : overrides) config::apply_override(root, text);
  std::printf("%s\n", path.c_str());
  Report report;
  try {
    config::resolve_interpolations(root);
  } catch (const UserError& e) {
    report.line("interpolations", "", e.what());
  }
  check_type(root, "data", "data", report);
  check_type(root, "system", "system", report);
  for (const char* part : {"geometry", "material", "background", "renderer"})
    check_type(root, std::string("system.") + part, part, report);
  std::string renderer = "system.renderer";
  if (names(root, renderer, "patch-renderer"))
    check_type(root, renderer += ".base_renderer", "renderer", report);
  check_fit(root, renderer, report);
  check_type(root, "system.guidance", "guidance", report);
  check_type(root, "system.prompt_processor", "prompt-processor", report);

  const Node* prompt = at_path(root, "system.prompt_processor.prompt");
  const bool has_prompt = prompt != nullptr && !prompt->is_null() && !prompt->is_mandatory();
  report.line("prompt", has_prompt ? config::to_string(*prompt, "prompt") : "",
              has_prompt ? "" : "missing: add system.prompt_processor.prompt=\"...\"");
  for (const char* model :
       {"system.guidance.pretrained_model_name_or_path", "system.guidance.pretrained_model_name_or_path_lora",
        "system.guidance.ckpt_path", "system.prompt_processor.pretrained_model_name_or_path"})
    check_model(root, model, report);
  const bool has_file = at_path(root, "system.guidance.ckpt_path") != nullptr &&
                        !at_path(root, "system.guidance.ckpt_path")->is_null();
  if (!has_file) check_model(root, "system.guidance.model_name", report);
  check_language_model(root, report);
  for (const char* key : {"system.geometry_convert_from", "system.weights", "resume", "data.image_path",
                          "data.dataroot", "system.guide_shape"})
    check_path(root, key, report);
  if (report.n_problems() == 0) {
    std::printf("It can run: t3d train --config %s\n", path.c_str());
    return 0;
  }
  std::printf("It cannot run: %d of these stand in the way.\n", report.n_problems());
  return 2;
}

}  // namespace

void add_check_command(CLI::App& app, Run& run) {
  auto file = std::make_shared<std::string>();
  auto overrides = std::make_shared<std::vector<std::string>>();
  auto* c =
      app.add_subcommand("check", "Say what a configuration needs and whether it can run; loads nothing");
  c->add_option("FILE", *file, "Configuration file, or the name of one in configs/")->required();
  c->add_option("OVERRIDES", *overrides, "key.path=value, over the file's");
  c->callback([file, overrides, &run] { run = [file, overrides] { return check(*file, *overrides); }; });
}

}  // namespace t3d::cli
