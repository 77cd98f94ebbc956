#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace t3d::diffusion {

/// How a parameter starts where there is no file to read it from.
enum class Init {
  FanIn,  ///< uniform in +-1/sqrt(fan_in), fan_in = elements of one output row
  Zero,
  One,
  Normal,  ///< normal with deviation 0.02: embeddings
};

/// Where the tensors lie: one object per file format. Cheap to ask, loads one tensor at a time.
class TensorSource {
 public:
  virtual ~TensorSource() = default;
  /// What messages call it: the path of a file or folder.
  virtual const std::string& where() const = 0;
  virtual std::vector<std::string> names() const = 0;
  virtual bool has(const std::string& name) const = 0;
  virtual std::vector<int64_t> shape(const std::string& name) const = 0;
  /// A contiguous tensor, converted, that may be written to. On the CPU it may be the mapped file itself, a
  /// page of which is copied when it is written to and given back with the tensor; load each name once.
  virtual at::Tensor load(const std::string& name, at::ScalarType dtype, c10::Device device) const = 0;
};

/// Opens one safetensors file. Throws what SafetensorsFile throws.
std::shared_ptr<TensorSource> safetensors_source(const std::string& path);
/// Several files as one: shards. Throws UserError when two hold the same name.
std::shared_ptr<TensorSource> joined_source(std::string where,
                                            std::vector<std::shared_ptr<TensorSource>> parts);
std::shared_ptr<TensorSource> memory_source(std::string where, std::map<std::string, at::Tensor> tensors);
/// The same tensors under other names: `rename` gives the new name, or an empty string to leave one out.
std::shared_ptr<TensorSource> renamed_source(std::shared_ptr<TensorSource> source,
                                             const std::function<std::string(const std::string&)>& rename);

/// The parameters of one model, by name. A module's constructor takes what it needs:
///
///   struct Linear { Linear(const Weights& w, int64_t in, int64_t out)
///       : weight(w.take("weight", {out, in})), bias(w.take("bias", {out}, Init::FanIn)) {} ... };
///   Linear proj(weights.at("time_embedding.linear_1"), 16, 64);
///   weights.check();
///
/// Nothing is thrown on the way: what is missing or of another shape is collected, and check() lists all of
/// it by name, so that a wrong checkpoint is explained in one go. The same constructor also makes a new model
/// to train, from Weights::random. Copies share one state.
class Weights {
 public:
  static Weights from(std::shared_ptr<TensorSource> source, at::ScalarType dtype = at::kFloat,
                      c10::Device device = c10::kCPU);
  static Weights from_tensors(std::map<std::string, at::Tensor> tensors, at::ScalarType dtype = at::kFloat,
                              c10::Device device = c10::kCPU);
  /// Every tensor is drawn from `seed` and its own name, whatever the order in which it is taken.
  static Weights random(uint64_t seed, at::ScalarType dtype = at::kFloat, c10::Device device = c10::kCPU);

  /// A view whose names all begin with `prefix` and a dot.
  Weights at(const std::string& prefix) const;
  /// A view that takes tensors in another type.
  Weights as(at::ScalarType dtype) const;
  /// The name as the file has it.
  std::string full_name(const std::string& name) const;

  /// False for random weights, which have whatever is asked for: optional parts are the config's to decide.
  bool has(const std::string& name) const;
  bool is_random() const;
  /// The tensor, contiguous, of this shape; empty memory of that shape when it is missing or mis-shaped (see
  /// check). A stored [out,in] fills a wanted [out,in,1,1] and the other way round: linear layers and 1x1
  /// convolutions.
  at::Tensor take(const std::string& name, const std::vector<int64_t>& shape, Init init = Init::FanIn) const;
  /// As `take` with the name of the two in the order given that the file has: old and new names of one thing.
  at::Tensor take_any(const std::vector<std::string>& names, const std::vector<int64_t>& shape,
                      Init init = Init::FanIn) const;
  /// Marks tensors as known but not wanted (buffers such as position_ids); the prefix applies.
  void ignore(const std::string& name) const;

  /// Throws UserError that lists missing, mis-shaped and unused tensors, those that are no floating point and
  /// those that hold NaN or infinity, each with the nearest match.
  void check() const;

  /// What has been taken so far, by full name: the model's parameters, shared with it.
  const std::map<std::string, at::Tensor>& parameters() const;
  const std::string& where() const;
  at::ScalarType dtype() const;
  c10::Device device() const;

 private:
  struct State;
  Weights(std::shared_ptr<State> state, at::ScalarType dtype, std::string prefix = "");
  at::Tensor draw(const std::string& name, const std::vector<int64_t>& shape, Init init) const;

  std::shared_ptr<State> state_;
  at::ScalarType dtype_;
  std::string prefix_;
};

}  // namespace t3d::diffusion
