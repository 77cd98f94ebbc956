#include "t3d/field/encoding.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "t3d/ops/frequency.h"
#include "t3d/ops/hash_grid.h"
#include "t3d/ops/spherical_harmonics.h"

namespace t3d::field {
namespace {

template <class V>
void visit_grid(V& v, ops::HashGridConfig& grid, std::string& interpolation) {
  using namespace config;
  v("n_levels", grid.n_levels, in_range(1, 32), "resolution levels, L in Mueller et al. 2022, table 1");
  v("n_features_per_level", grid.n_features, one_of({1, 2, 4, 8}), "features per entry, F");
  v("log2_hashmap_size", grid.log2_table, in_range(3, 28), "log2 of the entries per level, T");
  v("base_resolution", grid.base_resolution, in_range(1, 65536), "coarsest resolution, N_min");
  v("per_level_scale", grid.per_level_scale, at_least(1), "growth from level to level, b");
  v("interpolation", interpolation, one_of({"Linear", "Smoothstep"}), "between grid vertices");
}

class HashGridEncoding : public Encoding {
 public:
  struct Config {
    ops::HashGridConfig grid;
    std::string interpolation = "Linear";
    template <class V>
    void visit(V& v) {
      visit_grid(v, grid, interpolation);
    }
  };
  HashGridEncoding(const Config& config, int n_dims, const BuildContext& context)
      : HashGridEncoding(config.grid, config.interpolation, n_dims, context) {}
  HashGridEncoding(ops::HashGridConfig grid, const std::string& interpolation, int n_dims,
                   const BuildContext& context) {
    grid.n_dims = n_dims;
    grid.interpolation =
        interpolation == "Smoothstep" ? ops::Interpolation::Smoothstep : ops::Interpolation::Linear;
    layout_ = ops::HashGridLayout::make(grid);
    params_ = learned(ops::hash_grid_init(layout_, context.seed).to(context.device));
  }
  int n_outputs() const override { return layout_.n_outputs(); }
  at::Tensor operator()(const at::Tensor& x) const override {
    return ops::hash_grid_encode(x, params_, layout_, n_active_);
  }
  void collect(const std::string& prefix, NamedTensors& parameters, NamedTensors&) const override {
    parameters.emplace(prefix + "encoding.params", params_);  // [P], tiny-cuda-nn's layout
  }

 protected:
  ops::HashGridLayout layout_;
  at::Tensor params_;
  int n_active_ = -1;
};

class ProgressiveBandHashGrid : public HashGridEncoding {
 public:
  struct Config {
    ops::HashGridConfig grid;
    std::string interpolation = "Linear";
    ops::ProgressiveBand band;
    template <class V>
    void visit(V& v) {
      visit_grid(v, grid, interpolation);
      v("start_level", band.start_level, config::non_negative(), "levels seen at first");
      v("start_step", band.start_step, config::non_negative(), "step from which levels are added");
      v("update_steps", band.update_steps, config::at_least(1), "steps between two levels");
    }
  };
  ProgressiveBandHashGrid(const Config& config, int n_dims, const BuildContext& context)
      : HashGridEncoding(config.grid, config.interpolation, n_dims, context), band_(config.band) {
    n_active_ = 0;  // until the first update
  }
  void update_step(int64_t step) override {
    n_active_ = std::max(n_active_, band_.levels_at(step, layout_.config.n_levels));
  }
  std::optional<double> progressive_resolution() const override {
    const int n_open = std::max(n_active_, band_.levels_at(0, layout_.config.n_levels));
    return layout_.config.base_resolution * std::pow(layout_.config.per_level_scale, n_open - 1);
  }

 private:
  ops::ProgressiveBand band_;
};

class ProgressiveBandFrequency : public Encoding {
 public:
  struct Config {
    int n_frequencies = 12;
    int64_t n_masking_step = 0;
    template <class V>
    void visit(V& v) {
      v("n_frequencies", n_frequencies, config::in_range(1, 64), "bands 2^0 .. 2^(n-1), without pi");
      v("n_masking_step", n_masking_step, config::any(), "step at which the last band is whole; 0: no mask");
    }
  };
  ProgressiveBandFrequency(const Config& config, int n_dims, const BuildContext&)
      : config_(config), n_dims_(n_dims) {}
  int n_outputs() const override { return 2 * n_dims_ * config_.n_frequencies; }
  at::Tensor operator()(const at::Tensor& x) const override {
    return ops::progressive_frequency_encode(x, config_.n_frequencies, step_, config_.n_masking_step);
  }
  void update_step(int64_t step) override { step_ = step; }

 private:
  Config config_;
  int n_dims_;
  int64_t step_ = 0;
};

class FrequencyEncoding : public Encoding {
 public:
  struct Config {
    int n_frequencies = 12;
    template <class V>
    void visit(V& v) {
      v("n_frequencies", n_frequencies, config::in_range(1, 64), "bands 2^k pi");
    }
  };
  FrequencyEncoding(const Config& config, int n_dims, const BuildContext&)
      : n_frequencies_(config.n_frequencies), n_dims_(n_dims) {}
  int n_outputs() const override { return 2 * n_dims_ * n_frequencies_; }
  at::Tensor operator()(const at::Tensor& x) const override {
    return ops::frequency_encode(x, n_frequencies_);
  }

