#include "t3d/guidance/lora_score.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "t3d/core/error.h"

namespace t3d::guidance {
namespace {

namespace ds = t3d::diffusion;

constexpr int64_t kCameraNumbers = 16;
constexpr double kHalfGradientScale = 1024;
constexpr const char* kProcessor = ".processor.";

/// Where threestudio counts a layer: down blocks, up blocks, middle.
int rank_of(const std::string& name) {
  return name.rfind("down_blocks", 0) == 0 ? 0 : name.rfind("up_blocks", 0) == 0 ? 1 : 2;
}

const ds::UNet& unet_of(const Model& model) {
  if (model.unet == nullptr)
    throw UserError(cat(model.name, ": has no UNet that low-rank weights could be added to."));
  return *model.unet;
}

}  // namespace

CameraEmbedding::CameraEmbedding(const ds::Weights& weights, int64_t n_out)
    : linear_1(weights.at("linear_1"), kCameraNumbers, n_out),
      linear_2(weights.at("linear_2"), n_out, n_out) {
  for (auto* layer : {&linear_1, &linear_2}) {
    layer->weight.requires_grad_();
    layer->bias.requires_grad_();
  }
}

at::Tensor CameraEmbedding::operator()(const at::Tensor& cameras) const {
  return linear_2(at::silu(linear_1(cameras.to(at::kFloat))));
}

std::shared_ptr<LoraScore> LoraScore::make(const Model& model, uint64_t seed) {
  const auto& unet = unet_of(model);
  auto lora = ds::Lora::make({}, ds::attention_sites(unet.parameters()), seed, model.device);
  std::optional<CameraEmbedding> camera;
  if (!model.takes_cameras)
    camera.emplace(ds::Weights::random(seed, at::kFloat, model.device).at("camera_embedding"),
                   unet.config().time_channels());
  return std::make_shared<LoraScore>(model, std::move(lora), std::move(camera));
}

LoraScore::LoraScore(const Model& model, ds::Lora lora, std::optional<CameraEmbedding> camera)
    : unet_(model.unet),
      lora_(std::make_shared<ds::Lora>(std::move(lora))),
      denoiser_(unet_, model.denoiser->prediction(), lora_),
      camera_(std::move(camera)) {
  const auto kind = unet_of(model).config().class_embedding;
  if (camera_ && kind != ds::ClassEmbedding::Identity)
    throw UserError(cat(model.name,
                        ": its UNet has a class embedding of its own, which leaves no room for the "
                        "camera. Use a model without one."));
  lora_->require_grad(true);
}

double LoraScore::gradient_scale() const {
  return unet_->compute_type == at::ScalarType::Half ? kHalfGradientScale : 1;
}

at::Tensor LoraScore::predict(const at::Tensor& latents, const at::Tensor& t,
                              const ds::Condition& condition) const {
  ds::Condition told = condition;
  const auto& cameras = condition.class_labels;
  told.class_labels = camera_ && cameras.defined() ? (*camera_)(cameras) : at::Tensor();
  return denoiser_.predict(latents, t, told);
}

std::map<std::string, at::Tensor> LoraScore::parameters() const {
  const auto pairs = lora_->parameters();
  std::vector<std::string> layers;
  for (const auto& [name, tensor] : pairs) {
    const std::string layer = name.substr(0, name.find(kProcessor));
    if (layers.empty() || layers.back() != layer) layers.push_back(layer);
  }
  std::stable_sort(layers.begin(), layers.end(),
                   [](const std::string& a, const std::string& b) { return rank_of(a) < rank_of(b); });
  std::map<std::string, at::Tensor> out;
  for (const auto& [name, tensor] : pairs) {
    const size_t end = name.find(kProcessor);
    const auto place = std::find(layers.begin(), layers.end(), name.substr(0, end)) - layers.begin();
    out.emplace(cat("lora_layers.layers.", place, ".", name.substr(end + std::string(kProcessor).size())),
                tensor);
  }
  if (!camera_) return out;
  out.emplace("camera_embedding.linear_1.weight", camera_->linear_1.weight);
  out.emplace("camera_embedding.linear_1.bias", camera_->linear_1.bias);
  out.emplace("camera_embedding.linear_2.weight", camera_->linear_2.weight);
  out.emplace("camera_embedding.linear_2.bias", camera_->linear_2.bias);
  return out;
}

}  // namespace t3d::guidance
