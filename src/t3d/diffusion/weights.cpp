#include "t3d/diffusion/weights.h"

#include <ATen/ATen.h>

#include <cmath>
#include <set>

#include "t3d/core/error.h"
#include "t3d/core/rng.h"
#include "t3d/core/text.h"

namespace t3d::diffusion {
namespace {

constexpr size_t kListed = 12;  // problems of one kind that a message spells out

std::string text_of(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? "," : "") + std::to_string(shape[i]);
  return text + "]";
}

std::string without_ones(std::vector<int64_t> shape) {
  while (shape.size() > 2 && shape.back() == 1) shape.pop_back();
  return text_of(shape);
}

/// FNV-1a: a parameter's random stream depends on its name alone.
uint64_t hash_of(const std::string& name) {
  uint64_t h = 1469598103934665603ull;
  for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  return h;
}

bool is_finite(const at::Tensor& t) {
  // A sum that is not finite may still be an overflow of large numbers; only then is every number looked at.
  if (t.numel() == 0) return true;
  return std::isfinite(t.sum(at::kFloat).item<float>()) || at::isfinite(t).all().item<bool>();
}

}  // namespace

struct Weights::State {
  std::shared_ptr<TensorSource> source;  // null: random
  std::string where = "new weights";
  c10::Device device = c10::kCPU;
  uint64_t seed = 0;
  std::map<std::string, at::Tensor> taken;
  std::set<std::string> ignored;
  std::vector<std::string> missing, wrong, not_floats, not_finite;
};

Weights::Weights(std::shared_ptr<State> state, at::ScalarType dtype, std::string prefix)
    : state_(std::move(state)), dtype_(dtype), prefix_(std::move(prefix)) {}

Weights Weights::from(std::shared_ptr<TensorSource> source, at::ScalarType dtype, c10::Device device) {
  auto state = std::make_shared<State>();
  state->where = source->where();
  state->source = std::move(source);
  state->device = device;
  return Weights(state, dtype);
}

Weights Weights::from_tensors(std::map<std::string, at::Tensor> tensors, at::ScalarType dtype,
                              c10::Device device) {
  return from(memory_source("tensors in memory", std::move(tensors)), dtype, device);
}

Weights Weights::random(uint64_t seed, at::ScalarType dtype, c10::Device device) {
  auto state = std::make_shared<State>();
  state->seed = seed;
  state->device = device;
  return Weights(state, dtype);
}

Weights Weights::at(const std::string& prefix) const {
  return Weights(state_, dtype_, full_name(prefix) + ".");
}

Weights Weights::as(at::ScalarType dtype) const {
  return Weights(state_, dtype, prefix_);
}

std::string Weights::full_name(const std::string& name) const {
  return prefix_ + name;
}

bool Weights::has(const std::string& name) const {
  return state_->source != nullptr && state_->source->has(full_name(name));
}

bool Weights::is_random() const {
  return state_->source == nullptr;
}

at::Tensor Weights::draw(const std::string& name, const std::vector<int64_t>& shape, Init init) const {
  auto t = at::empty(shape, at::kFloat);
  if (init == Init::Zero) t.zero_();
  if (init == Init::One) t.fill_(1);
  if (init == Init::FanIn || init == Init::Normal) {
    // A bias knows nothing of its layer's inputs; its length stands in for them.
    const int64_t rows = std::max<int64_t>(1, shape.empty() ? 1 : shape[0]);
    const int64_t fan_in = shape.size() > 1 ? std::max<int64_t>(1, t.numel() / rows) : rows;
    const float bound = 1.0f / std::sqrt(static_cast<float>(fan_in));
    const uint64_t key = state_->seed ^ hash_of(name);
    float* p = t.data_ptr<float>();
    const int64_t n = t.numel();
    if (init == Init::Normal) {
      Rng rng(key);
      for (int64_t i = 0; i < n; ++i) p[i] = 0.02f * rng.normal();
    } else {
#pragma omp parallel for schedule(static)
      for (int64_t block = 0; block < (n + 3) / 4; ++block) {
        const Philox words = Philox::at(key, static_cast<uint64_t>(block));
        for (int64_t i = 4 * block; i < std::min(n, 4 * block + 4); ++i)
          p[i] = bound * (2 * words.uniform(static_cast<int>(i % 4)) - 1);
      }
    }
  }
  return t.to(at::TensorOptions().dtype(dtype_).device(state_->device));
}

