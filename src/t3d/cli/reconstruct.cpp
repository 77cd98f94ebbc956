#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "t3d/cli/command.h"
#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/train/metrics.h"
#include "t3d/train/ngp_trainer.h"
#include "t3d/train/reconstruct_outputs.h"

namespace t3d::cli {
namespace {

namespace fs = std::filesystem;

struct ReconstructOptions {
  std::string input, output, device = "auto";
  data::PosedImagesOptions images;
  train::NgpStop stop;
  double max_memory_mib = 0;
  uint64_t seed = 0;
  int64_t eval_every = 0, checkpoint_steps = 0;
  int n_levels = 0, n_features = 0, log2_table = 0, max_resolution = 0, colour_hidden = -1, n_neurons = 0;
  int64_t target_samples = 0;
  double learning_rate = 0;
  float distortion = -1;
  train::OutputOptions outputs;
  bool resume = false, overwrite = false;
};

bool use_cuda(const std::string& device) {
  if (device == "cpu") return false;
  const bool available = train::ngp_cuda_available();
  if (device == "cuda" && !available)
    throw SystemError("--device cuda: this build or machine has no CUDA; see t3d doctor. Pass --device cpu.");
  return available;
}

/// The device's defaults with what was asked for on top.
field::NgpConfig make_config(const ReconstructOptions& o, bool cuda, float aabb_scale) {
  field::NgpConfig c = cuda ? field::NgpConfig{} : field::ngp_config_for_cpu();
  if (!cuda && aabb_scale > 1) c.log2_table = 17, c.n_levels = 14, c.max_resolution = 1024;
  const auto set = [](auto& value, auto asked) {
    if (asked > 0) value = asked;
  };
  set(c.n_levels, o.n_levels);
  set(c.n_features, o.n_features);
  set(c.log2_table, o.log2_table);
  set(c.max_resolution, o.max_resolution);
  set(c.colour_hidden, o.colour_hidden);
  set(c.n_neurons, o.n_neurons);
  set(c.target_samples, o.target_samples);
  set(c.learning_rate, o.learning_rate);
  c.final_learning_rate = std::min(c.final_learning_rate, c.learning_rate);
  if (o.distortion >= 0) c.distortion = o.distortion;
  field::check(c);
  return c;
}

void prepare_folder(const ReconstructOptions& o) {
  const fs::path folder = o.output;
  const bool used = fs::exists(folder) && !(fs::is_directory(folder) && fs::is_empty(folder));
  if (o.resume && !fs::exists(folder / "ckpts"))
    throw UserError(cat(o.output, ": there is nothing to resume (no ckpts folder). Leave out --resume."));
  if (used && !o.resume && !o.overwrite)
    throw UserError(cat(o.output, ": the folder exists and is not empty. Pass --resume or --overwrite."));
  if (used && o.overwrite)
    for (const char* ours :
         {"ckpts", "test", "depth", "save", "csv_logs", "tb_logs", "report.json", "report.md", "mesh.glb",
          "mesh.obj", "mesh.ply", "turntable.mp4", "turntable.gif", "parsed.yaml"})
      fs::remove_all(folder / ours);
  make_folders(o.output);
}

/// What a CPU can show in a minute; larger photographs are reduced unless --max-size says otherwise.
constexpr int kCpuImageSide = 512;

int longest_side(const data::PosedImages& images) {
  int side = 0;
  for (const auto& view : images.train)
    side = std::max({side, view.camera.lens.width, view.camera.lens.height});
  return side;
}

int reconstruct(const ReconstructOptions& o) {
  const double started = train::now_seconds();
  if (o.resume && o.overwrite)
    throw UserError("--resume and --overwrite contradict each other. Pass one of them.");
  const bool cuda = use_cuda(o.device);
  data::PosedImagesOptions image_options = o.images;
  if (!cuda && image_options.max_size == 0) image_options.max_size = kCpuImageSide;
  data::PosedImages images = data::read_posed_images(o.input, image_options);
  log::info(data::describe(images));
  if (image_options.max_size != o.images.max_size && longest_side(images) == kCpuImageSide)
    log::info(cat("on the CPU, images above ", kCpuImageSide,
                  " pixels are reduced to that; --max-size changes it"));
  prepare_folder(o);
  const field::NgpConfig config = make_config(o, cuda, images.aabb_scale);

  train::NgpTrainOptions options;
  options.stop = o.stop;
  if (options.stop.steps == 0 && options.stop.seconds == 0 && options.stop.train_seconds == 0)
    options.stop.seconds = cuda ? 30 : 60;
  options.stop.max_memory_bytes = static_cast<size_t>(o.max_memory_mib * 1024 * 1024);
  options.run_folder = o.output;
  options.eval_every = o.eval_every;
  options.checkpoint_steps = o.checkpoint_steps;
  options.started = started;
  train::OutputOptions outputs = o.outputs;
  outputs.video_seconds = 0.2 * options.stop.seconds;
  const auto stepper = cuda ? train::make_ngp_stepper_cuda(config, images.train, images.aabb_scale, o.seed)
                            : train::make_ngp_stepper_cpu(config, images.train, images.aabb_scale, o.seed);
  for (auto& view : images.train) view.rgba = {};  // the stepper has its own copy
  train::NgpTrainer trainer(images, config, options, *stepper);
  trainer.set_estimate([&] { return train::estimate_outputs(images, trainer, *stepper, outputs); });
  if (o.resume) trainer.resume(o.output);
  train::Metrics metrics(o.output, o.resume ? std::optional<int64_t>(stepper->steps_done()) : std::nullopt);
  trainer.set_metrics(&metrics);

  train::ReconstructReport report;
  report.device = cuda ? "cuda" : "cpu";
  report.seconds_load = train::now_seconds() - started;
  report.seconds_train = trainer.train({});
  report.steps = stepper->steps_done();
  train::write_outputs(o.output, images, config, trainer, *stepper, outputs, started, report);
  double psnr = 0, ssim = 0;
  for (const auto& view : report.views) psnr += view.psnr, ssim += view.ssim;
  const double n_views = static_cast<double>(report.views.size());
  if (n_views > 0) metrics.log(report.steps, {{"test/psnr", psnr / n_views}, {"test/ssim", ssim / n_views}});
  metrics.flush();
  return 0;
}

}  // namespace

void add_reconstruct_command(CLI::App& app, Run& run) {
  auto o = std::make_shared<ReconstructOptions>();
  auto* c = app.add_subcommand("reconstruct", "Train an instant-NGP radiance field on images with poses");
  c->add_option("data", o->input, "Folder or transforms JSON: NeRF-synthetic, instant-ngp, NSVF or COLMAP")
      ->required();
  c->add_option("-o,--output", o->output, "Run folder")->required();
  c->add_option("--device", o->device, "auto, cpu or cuda (default: auto)")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  c->add_option("--time-budget", o->stop.seconds,
                "Seconds for loading, training and the test views (default: 60 on the CPU, 30 with CUDA)")
      ->check(CLI::Range(1.0, 1e7));
  c->add_option("--train-seconds", o->stop.train_seconds,
                "Seconds of training alone, in place of --time-budget")
      ->check(CLI::Range(0.1, 1e7));
  c->add_option("--steps", o->stop.steps, "Training steps; a run of so many steps repeats exactly on the CPU")
      ->check(CLI::Range(1, 100000000));
  c->add_option("--target-psnr", o->stop.target_psnr, "Stop at this PSNR on views that are not trained on")
      ->check(CLI::Range(1.0, 100.0));
  c->add_option("--max-memory", o->max_memory_mib, "Stop, with the work saved, above so many MiB")
      ->check(CLI::Range(64.0, 1e7));
  c->add_option("--holdout", o->images.holdout,
                "Every Nth image is for testing; 0: none (default: 8 where the data has no test split)")
      ->check(CLI::Range(0, 100000));
  c->add_option("--max-size", o->images.max_size,
                "Reduce images whose longer side is above this (default: 512 on the CPU, none with CUDA)")
      ->check(CLI::Range(8, 65536));
  c->add_option("--aabb-scale", o->images.aabb_scale,
                "Side of the scene's box, a power of two (default: the data set's)")
      ->check(CLI::Range(1, 128));
  c->add_option("--seed", o->seed, "Decides the first weights and all draws");
  c->add_option("--eval-every", o->eval_every, "Steps between measurements on validation views")
      ->check(CLI::Range(1, 1000000));
  c->add_option("--checkpoint-steps", o->checkpoint_steps,
                "Steps between checkpoints (default: every 5 minutes)")
      ->check(CLI::Range(1, 100000000));
  c->add_option("--levels", o->n_levels, "Levels of the hash grid")->check(CLI::Range(1, 32));
  c->add_option("--features", o->n_features, "Features per entry: 1, 2, 4 or 8")
      ->check(CLI::IsMember({1, 2, 4, 8}));
  c->add_option("--log2-table", o->log2_table, "log2 of the entries per level")->check(CLI::Range(8, 24));
  c->add_option("--max-resolution", o->max_resolution, "Finest level, vertices per unit")
      ->check(CLI::Range(16, 1 << 16));
  c->add_option("--neurons", o->n_neurons, "Width of the networks: 16, 32, 64 or 128")
      ->check(CLI::IsMember({16, 32, 64, 128}));
  c->add_option("--colour-hidden", o->colour_hidden, "Hidden layers of the colour network")
      ->check(CLI::Range(1, 4));
  c->add_option("--target-samples", o->target_samples, "Samples per step")->check(CLI::Range(256, 1 << 24));
  c->add_option("--learning-rate", o->learning_rate, "Adam's first learning rate")
      ->check(CLI::Range(1e-7, 1.0));
  c->add_option("--distortion", o->distortion, "Weight of the distortion loss")
      ->check(CLI::Range(0.0f, 10.0f));
  c->add_option("--mesh-resolution", o->outputs.mesh_resolution,
                "Samples per side for the mesh (default: 192)")
      ->check(CLI::Range(16, 512));
  c->add_flag("--no-mesh{false}", o->outputs.mesh, "Write no mesh");
  c->add_flag("--no-video{false}", o->outputs.video, "Write no turntable");
  c->add_option("--video-frames", o->outputs.video_frames, "Frames of the turntable (default: 48)")
      ->check(CLI::Range(2, 10000));
  c->add_flag("--resume", o->resume, "Go on from the newest checkpoint of the run folder");
  c->add_flag("--overwrite", o->overwrite, "Replace an earlier run");
  c->callback([o, &run] { run = [o] { return reconstruct(*o); }; });
}

}  // namespace t3d::cli
