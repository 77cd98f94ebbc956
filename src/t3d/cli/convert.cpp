#include <ATen/ATen.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "t3d/cli/command.h"
#include "t3d/cli/convert_model.h"
#include "t3d/cli/go_on.h"
#include "t3d/cli/output_path.h"
#include "t3d/cli/print_result.h"
#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/interrupt.h"
#include "t3d/core/log.h"
#include "t3d/core/sentence.h"
#include "t3d/diffusion/adapter.h"
#include "t3d/diffusion/ldm_config.h"
#include "t3d/diffusion/ldm_names.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/diffusion/tokenizer.h"
#include "t3d/diffusion/torch_source.h"
#include "t3d/io/json_file.h"
#include "t3d/io/safetensors.h"

namespace t3d::cli {

at::ScalarType dtype_named(const std::string& name) {
  if (name == "fp16") return at::kHalf;
  if (name == "bf16") return at::kBFloat16;
  if (name == "fp32") return at::kFloat;
  throw UserError(cat("--dtype ", name, " is not known; choose fp16, bf16 or fp32."));
}

namespace fs = std::filesystem;
namespace ds = t3d::diffusion;

std::string tokenizer_folder(const std::string& from) {
  const std::string folder = ds::find_tokenizer(from);
  if (folder.empty())
    throw SystemError(cat(from, fs::is_directory(from) ? ": holds no tokenizer" : ": is no folder",
                          ". Name a folder that holds the CLIP tokenizer's vocab.json and merges.txt, or its "
                          "tokenizer.json."));
  return folder;
}

void copy_tokenizer(const std::string& from, const std::string& folder) {
  const fs::path source = tokenizer_folder(from);
  for (const char* name :
       {"vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"})
    if (fs::exists(source / name))
      write_file_atomically((fs::path(folder) / "tokenizer" / name).string(),
                            read_whole_file(ds::link_target((source / name).string())));
}

namespace {

struct ConvertOptions {
  std::string model, folder, dtype = "fp16", tokenizer;
  ds::AdapterUse lora;
  bool overwrite = false;
};

/// One part, tensor by tensor; read back and held against what was written.
void convert_part(const std::string& model, const std::string& part, at::ScalarType dtype,
                  const std::string& folder, const ds::AdapterUse& lora) {
  const auto source = ds::open_adapted_part(model, part, lora);
  std::vector<io::PlannedTensor> plan;
  for (const auto& name : source->names())
    plan.push_back({name, dtype, source->shape(name), [source, name, dtype, folder] {
                      stop_on_signals().throw_if_requested(cat(folder, " has some parts of the model only"));
                      return source->load(name, dtype, c10::kCPU).to(dtype);
                    }});
  const std::string file =
      cat(folder, "/", part, part == "text_encoder" ? "/model" : "/diffusion_pytorch_model", ".safetensors");
  const size_t n = plan.size();
  const auto receipt = io::write_safetensors(file, std::move(plan), {{"format", "pt"}});
  io::write_json_file(cat(folder, "/", part, "/config.json"), ds::part_config(model, part));
  if (io::SafetensorsFile(file).entries().size() != n)
    throw SystemError(cat(file, ": does not read back as it was written. Check the disk."));
  log::info(cat(part, ": ", counted(static_cast<int64_t>(n), "tensor"), ", ",
                human_bytes(static_cast<double>(receipt.n_bytes))));
}

int convert(const ConvertOptions& options) {
  const auto dtype = dtype_named(options.dtype);
  check_new_folder(options.folder, options.overwrite);
  if (!options.tokenizer.empty()) tokenizer_folder(options.tokenizer);
  const std::string model = ds::find_model(options.model);
  if (ds::inspect_model(model).is_single_file) {
    const auto kind = ds::ldm_kind(*ds::open_source(model));
    std::string missing;
    const auto need = [&](bool is_there, const char* part) {
      if (!is_there) missing += cat(missing.empty() ? "no " : ", no ", part);
    };
    need(kind.has_unet, "UNet"), need(kind.has_vae, "VAE"), need(kind.has_text, "text encoder");
    if (!missing.empty())
      throw UserError(cat(model, ": has ", missing,
                          " in the naming of single-file checkpoints. Name the file of a whole model."));
  }
  offer_to_go_on([folder = options.folder] { return command_to_resume(folder); });
  stop_on_signals();
  // Every config is made before the first large file is written.
  for (const char* part : {"unet", "vae", "text_encoder"}) {
    ds::part_config(model, part);
    if (!options.lora.path.empty()) ds::open_adapted_part(model, part, options.lora);
  }
  for (const char* part : {"unet", "vae", "text_encoder"}) {
    convert_part(model, part, dtype, options.folder, options.lora);
  }
  const auto scheduler = ds::part_config(model, "scheduler");
  io::write_json_file(options.folder + "/scheduler/scheduler_config.json", scheduler);
  io::write_json_file(options.folder + "/model_index.json",
                      ds::model_index(scheduler.value("_class_name", "DDIMScheduler")));
  const std::string tokenizer = options.tokenizer.empty() ? ds::find_tokenizer(model) : options.tokenizer;
  if (!tokenizer.empty()) {
    copy_tokenizer(tokenizer, options.folder);
  } else {
    log::warning(cat("no tokenizer: put CLIP's vocab.json and merges.txt into ", options.folder,
                     "/tokenizer, or pass --tokenizer"));
  }
  print_result(options.folder);
  return 0;
}

}  // namespace

void add_convert_command(CLI::App& app, Run& run) {
  auto options = std::make_shared<ConvertOptions>();
  auto* command = app.add_subcommand("convert", "Convert a diffusion model to diffusers' layout");
  command
      ->add_option("model", options->model, "Checkpoint file (.safetensors, .ckpt, .pt), or a model's name")
      ->required();
  command->add_option("-o,--output", options->folder, "Folder to write")->required();
  command->add_option("--dtype", options->dtype, "fp16, bf16 or fp32")->capture_default_str();
  command->add_option("--tokenizer", options->tokenizer, "Folder with CLIP's vocab.json and merges.txt");
  command->add_option("--lora", options->lora.path,
                      "LoRA file to sum into UNet and text encoder: docs/lora.md");
  command->add_option("--lora-scale", options->lora.strength, "How strongly it counts")
      ->capture_default_str();
  command->add_flag("--overwrite", options->overwrite, "Write into a folder that is not empty");
  command->callback([options, &run] { run = [options] { return convert(*options); }; });
}

}  // namespace t3d::cli
