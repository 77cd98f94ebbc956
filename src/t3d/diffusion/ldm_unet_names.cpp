#include "t3d/diffusion/ldm_unet_names.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "t3d/core/text.h"
#include "t3d/core/text_ends.h"

namespace t3d::diffusion {
namespace {

constexpr std::pair<const char*, const char*> kWhole[] = {{"time_embed.0.", "time_embedding.linear_1."},
                                                          {"time_embed.2.", "time_embedding.linear_2."},
                                                          {"camera_embed.0.", "camera_embedding.linear_1."},
                                                          {"camera_embed.2.", "camera_embedding.linear_2."},
                                                          {"input_blocks.0.0.", "conv_in."},
                                                          {"out.0.", "conv_norm_out."},
                                                          {"out.2.", "conv_out."}};

constexpr std::pair<const char*, const char*> kResnet[] = {
    {"in_layers.0.", "norm1."},  {"in_layers.2.", "conv1."},  {"emb_layers.1.", "time_emb_proj."},
    {"out_layers.0.", "norm2."}, {"out_layers.3.", "conv2."}, {"skip_connection.", "conv_shortcut."}};

/// A residual block's tensor, or an empty string.
std::string resnet_name(const std::string& place, const std::string& rest) {
  for (const auto& [from, to] : kResnet)
    if (starts_with(rest, from)) return place + to + rest.substr(std::string(from).size());
  return "";
}

}  // namespace

int64_t take_number(std::string& text) {
  const size_t dot = text.find('.');
  if (dot == std::string::npos || dot == 0 || dot > 4) return -1;
  for (size_t i = 0; i < dot; ++i)
    if (text[i] < '0' || text[i] > '9') return -1;
  const int64_t number = std::strtoll(text.c_str(), nullptr, 10);
  text = text.substr(dot + 1);
  return number;
}

int64_t ldm_unet_layers(const std::vector<std::string>& names, const std::string& prefix) {
  int64_t first = 0;
  for (const std::string& name : names) {
    if (!starts_with(name, prefix + "input_blocks.")) continue;
    std::string rest = name.substr(prefix.size() + std::string("input_blocks.").size());
    const int64_t i = take_number(rest);
    if (starts_with(rest, "0.op.") && i > 1 && (first == 0 || i < first)) first = i;
  }
  return std::max<int64_t>(0, first - 1);
}

std::string ldm_unet_name(const std::string& name, int64_t layers) {
  for (const auto& [from, to] : kWhole)
    if (starts_with(name, from)) return to + name.substr(std::string(from).size());
  if (layers < 1) return "";
  const bool is_input = starts_with(name, "input_blocks."), is_output = starts_with(name, "output_blocks.");
  if (is_input || is_output) {
    std::string rest = name.substr(std::string(is_input ? "input_blocks." : "output_blocks.").size());
    const int64_t i = take_number(rest), part = take_number(rest);
    if (i < (is_input ? 1 : 0) || part < 0 || part > 2) return "";
    const int64_t block = (is_input ? i - 1 : i) / (layers + 1);
    const int64_t layer = (is_input ? i - 1 : i) % (layers + 1);
    const std::string base = cat(is_input ? "down_blocks." : "up_blocks.", block, ".");
    if (is_input && part == 0 && starts_with(rest, "op."))
      return layer == layers ? cat(base, "downsamplers.0.conv.", rest.substr(3)) : "";
    if (is_output && part > 0 && starts_with(rest, "conv."))
      return cat(base, "upsamplers.0.conv.", rest.substr(5));
    if (part == 0) return resnet_name(cat(base, "resnets.", layer, "."), rest);
    return part == 1 ? cat(base, "attentions.", layer, ".", rest) : "";
  }
  if (starts_with(name, "middle_block.")) {
    std::string rest = name.substr(std::string("middle_block.").size());
    const int64_t part = take_number(rest);
    if (part == 1) return "mid_block.attentions.0." + rest;
    if (part == 0 || part == 2) return resnet_name(cat("mid_block.resnets.", part / 2, "."), rest);
  }
  return "";
}

int64_t diffusers_unet_layers(const std::vector<std::string>& names) {
  const std::string start = "down_blocks.0.resnets.";
  int64_t n = 0;
  for (const std::string& name : names) {
    if (!starts_with(name, start)) continue;
    std::string rest = name.substr(start.size());
    n = std::max(n, take_number(rest) + 1);
  }
  return n;
}

std::vector<std::string> ldm_names_of(const std::string& layer, int64_t layers) {
  // The tables' names end in a dot.
  const std::string dotted = layer + ".";
  const auto plain = [](std::string name) {
    if (!name.empty() && name.back() == '.') name.pop_back();
    return name;
  };
  for (const auto& [to, from] : kWhole)
    if (dotted == from) return {plain(to)};
  const auto of_resnet = [&](const std::string& place, const std::string& rest) -> std::vector<std::string> {
    for (const auto& [to, from] : kResnet)
      if (rest + "." == from) return {plain(place + to)};
    return {};
  };
  std::string rest = layer;
  const auto take = [&rest](const char* front) {
    if (!starts_with(rest, front)) return false;
    rest = rest.substr(std::string(front).size());
    return true;
  };
  if (take("mid_block.")) {
    if (take("attentions.0.")) return {"middle_block.1." + rest};
    if (!take("resnets.")) return {};
    const int64_t i = take_number(rest);
    return i < 0 ? std::vector<std::string>{} : of_resnet(cat("middle_block.", 2 * i, "."), rest);
  }
  const bool is_down = take("down_blocks.");
  if (!is_down && !take("up_blocks.")) return {};
  const int64_t block = take_number(rest);
  if (block < 0) return {};
  const std::string side = is_down ? "input_blocks." : "output_blocks.";
  const int64_t first = block * (layers + 1) + (is_down ? 1 : 0);
  if (rest == "downsamplers.0.conv") return {cat(side, first + layers, ".0.op")};
  if (rest == "upsamplers.0.conv")  // behind an attention, where the block has some
    return {cat(side, first + layers, ".1.conv"), cat(side, first + layers, ".2.conv")};
  const bool is_attention = take("attentions.");
  if (!is_attention && !take("resnets.")) return {};
  const int64_t i = take_number(rest);
  if (i < 0) return {};
  const std::string place = cat(side, first + i, is_attention ? ".1." : ".0.");
  return is_attention ? std::vector<std::string>{place + rest} : of_resnet(place, rest);
}

}  // namespace t3d::diffusion
