#include "t3d/diffusion/clip_model.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "t3d/diffusion/json_reader.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/diffusion/torch_source.h"
#include "t3d/io/json_file.h"

namespace t3d::diffusion {
namespace {

/// [B,3,H,W] -> [B,P,3 p p]: squares of p pixels, row by row, each in the order of a kernel's weights.
at::Tensor squares_of(const at::Tensor& pixels, int64_t p) {
  const int64_t n = pixels.size(0), rows = pixels.size(2) / p, columns = pixels.size(3) / p;
  return pixels.slice(2, 0, rows * p)
      .slice(3, 0, columns * p)
      .reshape({n, -1, rows, p, columns, p})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({n, rows * columns, -1});
}

nlohmann::json part(const nlohmann::json& config, const char* key, const std::string& where) {
  if (!config.is_object() || !config.contains(key) || !config.at(key).is_object())
    throw UserError(cat(where, ": has no ", key, ", expected the config of a whole CLIPModel."));
  return config.at(key);
}

}  // namespace

ClipVisionConfig ClipVisionConfig::from_json(const nlohmann::json& config, const std::string& where) {
  const JsonReader read(config, where);
  read.expect("model_type", {"clip_vision_model"});
  ClipVisionConfig out;
  out.tower = ClipTowerConfig::from_json(config, where);
  out.image_size = read.whole("image_size", out.image_size, 1, 1 << 14);
  out.patch_size = read.whole("patch_size", out.patch_size, 1, out.image_size);
  out.n_colours = read.whole("num_channels", out.n_colours, 3, 3);
  return out;
}

ClipConfig ClipConfig::from_json(const nlohmann::json& config, const std::string& where) {
  const JsonReader read(config, where);
  read.expect("model_type", {"clip"});
  ClipConfig out;
  out.text = ClipTextConfig::from_json(part(config, "text_config", where), where + ": text_config");
  out.vision = ClipVisionConfig::from_json(part(config, "vision_config", where), where + ": vision_config");
  out.n_shared = read.whole("projection_dim", out.n_shared, 1, 1 << 16);
  return out;
}

ClipModel::ClipModel(const ClipConfig& c, const Weights& w)
    : config_(c),
      text_(c.text, w.at("text_model")),
      class_embedding_(w.take("vision_model.embeddings.class_embedding", {c.vision.tower.n_channels})),
      logit_scale_(w.take("logit_scale", {}, Init::One)),
      patch_weight_(
          w.take("vision_model.embeddings.patch_embedding.weight",
                 {c.vision.tower.n_channels, c.vision.n_colours, c.vision.patch_size, c.vision.patch_size})),
      positions_(w.at("vision_model.embeddings.position_embedding"), c.vision.n_patches() + 1,
                 c.vision.tower.n_channels),
      norm_in_(w.at("vision_model.pre_layrnorm"), c.vision.tower.n_channels, c.vision.tower.norm_eps),
      layers_(clip_layers(c.vision.tower, w.at("vision_model.encoder.layers"))),
      norm_out_(w.at("vision_model.post_layernorm"), c.vision.tower.n_channels, c.vision.tower.norm_eps),
      image_projection_(w.at("visual_projection"), c.vision.tower.n_channels, c.n_shared, /*has_bias=*/false),
      text_projection_(w.at("text_projection"), c.text.tower.n_channels, c.n_shared, /*has_bias=*/false),
      compute_type_(arithmetic_type(w.dtype(), w.device())) {
  w.ignore("vision_model.embeddings.position_ids");
}

void ClipModel::compute_in(at::ScalarType type) {
  compute_type_ = type;
  text_.compute_in(type);
}

ClipModel::Image ClipModel::image(const at::Tensor& pixels) const {
  const int64_t side = config_.vision.image_size;
  T3D_CHECK(pixels.dim() == 4 && pixels.size(1) == config_.vision.n_colours && pixels.size(2) == side &&
                pixels.size(3) == side,
            "pixels ", pixels.sizes(), ", the model takes [B,3,", side, ",", side, "]");
  const int64_t n = pixels.size(0), channels = config_.vision.tower.n_channels;
  // A convolution whose stride is its kernel is a product, which needs no search for an algorithm.
  const auto squares = factor_of(squares_of(pixels.to(compute_type_), config_.vision.patch_size));
  const auto patches = at::linear(squares, patch_weight_.flatten(1).to(squares.scalar_type()));  // [B,P,C]
  const auto first = class_embedding_.to(compute_type_).expand({n, 1, channels});
  Image out;
  const auto sums = sum_type(compute_type_);
  out.embeddings = at::cat({first, patches}, 1).to(sums) + positions_.weight.to(sums);  // [B,1+P,C]
  auto x = norm_in_(out.embeddings);
  for (const auto& layer : layers_) x = layer(x, /*causal=*/false, compute_type_);
  out.last_hidden_state = x;
  out.pooled = norm_out_(x.select(1, 0), compute_type_);
  out.features = image_projection_(out.pooled);
  return out;
}

at::Tensor ClipModel::text_features(const at::Tensor& ids) const {
  return text_projection_(text_(ids).pooled);
}

at::Tensor ClipModel::logits_per_image(const at::Tensor& image_features,
                                       const at::Tensor& text_features) const {
  return logit_scale_.to(at::kFloat).exp() * unit_rows(image_features).matmul(unit_rows(text_features).t());
}

at::Tensor unit_rows(const at::Tensor& x) {
  const auto y = x.to(at::kFloat);
  return y / y.square().sum(-1, /*keepdim=*/true).sqrt();
}

at::Tensor clip_score(const at::Tensor& image_features, const at::Tensor& text_features) {
  return 100 * unit_rows(image_features).matmul(unit_rows(text_features).t()).clamp_min(0);
}

ClipModel load_clip_model(const std::string& folder, at::ScalarType dtype, c10::Device device) {
  const std::string path = folder + "/config.json";
  const auto weights = Weights::from(open_source(find_weights(folder)), dtype, device);
  ClipModel model(ClipConfig::from_json(io::read_json_file(path), path), weights);
  weights.check();
  return model;
}

}  // namespace t3d::diffusion
