#include "t3d/diffusion/unet.h"

#include <ATen/ATen.h>

#include <cmath>

#include "t3d/core/error.h"
#include "t3d/diffusion/checkpointed.h"
#include "t3d/diffusion/lora.h"

namespace t3d::diffusion {
namespace {

[[noreturn]] void unfit(const char* input, const at::Tensor& found, const std::string& expected) {
  throw UserError(cat("UNet: ", input, " is ", found.sizes(), " instead of ", expected,
                      ". Check the inputs against the model's config."));
}

}  // namespace

at::Tensor timestep_sinusoids(const at::Tensor& t, int64_t channels, bool cosine_first,
                              double frequency_shift) {
  const int64_t half = channels / 2;
  // Single precision in exactly this order, as the published models were trained: at t = 999 the last bit of
  // a frequency moves the output by 1e-4.
  const auto exponent = at::arange(half, t.options().dtype(at::kFloat)) * -std::log(10000.0) /
                        (static_cast<double>(half) - frequency_shift);
  // exp() in double, rounded once: in single precision its last bit depends on the processor.
  const auto frequencies = exponent.to(at::kDouble).exp().to(at::kFloat);        // [half]
  const auto angles = t.to(at::kFloat).unsqueeze(1) * frequencies.unsqueeze(0);  // [B,half]
  return cosine_first ? at::cat({angles.cos(), angles.sin()}, 1) : at::cat({angles.sin(), angles.cos()}, 1);
}

at::Tensor UNet::Mlp::operator()(const at::Tensor& x) const {
  return linear_2(at::silu(linear_1(x)));
}

UNet::UNet(const UNetConfig& config, const Weights& weights)
    : compute_type(arithmetic_type(weights.dtype(), weights.device())),
      config_(config),
      weights_(weights),
      conv_in_(in_sum_type(weights.at("conv_in")), config.in_channels, config.block_channels.front()),
      time_(in_sum_type(weights.at("time_embedding")), config.block_channels.front(), config.time_channels()),
      middle_(UNetBlock::middle(weights.at("mid_block"), config)),
      norm_out_(weights.at("conv_norm_out"), config.block_channels.front(), config.norm_groups,
                config.norm_eps),
      conv_out_(in_sum_type(weights.at("conv_out")), config.block_channels.front(), config.out_channels,
                {3, 1, 1}, true, Init::Zero) {
  const Weights of_class = in_sum_type(weights.at("class_embedding"));
  const int64_t n_time = config.time_channels();
  switch (config.class_embedding) {
    case ClassEmbedding::Timestep:
      class_mlp_.emplace(of_class, config.block_channels.front(), n_time);
      break;
    case ClassEmbedding::Projection:
      class_mlp_.emplace(of_class, config.class_inputs, n_time);
      break;
    case ClassEmbedding::SimpleProjection:
      class_linear_.emplace(of_class, config.class_inputs, n_time);
      break;
    case ClassEmbedding::Table:
      class_table_.emplace(of_class, config.class_inputs, n_time);
      break;
    case ClassEmbedding::Identity:
    case ClassEmbedding::None:
      break;
  }
  if (config.camera_inputs > 0)
    camera_.emplace(in_sum_type(weights.at("camera_embedding")), config.camera_inputs, n_time);
  const size_t n = config.block_channels.size();
  for (size_t level = 0; level < n; ++level)
    down_.push_back(UNetBlock::down(weights.at(cat("down_blocks.", level)), config, level));
  for (size_t i = 0; i < n; ++i)
    up_.push_back(UNetBlock::up(weights.at(cat("up_blocks.", i)), config, n - 1 - i));
}

void UNet::pack() {
  if (compute_type != at::kBFloat16 && compute_type != at::kFloat) return;
  for (UNetBlock& block : down_) block.pack();
  middle_.pack();
  for (UNetBlock& block : up_) block.pack();
  if (down_.front().resnets.front().conv1.is_packed()) packed_as_ = compute_type;
  // In bfloat16 the first and last convolution work in float; they are small.
  if (packed_as_ != at::kFloat) return;
  conv_in_.pack();
  conv_out_.pack();
}

void UNet::check_inputs(const at::Tensor& sample, const at::Tensor& timesteps, const at::Tensor& text,
                        const UNetExtra& extra) const {
  if (sample.dim() != 4 || sample.size(1) != config_.in_channels || sample.numel() == 0)
    unfit("sample", sample, cat("[B,", config_.in_channels, ",H,W]"));
  const int64_t n = sample.size(0);
  if (timesteps.dim() > 1 || (timesteps.numel() != n && timesteps.numel() != 1))
    unfit("timesteps", timesteps, cat("[", n, "], one per item"));
  if (text.dim() != 3 || text.size(0) != n || text.size(1) < 1 || text.size(2) != config_.text_channels)
    unfit("text", text, cat("[", n, ",T,", config_.text_channels, "]"));
  if (extra.n_views < 1 || n % extra.n_views != 0)
    throw UserError(cat("UNet: ", n, " items cannot be objects of ", extra.n_views,
                        " views each. Give every object all its views."));
  if (extra.camera.defined()) {
    if (!camera_)
      throw UserError(
          "UNet: a camera was given, but this model has no camera embedding (its config has no camera_dim). "
          "Leave the camera out, or use MVDream's weights.");
    if (extra.camera.dim() != 2 || extra.camera.size(0) != n || extra.camera.size(1) != config_.camera_inputs)
      unfit("camera", extra.camera, cat("[", n, ",", config_.camera_inputs, "]"));
  }
  const at::Tensor& labels = extra.class_labels;
  if (!labels.defined()) return;
  const bool is_vector = config_.class_embedding == ClassEmbedding::Projection ||
                         config_.class_embedding == ClassEmbedding::SimpleProjection ||
                         config_.class_embedding == ClassEmbedding::Identity;
  if (config_.class_embedding == ClassEmbedding::None)
    throw UserError(
        "UNet: class_labels were given, but this model has no class embedding (its config has no "
        "class_embed_type). Leave them out.");
  const int64_t width =
      config_.class_embedding == ClassEmbedding::Identity ? config_.time_channels() : config_.class_inputs;
  if (is_vector && (labels.dim() != 2 || labels.size(0) != n || labels.size(1) != width))
    unfit("class_labels", labels, cat("[", n, ",", width, "]"));
  if (!is_vector && (labels.dim() != 1 || labels.size(0) != n))
    unfit("class_labels", labels, cat("[", n, "]"));
  if (class_table_ && (labels.is_floating_point() || labels.min().item<int64_t>() < 0 ||
                       labels.max().item<int64_t>() >= config_.class_inputs))
    throw UserError(
        cat("UNet: class_labels must be whole numbers from 0 to ", config_.class_inputs - 1, "."));
}

at::Tensor UNet::time_embedding(const at::Tensor& timesteps, int64_t n, const UNetExtra& extra) const {
  const auto type = summed_in.value_or(sum_type(compute_type));
  const auto sinusoids = [this, type](const at::Tensor& t) {
    return timestep_sinusoids(t, config_.block_channels.front(), config_.cosine_first,
                              config_.frequency_shift)
        .to(type);
  };
  auto embedding = time_(sinusoids(timesteps.reshape({-1}).expand({n})));  // [B,time]
  const at::Tensor& labels = extra.class_labels;
  if (labels.defined()) {
    if (class_table_)
      embedding = embedding + (*class_table_)(labels).to(type);
    else if (config_.class_embedding == ClassEmbedding::Timestep)
      embedding = embedding + (*class_mlp_)(sinusoids(labels));
    else if (class_mlp_)
      embedding = embedding + (*class_mlp_)(labels.to(type));
    else
      embedding = embedding + (class_linear_ ? (*class_linear_)(labels.to(type)) : labels.to(type));
  }
  if (extra.camera.defined()) embedding = embedding + (*camera_)(extra.camera.to(type));
  return embedding;
}

std::vector<at::Tensor> UNet::parameters_of(const UNetBlock& block, const Lora* lora) const {
  std::vector<at::Tensor> parameters = block.parameters;
  if (lora != nullptr)
    for (const at::Tensor& t : lora->parameters_under(block.name + ".")) parameters.push_back(t);
  return parameters;
}

at::Tensor UNet::operator()(const at::Tensor& sample, const at::Tensor& timesteps, const at::Tensor& text,
                            const UNetExtra& extra) const {
  check_inputs(sample, timesteps, text, extra);
  const int64_t n = sample.size(0);
  const at::Tensor time = at::silu(time_embedding(timesteps.to(sample.device()), n, extra));
  const at::Tensor words = text.to(compute_type);
  // Blocks see time and text as inputs rather than captured, so that recomputation can return their
  // gradients.
  const auto run = [&](const UNetBlock& block, const std::vector<at::Tensor>& pictures, const auto& body) {
    std::vector<at::Tensor> inputs{time, words};
    inputs.insert(inputs.end(), pictures.begin(), pictures.end());
    const TensorFunction f = [&block, body, n_views = extra.n_views, lora = extra.lora,
                              scale = extra.lora_scale](const std::vector<at::Tensor>& in) {
      return body(block, UNetCall{in[0], in[1], n_views, lora, scale}, in);
    };
    return recompute ? checkpointed(f, inputs, parameters_of(block, extra.lora)) : f(inputs);
  };
  using Tensors = std::vector<at::Tensor>;

  const auto laid_out = [this](const at::Tensor& x) { 
    return in_layout(x, compute_type, packed_as_ == compute_type);
  };
  at::Tensor h = laid_out(conv_in_(laid_out(sample.to(time.scalar_type()))));
  Tensors skips{h};
  for (const UNetBlock& block : down_) {
    const Tensors out = run(block, {h}, [](const UNetBlock& b, const UNetCall& call, const Tensors& in) {
      return b.run_down(in[2], call);
    });
    skips.insert(skips.end(), out.begin(), out.end());
    h = out.back();
  }
  h = run(middle_, {h}, [](const UNetBlock& b, const UNetCall& call, const Tensors& in) {
        return Tensors{b.run_middle(in[2], call)};
      }).front();
  for (const UNetBlock& block : up_) {
    Tensors pictures{h};
    for (size_t i = 0; i < block.resnets.size(); ++i) {
      pictures.push_back(skips.back());
      skips.pop_back();
    }
    h = run(block, pictures, [](const UNetBlock& b, const UNetCall& call, const Tensors& in) {
          return Tensors{b.run_up(in[2], Tensors(in.begin() + 3, in.end()), call)};
        }).front();
    // An odd size was rounded up on the way down: cut to what the next skip has.
    if (block.sampler)
      h = (*block.sampler)(
          doubled(h.to(compute_type)).slice(2, 0, skips.back().size(2)).slice(3, 0, skips.back().size(3)),
          {{}, {}, h.scalar_type()});
  }
  return conv_out_.after(norm_out_, h, h.scalar_type(), {}).to(sample.scalar_type()).contiguous();
}

}  // namespace t3d::diffusion
