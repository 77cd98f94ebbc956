#include "t3d/diffusion/autoencoder.h"

#include <ATen/ATen.h>

#include "t3d/core/error.h"
#include "t3d/diffusion/attention.h"
#include "t3d/diffusion/checkpointed.h"

namespace t3d::diffusion {
namespace {

constexpr double kEps = 1e-6;

ResnetBlock resnet(const Weights& w, int64_t n_in, int64_t n_out, const AutoencoderConfig& config) {
  return {w, n_in, n_out, 0, config.norm_groups, kEps};
}

}  // namespace

at::Tensor Posterior::sample(const at::Tensor& noise) const {
  return mean + (0.5 * logvar).exp() * noise.to(mean.scalar_type());
}

PixelAttention::PixelAttention(const Weights& w, int64_t n_channels, int64_t n_groups)
    : group_norm(w.at("group_norm"), n_channels, n_groups, kEps) {
  // Published autoencoders have the names of the first diffusers releases.
  constexpr const char* kNames[4][2] = {
      {"to_q", "query"}, {"to_k", "key"}, {"to_v", "value"}, {"to_out.0", "proj_attn"}};
  for (int i = 0; i < 4; ++i) {
    const std::string now = kNames[i][0], old = kNames[i][1];
    weight[i] = w.take_any({now + ".weight", old + ".weight"}, {n_channels, n_channels},
                           i == 3 ? Init::Zero : Init::FanIn);
    bias[i] = w.take_any({now + ".bias", old + ".bias"}, {n_channels}, Init::Zero);
  }
}

at::Tensor PixelAttention::operator()(const at::Tensor& x, at::ScalarType arithmetic) const {
  const auto project = [this](int i, const at::Tensor& tokens) {
    const auto in = factor_of(tokens);
    return at::linear(in, weight[i].to(in.scalar_type()), bias[i].to(in.scalar_type()));
  };
  const auto tokens = group_norm(x, arithmetic).flatten(2).transpose(1, 2).contiguous();  // [B,HW,C]
  const auto of_tokens = [&](int i) { return project(i, tokens).to(tokens.scalar_type()).unsqueeze(1); };
  const auto out = attention(of_tokens(0), of_tokens(1), of_tokens(2)).squeeze(1);
  return project(3, out).transpose(1, 2).reshape(x.sizes()) + x;
}

Autoencoder::Half Autoencoder::Half::encoder(const Weights& w, const AutoencoderConfig& config) {
  const auto& widths = config.block_channels;
  const int64_t last = widths.back();
  Half half{Conv2d(in_sum_type(w.at("conv_in")), config.image_channels, widths.front()),
            {},
            {},
            resnet(w.at("mid_block.resnets.0"), last, last, config),
            resnet(w.at("mid_block.resnets.1"), last, last, config),
            PixelAttention(w.at("mid_block.attentions.0"), last, config.norm_groups),
            GroupNorm(w.at("conv_norm_out"), last, config.norm_groups, kEps),
            Conv2d(in_sum_type(w.at("conv_out")), last, 2 * config.latent_channels)};
  int64_t in = widths.front();
  for (size_t level = 0; level < widths.size(); ++level) {
    const Weights here = w.at(cat("down_blocks.", level));
    half.levels.emplace_back();
    half.samplers.emplace_back();
    for (int64_t i = 0; i < config.layers_per_block; ++i, in = widths[level])
      half.levels.back().push_back(resnet(here.at(cat("resnets.", i)), in, widths[level], config));
    if (level + 1 < widths.size())
      // Padding on the right and below only, as the model was trained.
      half.samplers.back().emplace(here.at("downsamplers.0.conv"), in, in,
                                   Conv2d::Shape{3, 2, 0, /*more_behind=*/1});
  }
  return half;
}

Autoencoder::Half Autoencoder::Half::decoder(const Weights& w, const AutoencoderConfig& config) {
  const auto& widths = config.block_channels;
  const int64_t last = widths.back();
  Half half{Conv2d(in_sum_type(w.at("conv_in")), config.latent_channels, last),
            {},
            {},
            resnet(w.at("mid_block.resnets.0"), last, last, config),
            resnet(w.at("mid_block.resnets.1"), last, last, config),
            PixelAttention(w.at("mid_block.attentions.0"), last, config.norm_groups),
            GroupNorm(w.at("conv_norm_out"), widths.front(), config.norm_groups, kEps),
            Conv2d(in_sum_type(w.at("conv_out")), widths.front(), config.image_channels)};
  int64_t in = last;
  for (size_t step = 0; step < widths.size(); ++step) {
    const int64_t width = widths[widths.size() - 1 - step];
    const Weights here = w.at(cat("up_blocks.", step));
    half.levels.emplace_back();
    half.samplers.emplace_back();
    for (int64_t i = 0; i <= config.layers_per_block; ++i, in = width)
      half.levels.back().push_back(resnet(here.at(cat("resnets.", i)), in, width, config));
    if (step + 1 < widths.size()) half.samplers.back().emplace(here.at("upsamplers.0.conv"), in, in);
  }
  return half;
}

Autoencoder::Autoencoder(const AutoencoderConfig& config, const Weights& weights)
    : compute_type(arithmetic_type(weights.dtype(), weights.device())),
      config_(config),
      weights_(weights),
      encoder_(Half::encoder(weights.at("encoder"), config)),
      decoder_(Half::decoder(weights.at("decoder"), config)) {
  const int64_t n = config.latent_channels;
  if (config.has_quant_conv)
    quant_conv_.emplace(in_sum_type(weights.at("quant_conv")), 2 * n, 2 * n, Conv2d::Shape{1, 1, 0});
  if (config.has_post_quant_conv)
    post_quant_conv_.emplace(in_sum_type(weights.at("post_quant_conv")), n, n, Conv2d::Shape{1, 1, 0});
  for (const auto& [name, tensor] : weights.parameters())
    if (name.compare(0, weights.full_name("").size(), weights.full_name("")) == 0)
      all_parameters_.push_back(tensor);
}

void Autoencoder::Half::pack() {
  for (auto& level : levels)
    for (ResnetBlock& block : level) block.pack();
  for (auto& sampler : samplers)
    if (sampler) sampler->pack();
  middle_0.pack();
  middle_1.pack();
}

void Autoencoder::pack() {
  if (compute_type != at::kBFloat16 && compute_type != at::kFloat) return;
  encoder_.pack();
  decoder_.pack();
  if (encoder_.middle_0.conv1.is_packed()) packed_as_ = compute_type;
  // In bfloat16 the first and last convolution work in float; they are small.
  if (packed_as_ != at::kFloat) return;
  for (Half* half : {&encoder_, &decoder_}) {
    half->conv_in.pack();
    half->conv_out.pack();
  }
}

at::Tensor Autoencoder::stage(const at::Tensor& x, const Picture& body) const {
  if (!recompute) return body(x);
  const TensorFunction f = [body](const std::vector<at::Tensor>& in) {
    return std::vector<at::Tensor>{body(in[0])};
  };
  return checkpointed(f, {x}, all_parameters_).front();
}

at::Tensor Autoencoder::run_middle(const Half& half, const at::Tensor& x) const {
  return stage(x, [&half, type = compute_type](const at::Tensor& h) {
    return half.middle_1(half.middle_attention(half.middle_0(h, {}, type), type), {}, type);
  });
}

at::Tensor Autoencoder::moments(const at::Tensor& image) const {
  const auto type = compute_type, sums = sum_type(type);
  at::Tensor h = encoder_.conv_in(in_layout(image.to(sums), type, packed_as_ == type));
  for (size_t level = 0; level < encoder_.levels.size(); ++level) {
    for (const ResnetBlock& block : encoder_.levels[level])
      h = stage(h, [&block, type](const at::Tensor& x) { return block(x, {}, type); });
    if (encoder_.samplers[level]) h = encoder_.samplers[level]->of_rounded(h, type, {});
  }
  h = encoder_.conv_out.after(encoder_.norm_out, run_middle(encoder_, h), sums, {});
  return (quant_conv_ ? (*quant_conv_)(h) : h).to(image.scalar_type()).contiguous();
}

at::Tensor Autoencoder::pixels(const at::Tensor& z) const {
  const auto type = compute_type, sums = sum_type(type);
  at::Tensor h = in_layout(z.to(sums), type, packed_as_ == type);
  if (post_quant_conv_) h = (*post_quant_conv_)(h);
  h = run_middle(decoder_, decoder_.conv_in(h));
  for (size_t step = 0; step < decoder_.levels.size(); ++step) {
    for (const ResnetBlock& block : decoder_.levels[step])
      h = stage(h, [&block, type](const at::Tensor& x) { return block(x, {}, type); });
    if (decoder_.samplers[step]) h = (*decoder_.samplers[step])(doubled(h.to(type)), {{}, {}, sums});
  }
  return decoder_.conv_out.after(decoder_.norm_out, h, sums, {}).to(z.scalar_type()).contiguous();
}

at::Tensor Autoencoder::in_slices(const at::Tensor& x, const Picture& body) const {
  if (!slicing || x.size(0) == 1) return body(x);
  std::vector<at::Tensor> parts;
  for (int64_t i = 0; i < x.size(0); ++i) parts.push_back(body(x.narrow(0, i, 1)));
  return at::cat(parts, 0);
}

Posterior Autoencoder::encode(const at::Tensor& image) const {
  const int64_t reduction = config_.reduction();
  if (image.dim() != 4 || image.size(1) != config_.image_channels || image.size(0) < 1 ||
      image.size(2) < reduction || image.size(3) < reduction)
    throw UserError(cat("autoencoder: the image is ", image.sizes(), " instead of [B,",
                        config_.image_channels, ",H,W] with at least ", reduction,
                        " pixels along each edge. Resize it."));
  const bool tiled = tiling && (image.size(2) > tile_pixels || image.size(3) > tile_pixels);
  const auto both = in_slices(image, [&](const at::Tensor& x) {
    if (!tiled) return moments(x);
    return in_tiles(x, tile_pixels, tile_overlap_pixels, 1, reduction,
                    [this](const at::Tensor& tile) { return moments(tile); });
  });
  const auto halves = both.chunk(2, 1);
  return {halves[0], halves[1].clamp(-30, 20)};
}

at::Tensor Autoencoder::decode(const at::Tensor& z) const {
  if (z.dim() != 4 || z.size(1) != config_.latent_channels || z.numel() == 0)
    throw UserError(cat("autoencoder: the latents are ", z.sizes(), " instead of [B,",
                        config_.latent_channels, ",h,w]."));
  const int64_t reduction = config_.reduction(), tile = tile_pixels / reduction;
  const bool tiled = tiling && (z.size(2) > tile || z.size(3) > tile);
  return in_slices(z, [&](const at::Tensor& x) {
    if (!tiled) return pixels(x);
    return in_tiles(x, tile, tile_overlap_pixels / reduction, reduction, 1,
                    [this](const at::Tensor& part) { return pixels(part); });
  });
}

at::Tensor Autoencoder::to_latents(const at::Tensor& image, const at::Tensor& noise) const {
  return encode(image).sample(noise) * config_.scaling_factor;
}

at::Tensor Autoencoder::from_latents(const at::Tensor& latents) const {
  return decode(latents / config_.scaling_factor);
}

at::Tensor in_tiles(const at::Tensor& x, int64_t tile, int64_t overlap, int64_t up, int64_t down,
                    const std::function<at::Tensor(const at::Tensor&)>& body) {
  T3D_CHECK(overlap >= 0 && overlap < tile, "tiles of ", tile, " that overlap by ", overlap);
  struct Span {
    int64_t from, length;
  };
  const auto spans = [&](int64_t size) {
    std::vector<Span> list;
    const int64_t step = std::max(down, (tile - overlap) / down * down);
    for (int64_t from = 0;; from += step) {
      if (from + tile >= size) {
        const int64_t start = std::max<int64_t>(0, (size - tile) / down * down);
        list.push_back({start, size - start});
        return list;
      }
      list.push_back({from, tile});
    }
  };
  /// Rises over the overlap on sides that have a neighbour.
  const auto ramp = [&](const Span& span, int64_t size, int64_t n) {
    auto r = at::ones({n}, x.options());
    const int64_t rise = std::min(n, std::max<int64_t>(1, overlap * up / down));
    const auto slope = (at::arange(rise, x.options()) + 0.5) / static_cast<double>(rise);
    if (span.from > 0) r.narrow(0, 0, rise).mul_(slope);
    if (span.from + span.length < size) r.narrow(0, n - rise, rise).mul_(slope.flip(0));
    return r;
  };
  at::Tensor sum, weight;
  for (const Span& rows : spans(x.size(2)))
    for (const Span& columns : spans(x.size(3))) {
      const auto part = body(x.narrow(2, rows.from, rows.length).narrow(3, columns.from, columns.length));
      const auto blend =
          ramp(rows, x.size(2), part.size(2)).unsqueeze(1) * ramp(columns, x.size(3), part.size(3));
      if (!sum.defined()) {
        const int64_t height = x.size(2) * up / down, width = x.size(3) * up / down;
        sum = at::zeros({part.size(0), part.size(1), height, width}, part.options());
        weight = at::zeros({height, width}, blend.options());
      }
      const int64_t top = rows.from * up / down, left = columns.from * up / down;
      sum.narrow(2, top, part.size(2)).narrow(3, left, part.size(3)).add_(part * blend);
      weight.narrow(0, top, part.size(2)).narrow(1, left, part.size(3)).add_(blend);
    }
  return sum / weight;
}

}  // namespace t3d::diffusion