at::Tensor Weights::take(const std::string& name, const std::vector<int64_t>& shape, Init init) const {
  const std::string full = full_name(name);
  const auto again = state_->taken.find(full);
  if (again != state_->taken.end()) {
    T3D_CHECK(again->second.sizes() == at::IntArrayRef(shape), full, " is taken twice with two shapes");
    return again->second;
  }
  at::Tensor t;
  if (is_random()) {
    t = draw(full, shape, init);
  } else if (!state_->source->has(full)) {
    state_->missing.push_back(full);
  } else {
    const std::vector<int64_t> found = state_->source->shape(full);
    if (without_ones(found) != without_ones(shape)) {
      state_->wrong.push_back(cat(full, " is ", text_of(found), " instead of ", text_of(shape)));
    } else {
      t = state_->source->load(full, dtype_, state_->device).reshape(shape);
      if (!t.is_floating_point())
        state_->not_floats.push_back(cat(full, " is ", at::toString(t.scalar_type())));
      else if (!is_finite(t))
        state_->not_finite.push_back(full);
    }
  }
  if (!t.defined()) t = at::empty(shape, at::TensorOptions().dtype(dtype_).device(state_->device));
  state_->taken.emplace(full, t);
  return t;
}

at::Tensor Weights::take_any(const std::vector<std::string>& names, const std::vector<int64_t>& shape,
                             Init init) const {
  for (const std::string& name : names)
    if (has(name)) return take(name, shape, init);
  return take(names.front(), shape, init);
}

void Weights::ignore(const std::string& name) const {
  state_->ignored.insert(full_name(name));
}

void Weights::check() const {
  if (is_random()) return;
  std::vector<std::string> unused;
  for (const std::string& name : state_->source->names())
    if (state_->taken.count(name) == 0 && state_->ignored.count(name) == 0) unused.push_back(name);
  std::vector<std::string> parts;
  const auto list = [&parts](const char* what, const std::vector<std::string>& items,
                             const std::vector<std::string>* candidates) {
    if (items.empty()) return;
    std::string text = cat(items.size(), " ", what, ": ");
    for (size_t i = 0; i < std::min(items.size(), kListed); ++i) {
      text += (i > 0 ? ", " : "") + items[i];
      const std::string near = candidates != nullptr ? nearest(items[i], *candidates) : "";
      if (!near.empty()) text += cat(" (there is ", near, ")");
    }
    if (items.size() > kListed) text += cat(" and ", items.size() - kListed, " more");
    parts.push_back(text);
  };
  list("missing", state_->missing, &unused);
  list("of another shape", state_->wrong, nullptr);
  list("of a type that is no floating point", state_->not_floats, nullptr);
  list("with NaN or infinity", state_->not_finite, nullptr);
  list("not known to this architecture", unused, nullptr);
  if (parts.empty()) return;
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) text += (i > 0 ? "; " : "") + parts[i];
  throw UserError(cat(state_->where, ": its tensors do not fit the model's config: ", text,
                      ". Check that config and weights belong together and that the file is whole."));
}

const std::map<std::string, at::Tensor>& Weights::parameters() const {
  return state_->taken;
}
const std::string& Weights::where() const {
  return state_->where;
}
at::ScalarType Weights::dtype() const {
  return dtype_;
}
c10::Device Weights::device() const {
  return state_->device;
}

}  // namespace t3d::diffusion