 private:
  int n_frequencies_, n_dims_;
};

class SphericalHarmonicsEncoding : public Encoding {
 public:
  struct Config {
    int degree = 4;
    template <class V>
    void visit(V& v) {
      v("degree", degree, config::in_range(1, ops::kMaxShDegree), "bands; degree^2 features");
    }
  };
  SphericalHarmonicsEncoding(const Config& config, int n_dims, const BuildContext&) : degree_(config.degree) {
    if (n_dims != 3)
      throw UserError(cat("SphericalHarmonics encodes directions of 3 numbers, but the input has ", n_dims,
                          ". Use HashGrid or Frequency."));
  }
  int n_outputs() const override { return degree_ * degree_; }
  at::Tensor operator()(const at::Tensor& x) const override {
    return ops::spherical_harmonics(2 * x - 1, degree_);
  }

 private:
  int degree_;
};

class IdentityEncoding : public Encoding {
 public:
  struct Config {
    float scale = 1, offset = 0;
    template <class V>
    void visit(V& v) {
      v("scale", scale, config::any(), "factor");
      v("offset", offset, config::any(), "added after the factor");
    }
  };
  IdentityEncoding(const Config& config, int n_dims, const BuildContext&)
      : config_(config), n_dims_(n_dims) {}
  int n_outputs() const override { return n_dims_; }
  at::Tensor operator()(const at::Tensor& x) const override { return x * config_.scale + config_.offset; }

 private:
  Config config_;
  int n_dims_;
};

/// 2x-1 in front of the features.
class WithPosition : public Encoding {
 public:
  WithPosition(std::unique_ptr<Encoding> inner, int n_dims) : inner_(std::move(inner)), n_dims_(n_dims) {}
  int n_outputs() const override { return n_dims_ + inner_->n_outputs(); }
  at::Tensor operator()(const at::Tensor& x) const override { return at::cat({2 * x - 1, (*inner_)(x)}, -1); }
  void collect(const std::string& prefix, NamedTensors& parameters, NamedTensors& buffers) const override {
    inner_->collect(prefix, parameters, buffers);
  }
  void update_step(int64_t step) override { inner_->update_step(step); }
  std::optional<double> progressive_resolution() const override { return inner_->progressive_resolution(); }

 private:
  std::unique_ptr<Encoding> inner_;
  int n_dims_;
};

bool same_letters(const std::string& a, const std::string& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
         });
}

}  // namespace

EncodingRegistry& encodings() {
  using R = EncodingRegistry;
  static R table("encoding", "features of positions and directions, by otype",
                 {R::entry<HashGridEncoding>("HashGrid", "multi-resolution hash grid"),
                  R::entry<ProgressiveBandHashGrid>("ProgressiveBandHashGrid",
                                                    "hash grid whose levels appear one after another"),
                  R::entry<SphericalHarmonicsEncoding>("SphericalHarmonics", "directions"),
                  R::entry<FrequencyEncoding>("Frequency", "sines and cosines, tiny-cuda-nn's order"),
                  R::entry<ProgressiveBandFrequency>("ProgressiveBandFrequency",
                                                     "sines and cosines whose bands fade in"),
                  R::entry<IdentityEncoding>("Identity", "the input itself")});
  return table;
}

config::Node without_keys(const config::Node& block, const std::vector<std::string>& keys) {
  config::Node rest = block;
  if (!rest.is_map()) return rest;
  auto& map = rest.map();
  map.erase(std::remove_if(map.begin(), map.end(),
                           [&](const config::Node::Entry& e) {
                             return std::find(keys.begin(), keys.end(), e.first) != keys.end();
                           }),
            map.end());
  return rest;
}

std::string read_otype(const config::Node& block, const std::string& path) {
  const config::Node* otype = block.find("otype");
  if (otype == nullptr) config::reject(block, path, "a block with otype, such as {otype: HashGrid}");
  return config::to_string(*otype, path + ".otype");
}

std::unique_ptr<Encoding> make_encoding(int n_dims, const config::Node& block, const std::string& path,
                                        const BuildContext& context) {
  std::string name = read_otype(block, path);
  for (const std::string& known : encodings().names())
    if (same_letters(name, known)) name = known;
  const config::Node* include_xyz = block.find("include_xyz");
  auto encoding =
      encodings().make(name, without_keys(block, {"otype", "include_xyz"}), path, n_dims, context);
  if (include_xyz != nullptr && config::to_bool(*include_xyz, path + ".include_xyz"))
    return std::make_unique<WithPosition>(std::move(encoding), n_dims);
  return encoding;
}

}  // namespace t3d::field
