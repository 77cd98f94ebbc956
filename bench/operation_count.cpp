#include "bench/operation_count.h"

#include <vector>

namespace t3d::bench {
namespace {

/// Two 3x3 convolutions, one of 1x1 where the width changes, and the time embedding if there is one.
void add_resnet(OperationCount& ops, double n, double pixels, double in, double out, double time) {
  ops.convolution += 2 * n * pixels * 9 * (in * out + out * out);
  if (in != out) ops.convolution += 2 * n * pixels * in * out;
  ops.matrix += 2 * n * time * out;
}

void add_transformer(OperationCount& ops, double n, double pixels, double c, double text, double tokens,
                     double depth, double views) {
  ops.matrix += 2 * n * pixels * 2 * c * c;
  ops.matrix += depth * 2 * n * (pixels * (4 + 2 + 12) * c * c + 2 * tokens * text * c);
  ops.attention += depth * 4 * n * pixels * c * (views * pixels + tokens);
}

}  // namespace

OperationCount count_unet(const diffusion::UNetConfig& c, double n, double side, double tokens,
                          double views) {
  OperationCount ops;
  const auto& w = c.block_channels;
  const double time = static_cast<double>(c.time_channels()), text = static_cast<double>(c.text_channels);
  std::vector<double> skips{static_cast<double>(w[0])};
  double pixels = side * side, in = static_cast<double>(w[0]);
  ops.convolution += 2 * n * pixels * 9 * static_cast<double>(c.in_channels + c.out_channels) * in;
  for (size_t level = 0; level < w.size(); ++level) {
    const auto out = static_cast<double>(w[level]);
    for (int64_t i = 0; i < c.layers_per_block; ++i, in = out) {
      add_resnet(ops, n, pixels, in, out, time);
      if (c.has_attention[level])
        add_transformer(ops, n, pixels, out, text, tokens, static_cast<double>(c.transformer_depth[level]),
                        views);
      skips.push_back(out);
    }
    if (level + 1 == w.size()) break;
    pixels /= 4;
    ops.convolution += 2 * n * pixels * 9 * out * out;
    skips.push_back(out);
  }
  add_resnet(ops, n, pixels, in, in, time);
  add_transformer(ops, n, pixels, in, text, tokens, 1, views);
  add_resnet(ops, n, pixels, in, in, time);
  for (size_t level = w.size(); level-- > 0;) {
    const auto out = static_cast<double>(w[level]);
    for (int64_t i = 0; i <= c.layers_per_block; ++i, in = out) {
      add_resnet(ops, n, pixels, in + skips.back(), out, time);
      skips.pop_back();
      if (c.has_attention[level])
        add_transformer(ops, n, pixels, out, text, tokens, static_cast<double>(c.transformer_depth[level]),
                        views);
    }
    if (level == 0) break;
    pixels *= 4;
    ops.convolution += 2 * n * pixels * 9 * out * out;
  }
  return ops;
}

OperationCount count_encoder(const diffusion::AutoencoderConfig& c, double n, double side) {
  OperationCount ops;
  const auto& w = c.block_channels;
  double pixels = side * side, in = static_cast<double>(w[0]);
  const auto latent = static_cast<double>(c.latent_channels);
  ops.convolution += 2 * n * pixels * 9 * static_cast<double>(c.image_channels) * in;
  for (size_t level = 0; level < w.size(); ++level) {
    const auto out = static_cast<double>(w[level]);
    for (int64_t i = 0; i < c.layers_per_block; ++i, in = out) add_resnet(ops, n, pixels, in, out, 0);
    if (level + 1 == w.size()) break;
    pixels /= 4;
    ops.convolution += 2 * n * pixels * 9 * out * out;
  }
  add_resnet(ops, n, pixels, in, in, 0);
  ops.matrix += 2 * n * pixels * 4 * in * in;
  ops.attention += 4 * n * pixels * pixels * in;
  add_resnet(ops, n, pixels, in, in, 0);
  ops.convolution += 2 * n * pixels * 9 * in * 2 * latent;
  if (c.has_quant_conv) ops.convolution += 2 * n * pixels * 4 * latent * latent;
  return ops;
}

OperationCount count_decoder(const diffusion::AutoencoderConfig& c, double n, double side) {
  OperationCount ops;
  const auto& w = c.block_channels;
  const auto latent = static_cast<double>(c.latent_channels);
  const auto reduction = static_cast<double>(c.reduction());
  double pixels = side * side / (reduction * reduction), in = static_cast<double>(w.back());
  if (c.has_post_quant_conv) ops.convolution += 2 * n * pixels * latent * latent;
  ops.convolution += 2 * n * pixels * 9 * latent * in;
  add_resnet(ops, n, pixels, in, in, 0);
  ops.matrix += 2 * n * pixels * 4 * in * in;
  ops.attention += 4 * n * pixels * pixels * in;
  add_resnet(ops, n, pixels, in, in, 0);
  for (size_t level = w.size(); level-- > 0;) {
    const auto out = static_cast<double>(w[level]);
    for (int64_t i = 0; i <= c.layers_per_block; ++i, in = out) add_resnet(ops, n, pixels, in, out, 0);
    if (level == 0) break;
    pixels *= 4;
    ops.convolution += 2 * n * pixels * 9 * out * out;
  }
  ops.convolution += 2 * n * pixels * 9 * in * static_cast<double>(c.image_channels);
  return ops;
}

}  // namespace t3d::bench
