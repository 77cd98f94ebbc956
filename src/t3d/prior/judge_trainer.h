#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "t3d/prior/training_loop.h"

namespace t3d::prior {

/// Training of a CLIPModel on captioned views, to measure with what other models make. Radford et al. 2021,
/// arXiv:2103.00020, figure 3: of a batch of pictures I and captions T, each with its own,
///
///   logits = exp(s) I T^t,   loss = (cross_entropy(logits, i = i) + cross_entropy(logits^t, i = i)) / 2
///
/// with unit rows I and T and a learned s, at most ln 100. Other objects of the batch that have the same
/// caption are left out of a row's sum: they are no mistakes.
struct JudgeTraining : LoopConfig {
  std::string part = "judge";
  std::string data, val_data;
  int image_size = 96, patch_size = 8, vision_channels = 160, vision_layers = 6, vision_heads = 5;
  int text_channels = 128, text_layers = 3, text_heads = 4, text_length = 32, most_merges = 8192;
  int shared_channels = 128;
  float augmentation = 1;
  bool bf16 = true, cuda_graphs = true;
  int val_objects = 100, candidates = 100;

  template <class V>
  void visit(V& v) {
    using namespace config;
    v("part", part, one_of({"judge"}), "what is trained");
    v("data", data, required(), "folder of captioned views");
    v("val_data", val_data, any(), "folder to measure on; empty: the training data's last objects");
    v("image_size", image_size, in_range(8, 1024), "pixels that pictures are resized to");
    v("patch_size", patch_size, in_range(1, 256), "pixels of a patch; divides image_size");
    v("vision_channels", vision_channels, in_range(8, 4096), "width of the image transformer");
    v("vision_layers", vision_layers, in_range(1, 48), "its layers");
    v("vision_heads", vision_heads, in_range(1, 64), "its heads");
    v("text_channels", text_channels, in_range(8, 4096), "width of the text transformer");
    v("text_layers", text_layers, in_range(1, 48), "its layers");
    v("text_heads", text_heads, in_range(1, 64), "its heads");
    v("text_length", text_length, in_range(8, 77), "tokens of a caption, with start and end");
    v("most_merges", most_merges, in_range(0, 100000), "bound of the vocabulary that is learned");
    v("shared_channels", shared_channels, in_range(2, 4096), "of the space of both");
    v("augmentation", augmentation, in_range(0.0, 4.0), "strength of the changes to pictures; 0: none");
    v("bf16", bf16, any(), "activations in bfloat16 on CUDA");
    v("cuda_graphs", cuda_graphs, any(), "record a step once and replay it, on CUDA");
    visit_loop(v);
    v("val_objects", val_objects, in_range(1, 100000), "objects that are measured in the end");
    v("candidates", candidates, in_range(2, 100000), "captions that each picture is compared with");
  }
};

struct JudgeReport {
  bool finished = false;  ///< all steps done; otherwise resume goes on
  int64_t steps = 0;
  int64_t n_objects = 0, n_candidates = 0;  ///< that were measured, and the captions of each choice
  /// Share of pictures, and of objects by the mean over their views, whose own caption is the most similar:
  /// of the half-precision file that was written, read back.
  double r_at_1 = 0, r_at_1_objects = 0;
};

/// Throws UserError for a batch that so many processes cannot share. Reads nothing.
void check_batch(const JudgeTraining& config, int n_processes);

/// Leaves in FOLDER/judge a CLIPModel in transformers' layout, half precision, with its tokenizer and
/// preprocessor_config.json, also when the time is up before all steps are done; checkpoints under
/// FOLDER/ckpts, metrics, and FOLDER/retrieval.png: a picture a row, then the objects whose captions are the
/// most similar. A stop that is asked for saves and throws Interrupted.
JudgeReport train_judge(const JudgeTraining& config, const TrainingRun& run);

}  // namespace t3d::prior
