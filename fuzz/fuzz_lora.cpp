#include <ATen/ATen.h>

#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>

#include "t3d/core/error.h"
#include "t3d/diffusion/adapter.h"
#include "t3d/diffusion/model_shapes.h"

namespace {

namespace ds = t3d::diffusion;

constexpr int64_t kMostNumbers = 1 << 14;

/// A small model of the true names, all zeros.
std::shared_ptr<ds::TensorSource> model_of(const ds::TensorTable& table) {
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [name, plan] : table) tensors[name] = at::zeros(plan.shape);
  return ds::memory_source("model", std::move(tensors));
}

std::shared_ptr<ds::TensorSource> unet() {
  ds::UNetConfig c;
  c.block_channels = {4, 8};
  c.n_heads = {1, 1};
  c.has_attention = {true, true};
  c.transformer_depth = {1, 1};
  c.layers_per_block = 1;
  c.text_channels = 6;
  c.norm_groups = 2;
  return model_of(ds::unet_tensors(c));
}

/// The shape behind a name: "4,8". False for one that is none, or too large.
bool read_shape(const std::string& text, std::vector<int64_t>& shape) {
  int64_t n = 1;
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');) {
    if (word.empty() || word.size() > 4 || word.find_first_not_of("0123456789") != std::string::npos)
      return false;
    shape.push_back(std::stoll(word));
    n *= std::max<int64_t>(1, shape.back());
    if (n > kMostNumbers || shape.size() > 6) return false;
  }
  return true;
}

}  // namespace

/// Lines of "name shape"; a line that begins with "{" is the file's description. What fits a small UNet and
/// text encoder is summed into both, and must keep their shapes.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto of_unet = unet();
  static const auto of_text = model_of(ds::text_tensors({6, 12, 1, 20, 7}));
  std::istringstream lines(std::string(reinterpret_cast<const char*>(data), size));
  std::map<std::string, at::Tensor> tensors;
  std::string description;
  for (std::string line; std::getline(lines, line) && tensors.size() < 64;) {
    if (!line.empty() && line[0] == '{') {
      description = line;
      continue;
    }
    const size_t space = line.rfind(' ');
    std::vector<int64_t> shape;
    if (space == std::string::npos || !read_shape(line.substr(space + 1), shape)) continue;
    tensors[line.substr(0, space)] = at::full(shape, 0.5f);
  }
  try {
    const auto adapter = ds::Adapter::from(ds::memory_source("fuzz", std::move(tensors)), description);
    for (const auto part : {ds::AdaptedPart::UNet, ds::AdaptedPart::TextEncoder}) {
      const auto model = part == ds::AdaptedPart::UNet ? of_unet : of_text;
      const auto adapted = adapter.onto(model, part, 0.5);
      for (const std::string& name : adapted->names())
        if (adapted->load(name, at::kFloat, c10::kCPU).sizes() != at::IntArrayRef(model->shape(name)))
          std::abort();
    }
  } catch (const t3d::UserError&) {
  }
  return 0;
}
