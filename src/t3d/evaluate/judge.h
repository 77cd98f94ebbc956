#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <string>
#include <vector>

#include "t3d/diffusion/clip_image.h"
#include "t3d/diffusion/clip_model.h"
#include "t3d/diffusion/tokenizer.h"
#include "t3d/io/image.h"

namespace t3d::evaluate {

/// A CLIPModel with its tokenizer and its image preprocessing: pictures and texts as unit vectors of one
/// space, whose products are the cosines of their similarity.
class Judge {
 public:
  /// A folder as transformers' CLIPModel and CLIPProcessor have it: config.json, model.safetensors,
  /// vocab.json, merges.txt and, where the pictures are prepared otherwise than CLIP's,
  /// preprocessor_config.json. Throws UserError that says what is missing or does not fit.
  Judge(const std::string& folder, c10::Device device);

  /// [n,S] float on the CPU. Texts that the model's length cuts are told in one warning. Throws
  /// UserError for texts that are not UTF-8.
  at::Tensor texts(const std::vector<std::string>& texts) const;
  /// [n,S] float on the CPU.
  at::Tensor pictures(const std::vector<io::Image8>& pictures) const;

  const std::string& folder() const { return folder_; }
  diffusion::ClipImageConfig images;  ///< how pictures are prepared

 private:
  std::string folder_;
  c10::Device device_;
  diffusion::ClipModel model_;
  diffusion::ClipTokenizer tokenizer_;
};

/// The folder `judge` in a model's folder, else that of the toybox, wherever diffusion::ModelPlaces has it.
/// Where there is none, the path that should have it, which Judge then explains.
std::string find_judge(const std::string& model_path = "");

}  // namespace t3d::evaluate
