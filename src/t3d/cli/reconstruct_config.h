#pragma once

#include <optional>
#include <string>

#include "t3d/core/config/fields.h"
#include "t3d/core/config/node.h"

namespace t3d::cli {

/// What decides a run of `t3d reconstruct`: its options, its --config file and RUN/configs/parsed.yaml alike.
/// null: as docs/reconstruct.md says for the data and the device.
struct ReconstructConfig {
  std::string data, device = "auto", precision = "auto";
  std::optional<double> time_budget, train_seconds, target_psnr, max_memory;
  std::optional<int64_t> steps;
  std::optional<int> holdout, max_size, aabb_scale;
  int64_t seed = 0;
  std::optional<int64_t> eval_every, checkpoint_steps;
  std::optional<int> levels, features, log2_table, max_resolution, neurons, colour_hidden;
  std::optional<int64_t> target_samples;
  std::optional<double> learning_rate, distortion;
  int mesh_resolution = 192, video_frames = 48;
  bool mesh = true, video = true;
  config::Node exporter;

  template <class V>
  void visit(V& v) {
    using namespace config;
    v("data", data, any(),
      "folder or transforms JSON: NeRF-synthetic, instant-ngp, nerfstudio, NSVF, COLMAP or LLFF");
    v("device", device, one_of({"auto", "cpu", "cuda"}), "where to compute");
    v("precision", precision, one_of({"auto", "float32", "bfloat16"}),
      "of the networks' products on the CPU; auto: bfloat16 where the processor is faster with it");
    v("time_budget", time_budget, in_range(1, 1e7),
      "seconds for loading, training and all outputs (60 on the CPU and 30 with CUDA)");
    v("train_seconds", train_seconds, in_range(0.1, 1e7), "seconds of training alone, in place of a budget");
    v("steps", steps, in_range(1, 1e8), "training steps; on the CPU the run then repeats exactly");
    v("target_psnr", target_psnr, in_range(1, 100), "stop at this PSNR on views that are not trained on");
    v("max_memory", max_memory, in_range(64, 1e7), "MiB above which the work is saved and the run ends");
    v("holdout", holdout, in_range(0, 100000),
      "every Nth image is for testing; 0: none (8 where the data has no test split)");
    v("max_size", max_size, in_range(8, 65536),
      "reduce images whose longer side is above this (512 on the CPU, none with CUDA)");
    v("aabb_scale", aabb_scale, one_of({1, 2, 4, 8, 16, 32, 64, 128}),
      "side of the scene's box (the data set's)");
    v("seed", seed, non_negative(), "decides the first weights and all draws");
    v("eval_every", eval_every, in_range(1, 1e6), "steps between measurements on validation views");
    v("checkpoint_steps", checkpoint_steps, in_range(1, 1e8), "steps between checkpoints (every 5 minutes)");
    v("levels", levels, in_range(1, 32), "levels of the hash grid");
    v("features", features, one_of({1, 2, 4, 8}), "features per entry");
    v("log2_table", log2_table, in_range(8, 24), "log2 of the entries per level");
    v("max_resolution", max_resolution, in_range(16, 1 << 16), "finest level, vertices per unit");
    v("neurons", neurons, one_of({16, 32, 64, 128}), "width of the networks");
    v("colour_hidden", colour_hidden, in_range(1, 4), "hidden layers of the colour network");
    v("target_samples", target_samples, in_range(256, 1 << 24), "samples per step");
    v("learning_rate", learning_rate, in_range(1e-7, 1), "Adam's first learning rate");
    v("distortion", distortion, in_range(0, 10), "weight of the distortion loss");
    v("mesh_resolution", mesh_resolution, in_range(16, 512), "samples per side for the mesh");
    v("video_frames", video_frames, in_range(2, 10000), "frames of the turntable");
    v("mesh", mesh, any(), "write the mesh");
    v("exporter", exporter, any(), "how: the keys of mesh-exporter, as in exporter.fmt=glb");
    v("video", video, any(), "write the turntable");
  }
};

}  // namespace t3d::cli
