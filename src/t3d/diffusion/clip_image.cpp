#include "t3d/diffusion/clip_image.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "t3d/core/error.h"
#include "t3d/diffusion/json_reader.h"
#include "t3d/io/json_file.h"

namespace t3d::diffusion {
namespace {

constexpr int kFractionBits = 22;  // of the fixed-point weights
constexpr int kMaxSide = 1 << 14;

double kernel(ResizeFilter filter, double x) {
  x = std::abs(x);
  if (filter == ResizeFilter::Bilinear) return std::max(0.0, 1 - x);
  constexpr double a = -0.5;  // Keys 1981
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

/// The inputs from `first` on that make one output, weighted.
struct Taps {
  int first = 0;
  std::vector<int32_t> weights;
};

std::vector<Taps> taps_of(int n_in, int n_out, ResizeFilter filter) {
  const double scale = static_cast<double>(n_in) / n_out, stretch = std::max(scale, 1.0);
  const double reach = (filter == ResizeFilter::Bicubic ? 2.0 : 1.0) * stretch;
  std::vector<Taps> all(n_out);
  for (int i = 0; i < n_out; ++i) {
    const double centre = (i + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(centre - reach + 0.5));
    const int last = std::min(n_in, static_cast<int>(centre + reach + 0.5));
    std::vector<double> w(last - first);
    double sum = 0;
    for (int k = first; k < last; ++k) sum += w[k - first] = kernel(filter, (k - centre + 0.5) / stretch);
    all[i].first = first;
    for (const double v : w)
      all[i].weights.push_back(
          static_cast<int32_t>(std::trunc(v / sum * (1 << kFractionBits) + (v < 0 ? -0.5 : 0.5))));
  }
  return all;
}

uint8_t weighted(const uint8_t* in, size_t stride, const Taps& taps) {
  int64_t sum = int64_t{1} << (kFractionBits - 1);
  for (size_t k = 0; k < taps.weights.size(); ++k) sum += int64_t{in[k * stride]} * taps.weights[k];
  return static_cast<uint8_t>(std::clamp<int64_t>(sum >> kFractionBits, 0, 255));
}

}  // namespace

io::Image8 resize_pillow(const io::Image8& image, int width, int height, ResizeFilter filter) {
  T3D_CHECK(!image.empty() && width > 0 && height > 0, image.width, "x", image.height);
  const int channels = image.channels;
  io::Image8 wide = image;
  if (width != image.width) {
    const auto taps = taps_of(image.width, width, filter);
    wide = io::Image8(width, image.height, channels);
    for (int y = 0; y < image.height; ++y)
      for (int x = 0; x < width; ++x)
        for (int c = 0; c < channels; ++c)
          wide.at(x, y)[c] = weighted(image.at(taps[x].first, y) + c, channels, taps[x]);
  }
  if (height == image.height) return wide;
  const auto taps = taps_of(image.height, height, filter);
  io::Image8 out(width, height, channels);
  const auto row = static_cast<size_t>(width) * channels;
  for (int y = 0; y < height; ++y)
    for (size_t i = 0; i < row; ++i) out.at(0, y)[i] = weighted(wide.at(0, taps[y].first) + i, row, taps[y]);
  return out;
}

ClipImageConfig ClipImageConfig::from_json(const nlohmann::json& config, const std::string& where) {
  const JsonReader read(config, where);
  ClipImageConfig out;
  for (const char* step : {"do_resize", "do_center_crop", "do_normalize", "do_rescale"})
    if (!read.truth(step, true))
      throw UserError(cat(where, ": ", step, " is false; CLIP's preprocessing has this step."));
  const int64_t resample = read.whole("resample", 3, 0, 5);
  if (resample != 2 && resample != 3)
    throw UserError(cat(where, ": resample is ", resample, ", expected 3 (bicubic) or 2 (bilinear)."));
  out.filter = resample == 2 ? ResizeFilter::Bilinear : ResizeFilter::Bicubic;
  // A size is one number in old files and an object in newer ones.
  const auto side = [&](const char* key, const char* part, int otherwise) {
    const nlohmann::json value = config.value(key, nlohmann::json());
    if (!value.is_object()) return static_cast<int>(read.whole(key, otherwise, 1, kMaxSide));
    return static_cast<int>(JsonReader(value, cat(where, ": ", key)).whole(part, otherwise, 1, kMaxSide));
  };
  out.shortest_edge = side("size", "shortest_edge", 224);
  out.crop_width = side("crop_size", "width", out.shortest_edge);
  out.crop_height = side("crop_size", "height", out.shortest_edge);
  const auto triple = [&](const char* key, std::array<float, 3>& to) {
    const nlohmann::json value = config.value(key, nlohmann::json());
    if (value.is_null()) return;
    bool fits = value.is_array() && value.size() == 3;
    for (size_t i = 0; fits && i < 3; ++i) {
      fits = value[i].is_number();
      if (fits) to[i] = value[i].get<float>();
    }
    if (!fits) throw UserError(cat(where, ": ", key, " is ", value.dump(), ", expected three numbers."));
  };
  triple("image_mean", out.mean);
  triple("image_std", out.deviation);
  for (const float d : out.deviation)
    if (!(d > 0)) throw UserError(cat(where, ": image_std holds ", d, ", expected numbers above 0."));
  return out;
}

ClipImageConfig ClipImageConfig::from_file(const std::string& path) {
  return from_json(io::read_json_file(path), path);
}

at::Tensor clip_pixels(const io::Image8& image, const ClipImageConfig& c) {
  T3D_CHECK(image.channels >= 3 && !image.empty(), "CLIP takes RGB images; channels ", image.channels);
  io::Image8 rgb(image.width, image.height, 3);
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x) std::copy_n(image.at(x, y), 3, rgb.at(x, y));
  const int shortest = std::min(rgb.width, rgb.height);
  const auto scaled = [&](int side) {
    return side == shortest ? c.shortest_edge : static_cast<int>(int64_t{c.shortest_edge} * side / shortest);
  };
  const auto small = resize_pillow(rgb, scaled(rgb.width), scaled(rgb.height), c.filter);
  if (small.width < c.crop_width || small.height < c.crop_height)
    throw UserError(cat("CLIP's crop of ", c.crop_width, "x", c.crop_height,
                        " does not fit into the resized ", small.width, "x", small.height, "."));
  // Halves go to the even side, as in openai/CLIP's preprocessing (torchvision).
  const int left = static_cast<int>(std::nearbyint((small.width - c.crop_width) / 2.0));
  const int top = static_cast<int>(std::nearbyint((small.height - c.crop_height) / 2.0));
  auto out = at::empty({3, c.crop_height, c.crop_width}, at::kFloat);
  auto* to = out.data_ptr<float>();
  for (int channel = 0; channel < 3; ++channel)
    for (int y = 0; y < c.crop_height; ++y)
      for (int x = 0; x < c.crop_width; ++x)
        *to++ = (static_cast<float>(small.at(left + x, top + y)[channel]) / 255.f - c.mean[channel]) /
                c.deviation[channel];
  return out;
}

}  // namespace t3d::diffusion
