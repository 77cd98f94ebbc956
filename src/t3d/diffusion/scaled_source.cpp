#include "t3d/diffusion/scaled_source.h"

#include <ATen/ATen.h>

#include <map>
#include <set>

#include "t3d/core/error.h"
#include "t3d/core/text_ends.h"

namespace t3d::diffusion {
namespace {

constexpr const char* kScales[] = {".scale_weight", ".weight_scale"};
constexpr const char* kHidden[] = {".scale_input", ".input_scale", ".comfy_quant", ".scaled_fp8"};
/// What integers and smaller floats leave beside their weights.
constexpr const char* kQuantized[] = {".absmax",  ".quant_map", ".nested_absmax",    ".SCB",
                                      ".qweight", ".qzeros",    ".weight_scale_inv", ".weight_scale_2"};

class ScaledSource : public TensorSource {
 public:
  ScaledSource(std::shared_ptr<TensorSource> source, std::map<std::string, std::string> scales,
               std::set<std::string> hidden)
      : source_(std::move(source)), scales_(std::move(scales)), hidden_(std::move(hidden)) {}
  const std::string& where() const override { return source_->where(); }
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const std::string& name : source_->names())
      if (hidden_.count(name) == 0) names.push_back(name);
    return names;
  }
  bool has(const std::string& name) const override { return hidden_.count(name) == 0 && source_->has(name); }
  std::vector<int64_t> shape(const std::string& name) const override { return source_->shape(name); }
  at::Tensor load(const std::string& name, at::ScalarType dtype, c10::Device device) const override {
    const auto found = scales_.find(name);
    if (found == scales_.end()) return source_->load(name, dtype, device);
    const at::Tensor weight = source_->load(name, at::kFloat, device);
    at::Tensor scale = source_->load(found->second, at::kFloat, device);
    std::vector<int64_t> shape(static_cast<size_t>(weight.dim()), 1);
    if (scale.numel() > 1) shape[0] = scale.numel();
    return (weight * scale.reshape(shape)).to(dtype);
  }

 private:
  std::shared_ptr<TensorSource> source_;
  std::map<std::string, std::string> scales_;  // weight -> its scale
  std::set<std::string> hidden_;
};

/// Whether `scale` goes with the rows of `weight`, or is one number.
bool fits(const TensorSource& source, const std::string& weight, const std::string& scale) {
  const auto of_weight = source.shape(weight), of_scale = source.shape(scale);
  int64_t n = 1;
  for (const int64_t size : of_scale) n *= size;
  if (n == 1) return true;
  return !of_weight.empty() && n == of_weight[0] && !of_scale.empty() && of_scale[0] == n;
}

}  // namespace

std::shared_ptr<TensorSource> scaled_source(std::shared_ptr<TensorSource> source) {
  std::map<std::string, std::string> scales;
  std::set<std::string> hidden;
  for (const std::string& name : source->names()) {
    for (const char* ending : kQuantized)
      if (ends_with(name, ending) || name.find(".quant_state.") != std::string::npos)
        throw UserError(cat(source->where(), ": its weights are quantized in a way that is not read (tensor ",
                            name, "). Get the model in float16, bfloat16, float32 or 8-bit floats."));
    for (const char* ending : kHidden)
      if (ends_with(name, ending) || name == "scaled_fp8") hidden.insert(name);
    for (const char* ending : kScales) {
      if (!ends_with(name, ending)) continue;
      const std::string weight = name.substr(0, name.size() - std::string(ending).size()) + ".weight";
      if (!source->has(weight))
        throw UserError(cat(source->where(), ": tensor ", name, " scales ", weight,
                            ", which is not there. Get the file again."));
      if (!fits(*source, weight, name))
        throw UserError(
            cat(source->where(), ": tensor ", name, " is ", at::IntArrayRef(source->shape(name)), " for ",
                weight, " of ", at::IntArrayRef(source->shape(weight)),
                ", but one scale, or one for each row, is read. Get the model in float16 or bfloat16."));
      scales[weight] = name;
      hidden.insert(name);
    }
  }
  if (hidden.empty()) return source;
  return std::make_shared<ScaledSource>(std::move(source), std::move(scales), std::move(hidden));
}

}  // namespace t3d::diffusion
