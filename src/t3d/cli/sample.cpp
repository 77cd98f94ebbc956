#include <ATen/ATen.h>

#include <filesystem>
#include <memory>
#include <string>

#include "t3d/cli/command.h"
#include "t3d/cli/output_path.h"
#include "t3d/cli/print_result.h"
#include "t3d/cli/toybox_prompt.h"
#include "t3d/core/error.h"
#include "t3d/core/interrupt.h"
#include "t3d/core/log.h"
#include "t3d/core/progress.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/diffusion/pipeline.h"
#include "t3d/diffusion/view_cameras.h"
#include "t3d/io/image.h"

namespace t3d::cli {
namespace {

namespace ds = t3d::diffusion;

const char* const kToybox = "toybox";

struct SampleCommand {
  std::string model = kToybox, prompt, negative, output, sampler, lora, dtype = "float32", device = "cpu";
  int64_t steps = 0, size = 0, views = 0;
  double guidance = -1, lora_scale = 1, elevation_deg = 15, azimuth_deg = -1;
  uint64_t seed = 0;
  bool is_toybox() const { return std::filesystem::path(model).filename() == kToybox; }
};

/// What was not asked for: the toybox needs less than the large models, and its objects have a front, on +x.
void fill_in(SampleCommand& o) {
  if (o.steps == 0) o.steps = o.is_toybox() ? 25 : 50;
  if (o.guidance < 0) o.guidance = o.is_toybox() ? 5 : 7.5;
  if (o.azimuth_deg < 0) o.azimuth_deg = o.is_toybox() ? 90 : 0;
}

at::ScalarType type_named(const std::string& name) {
  return name == "float16" ? at::kHalf : name == "bfloat16" ? at::kBFloat16 : at::kFloat;
}

/// [V,3,H,W] in [0,1] -> one picture, the views side by side.
io::Image8 side_by_side(const at::Tensor& pictures) {
  const auto strip = pictures.permute({2, 0, 3, 1}).contiguous();  // [H,V,W,3]
  io::ImageF image(static_cast<int>(strip.size(1) * strip.size(2)), static_cast<int>(strip.size(0)), 3);
  std::copy_n(strip.data_ptr<float>(), image.pixels.size(), image.pixels.begin());
  return io::to_8bit(image);
}

int sample(const SampleCommand& o) {
  if (o.is_toybox() && !o.prompt.empty()) parse_prompt(o.prompt);
  check_output_file(o.output, {".png"});
  const std::string path = ds::find_model(o.model);
  const c10::Device device(o.device);
  const StopToken stop = stop_on_signals();
  const ds::AdapterUse lora{o.lora, o.lora_scale};
  const auto text = ds::embed_prompts(path, {o.prompt, o.negative}, type_named(o.dtype), device, lora);
  const auto model = ds::load_model(path, o.sampler, type_named(o.dtype), device, lora);

  const int64_t views = o.views > 0 ? o.views : model.takes_cameras ? 4 : 1;
  if (views > 1 && !model.takes_cameras)
    throw UserError(cat("--views ", views, ": ", path,
                        " takes no cameras. Use an MVDream model, or other seeds for other pictures."));
  const int64_t size = o.size > 0 ? o.size : model.latent_size * model.reduction;
  if (size % model.reduction != 0)
    throw UserError(cat("--size ", size, ": expected a multiple of ", model.reduction, " pixels."));
  ds::SampleOptions options;
  options.stop = stop;
  options.n_steps = o.steps;
  options.guidance = o.guidance;
  options.seed = o.seed;
  options.latent_height = options.latent_width = size / model.reduction;
  if (model.takes_cameras) options.camera = ds::orbit_cameras(views, o.elevation_deg, o.azimuth_deg);

  const ds::TextToImage pipeline(model.denoiser, model.scheduler, model.decode, device);
  Progress progress("sample", 0);
  const auto pictures =
      pipeline(text.slice(0, 0, 1), text.slice(0, 1, 2), options, [&](int64_t done, int64_t total) {
        progress.set_total(total);
        progress.update(done);
      });
  progress.finish();
  io::write_png(o.output, side_by_side(pictures), io::ReadBack::Yes);
  log::info(cat(o.output, ": ", views, views == 1 ? " picture of " : " views of ", size, "x", size,
                " pixels, seed ", o.seed));
  print_result(o.output);
  return 0;
}

}  // namespace

void add_sample_command(CLI::App& app, Run& run) {
  auto o = std::make_shared<SampleCommand>();
  auto* command = app.add_subcommand("sample", "Make a picture from a prompt with a diffusion model");
  command->add_option("prompt", o->prompt, "What to show; may be empty")->required();
  command->add_option("--model", o->model, "Folder, file or name of the model; see t3d models")
      ->capture_default_str();
  command->add_option("-o,--output", o->output, "PNG to write; views stand side by side")->required();
  command->add_option("--negative", o->negative, "What to move away from");
  command->add_option("--steps", o->steps, "Steps of the sampler [50; toybox: 25]")
      ->check(CLI::Range(1, 1000));
  command
      ->add_option("--guidance", o->guidance,
                   "Weight of the prompt; 1 switches guidance off [7.5; toybox: 5]")
      ->check(CLI::Range(0.0, 1000.0));
  command->add_option("--seed", o->seed, "The same seed gives the same noise on every device")
      ->capture_default_str();
  command->add_option("--scheduler", o->sampler, "Sampler instead of the model's own")
      ->check(CLI::IsMember({"ddpm", "ddim", "euler", "dpm", "pndm"}));
  command->add_option("--lora", o->lora, "LoRA file, summed into UNet and text encoder: docs/lora.md");
  command->add_option("--lora-scale", o->lora_scale, "How strongly it counts")->capture_default_str();
  command->add_option("--size", o->size, "Edge in pixels [the model's own]")->check(CLI::Range(8, 8192));
  command->add_option("--views", o->views, "Views around the object, MVDream only [4]")
      ->check(CLI::Range(1, 64));
  command->add_option("--elevation", o->elevation_deg, "Of the views, degrees")
      ->check(CLI::Range(-90.0, 90.0))
      ->capture_default_str();
  command
      ->add_option("--azimuth", o->azimuth_deg,
                   "Of the first view, degrees from -y [0; toybox: 90, the front]")
      ->check(CLI::Range(0.0, 360.0));
  command->add_option("--dtype", o->dtype, "Type of the weights")
      ->check(CLI::IsMember({"float32", "float16", "bfloat16"}))
      ->capture_default_str();
  command->add_option("--device", o->device, "cpu, or cuda where LibTorch has it")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  command->callback([o, &run] {
    run = [o] {
      fill_in(*o);
      return sample(*o);
    };
  });
}

}  // namespace t3d::cli
