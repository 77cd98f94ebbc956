#include <ATen/ATen.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "t3d/cli/command.h"
#include "t3d/cli/convert_model.h"
#include "t3d/cli/go_on.h"
#include "t3d/cli/output_path.h"
#include "t3d/cli/print_result.h"
#include "t3d/core/error.h"
#include "t3d/core/interrupt.h"
#include "t3d/core/log.h"
#include "t3d/core/sentence.h"
#include "t3d/core/share_folder.h"
#include "t3d/diffusion/ldm_config.h"
#include "t3d/diffusion/ldm_names.h"
#include "t3d/diffusion/model_shapes.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/io/json_file.h"
#include "t3d/io/safetensors.h"

namespace t3d::cli {
namespace {

namespace ds = t3d::diffusion;

int list_models() {
  const auto places = ds::ModelPlaces::from_environment();
  const auto models = ds::list_models(places);
  for (const auto& model : models) {
    std::printf("%s  %s  %s%s\n", model.name.c_str(),
                human_bytes(static_cast<double>(model.n_bytes())).c_str(), model.path.c_str(),
                model.is_complete() ? "" : "  (incomplete)");
    for (const auto& part : model.parts)
      std::printf("  %-13s %10s%s%s\n", part.name.c_str(),
                  human_bytes(static_cast<double>(part.n_bytes)).c_str(),
                  part.missing.empty() ? "" : "  missing: ", part.missing.c_str());
  }
  if (models.empty())
    std::printf("no models found, though the toybox prior comes with t3d. %s\n",
                share_folder_remark().c_str());
  std::printf("looked in:");
  for (const auto& folder : places.folders) std::printf(" %s", folder.c_str());
  std::printf(" %s\n", places.hub_cache.c_str());
  std::printf(
      "To add a model, put its folder in diffusers' layout, or its single .safetensors, .ckpt or .pt file, "
      "into\n"
      "models/ or a folder named in T3D_MODELS (see docs/model_files.md); for measuring,\n"
      "t3d models synthesize sd21|sd15|mvdream -o DIR writes random weights of the true shapes.\n");
  return 0;
}

struct SynthesizeOptions {
  std::string shape, folder, dtype = "fp16", tokenizer;
  uint64_t seed = 0;
  bool overwrite = false;
};

/// Drawn tensor by tensor from the seed and the tensor's name, so that memory holds one at a time.
void write_part(const SynthesizeOptions& options, const std::string& part, const ds::TensorTable& table,
                const nlohmann::json& config) {
  const auto dtype = dtype_named(options.dtype);
  std::vector<io::PlannedTensor> plan;
  for (const auto& [name, tensor] : table)
    plan.push_back({name, dtype, tensor.shape, [&options, dtype, name = name, tensor = tensor] {
                      stop_on_signals().throw_if_requested(
                          cat(options.folder, " has some parts of the model only"));
                      return ds::Weights::random(options.seed, dtype).take(name, tensor.shape, tensor.init);
                    }});
  const std::string file =
      cat(options.folder, "/", part, part == "text_encoder" ? "/model" : "/diffusion_pytorch_model",
          ".safetensors");
  const auto receipt = io::write_safetensors(file, std::move(plan), {{"format", "pt"}});
  io::write_json_file(cat(options.folder, "/", part, "/config.json"), config);
  log::info(cat(part, ": ", counted(static_cast<int64_t>(table.size()), "tensor"), ", ",
                human_bytes(static_cast<double>(receipt.n_bytes))));
}

int synthesize(const SynthesizeOptions& options) {
  const bool is_sd15 = options.shape == "sd15", is_mvdream = options.shape == "mvdream";
  if (!is_sd15 && !is_mvdream && options.shape != "sd21")
    throw UserError(cat("model shape ", options.shape, " is not known",
                        did_you_mean(options.shape, {"sd21", "sd15", "mvdream"}),
                        "; choose sd21, sd15 or mvdream."));
  dtype_named(options.dtype);
  check_new_folder(options.folder, options.overwrite);
  tokenizer_folder(options.tokenizer.empty() ? ds::find_model("toybox") : options.tokenizer);
  offer_to_go_on([folder = options.folder] { return command_to_resume(folder); });
  stop_on_signals();
  const auto unet = is_sd15      ? ds::sd15_unet_config()
                    : is_mvdream ? ds::mvdream_unet_config()
                                 : ds::sd21_unet_config();
  const ds::TextShape text = is_sd15 ? ds::TextShape{} : ds::TextShape{1024, 4096, 23, 49408, 77};
  const auto text_table = ds::text_tensors(text);
  const auto vae_table = ds::vae_tensors({});
  // The configs are made from shapes as for a converted file.
  const auto empty_source = [](const ds::TensorTable& table) {
    std::map<std::string, at::Tensor> tensors;
    for (const auto& [name, tensor] : table) tensors[name] = at::zeros({1}, at::kHalf).expand(tensor.shape);
    return ds::memory_source("shapes", std::move(tensors));
  };
  write_part(options, "text_encoder", text_table,
             ds::text_config_from_shapes(*empty_source(text_table), !is_sd15, nullptr));
  write_part(options, "vae", vae_table, ds::vae_config_from_shapes(*empty_source(vae_table)));
  write_part(options, "unet", ds::unet_tensors(unet), ds::unet_config_json(unet));
  const std::string scheduler = is_sd15 ? "PNDMScheduler" : "DDIMScheduler";
  io::write_json_file(options.folder + "/scheduler/scheduler_config.json",
                      ds::scheduler_config(scheduler, "epsilon"));
  io::write_json_file(options.folder + "/model_index.json", ds::model_index(scheduler));
  if (options.tokenizer.empty()) {
    const std::string toybox = ds::find_tokenizer(ds::find_model("toybox"));
    copy_tokenizer(toybox, options.folder);
    log::info(
        cat("tokenizer: that of the toybox, of few words, from ", toybox, "; --tokenizer DIR takes CLIP's"));
  } else {
    copy_tokenizer(options.tokenizer, options.folder);
  }
  print_result(options.folder);
  return 0;
}

}  // namespace

void add_models_command(CLI::App& app, Run& run) {
  auto* command =
      app.add_subcommand("models", "List the diffusion models that are found, and what is missing");
  command->callback([command, &run] {
    if (command->get_subcommands().empty()) run = [] { return list_models(); };
  });
  auto options = std::make_shared<SynthesizeOptions>();
  auto* made = command->add_subcommand("synthesize", "Write a model of random weights of the true shapes");
  made->add_option("shape", options->shape, "sd21, sd15 or mvdream")->required();
  made->add_option("-o,--output", options->folder, "Folder to write")->required();
  made->add_option("--dtype", options->dtype, "fp16, bf16 or fp32")->capture_default_str();
  made->add_option("--seed", options->seed, "Of the random weights")->capture_default_str();
  made->add_option("--tokenizer", options->tokenizer,
                   "Folder with CLIP's vocab.json and merges.txt, or tokenizer.json [the toybox's]");
  made->add_flag("--overwrite", options->overwrite, "Write into a folder that is not empty");
  made->callback([options, &run] { run = [options] { return synthesize(*options); }; });
}

}  // namespace t3d::cli
