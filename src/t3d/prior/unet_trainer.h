#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "t3d/prior/training_loop.h"

namespace t3d::prior {

/// Joint training of a latent diffusion UNet and its text encoder on captioned views, as MVDream mixes it
/// (Shi et al. 2023, arXiv:2308.16512, section 3.3): most batches are all orbit views of an object at one
/// timestep, which attend to each other; the others are single views.
///
///   loss = mean (v_theta(x_t, t, text, camera) - v_t)^2,  v_t = sqrt(a_t) noise - sqrt(1 - a_t) x_0
///
/// with a schedule that ends without signal (Lin et al. 2023, arXiv:2305.08891).
struct UNetTraining : LoopConfig {
  std::string part = "unet";
  std::string data, val_data, vae, init;
  std::vector<int> block_channels = {64, 160, 224}, n_heads = {2, 5, 7}, attention = {0, 1, 1};
  int layers_per_block = 1, norm_groups = 32;
  int text_channels = 160, text_layers = 4, text_heads = 5, text_length = 32, most_merges = 8192;
  int n_views = 4, backgrounds = 4, val_objects = 64;
  float single_view_share = 0.3f, camera_dropout = 0.5f, caption_dropout = 0.1f;
  float beta2 = 0.99f;
  bool bf16 = true, cuda_graphs = true;
  std::vector<std::string> captions;

  template <class V>
  void visit(V& v) {
    using namespace config;
    v("part", part, one_of({"unet"}), "what is trained");
    v("data", data, required(), "folder of captioned views");
    v("val_data", val_data, any(), "folder to measure on; empty: no measurement");
    v("vae", vae, required(), "folder of the autoencoder, in diffusers' layout");
    v("init", init, any(), "model folder to start from: its UNet, text encoder and tokenizer");
    v("block_channels", block_channels, any(), "width of each resolution; each but the first halves it");
    v("n_heads", n_heads, any(), "attention heads of each");
    v("attention", attention, any(), "1 where there is attention");
    v("layers_per_block", layers_per_block, in_range(1, 8), "residual blocks of each");
    v("norm_groups", norm_groups, in_range(1, 64), "groups of normalisation; divides every width");
    v("text_channels", text_channels, in_range(8, 4096), "width of the text encoder");
    v("text_layers", text_layers, in_range(1, 48), "its layers");
    v("text_heads", text_heads, in_range(1, 64), "its heads");
    v("text_length", text_length, in_range(8, 77), "tokens of a caption, with start and end");
    v("most_merges", most_merges, in_range(0, 100000), "bound of the vocabulary that is learned");
    v("n_views", n_views, in_range(1, 64), "orbit views of an object: the first of the data's views");
    v("backgrounds", backgrounds, in_range(1, 64), "greys before which each object is encoded");
    v("single_view_share", single_view_share, in_range(0.0, 1.0), "of batches that are single views");
    v("camera_dropout", camera_dropout, in_range(0.0, 1.0), "of those that are told no camera");
    v("caption_dropout", caption_dropout, in_range(0.0, 1.0), "of objects that are told no caption");
    v("bf16", bf16, any(), "activations in bfloat16 on CUDA");
    v("cuda_graphs", cuda_graphs, any(), "record a step once and replay it, on CUDA");
    visit_loop(v);
    v("beta2", beta2, in_range(0.5, 0.99999), "decay of Adam's second moment");
    v("val_objects", val_objects, in_range(1, 100000), "objects that are measured in the end");
    v("captions", captions, any(), "of the contact sheet of samples");
  }
};

struct UNetReport {
  bool finished = false;  ///< all steps done; otherwise resume goes on
  int64_t steps = 0;
  double val_loss = 0;  ///< of the half-precision files that were written, read back; 0 without val_data
};

/// Throws UserError for a batch that so many processes cannot share. Reads nothing.
void check_batch(const UNetTraining& config, int n_processes);

/// Leaves in FOLDER a whole model in diffusers' layout, half precision: unet, text_encoder, tokenizer,
/// scheduler, vae (a copy), model_index.json, and samples.png of `captions`, also when the time is up before
/// all steps are done; checkpoints under FOLDER/ckpts. A stop that is asked for saves and
/// throws Interrupted.
UNetReport train_unet(const UNetTraining& config, const TrainingRun& run);

}  // namespace t3d::prior
