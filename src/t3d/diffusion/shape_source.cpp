#include "t3d/diffusion/shape_source.h"

#include <ATen/ATen.h>

namespace t3d::diffusion {
namespace {

class ShapeSource : public TensorSource {
 public:
  explicit ShapeSource(std::shared_ptr<TensorSource> source) : source_(std::move(source)) {}

  const std::string& where() const override { return source_->where(); }
  std::vector<std::string> names() const override { return source_->names(); }
  bool has(const std::string& name) const override { return source_->has(name); }
  std::vector<int64_t> shape(const std::string& name) const override { return source_->shape(name); }
  at::Tensor load(const std::string& name, at::ScalarType dtype, c10::Device device) const override {
    return at::zeros({1}, at::TensorOptions().dtype(dtype).device(device)).expand(shape(name));
  }

 private:
  std::shared_ptr<TensorSource> source_;
};

}  // namespace

std::shared_ptr<TensorSource> shape_source(std::shared_ptr<TensorSource> source) {
  return std::make_shared<ShapeSource>(std::move(source));
}

std::shared_ptr<TensorSource> source_or_shapes(bool reads_weights, std::shared_ptr<TensorSource> source) {
  return reads_weights ? std::move(source) : shape_source(std::move(source));
}

}  // namespace t3d::diffusion
