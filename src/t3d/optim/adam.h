#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "t3d/core/config/fields.h"
#include "t3d/ops/adam.h"
#include "t3d/optim/grouped_optimizer.h"

namespace t3d::optim {

/// Adam (Kingma and Ba 2014, arXiv:1412.6980) and AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101), with
/// PyTorch's defaults.
template <bool kDecoupled>
struct AdamConfig {
  double lr = 1e-3;
  std::array<double, 2> betas = {0.9, 0.999};
  double eps = 1e-8, weight_decay = kDecoupled ? 0.01 : 0;
  template <class V>
  void visit(V& v) {
    using namespace config;
    v("lr", lr, non_negative(), "learning rate");
    v("betas", betas, in_range(0, 1), "decay of the two moments");
    v("eps", eps, non_negative(), "added to the root of the second moment");
    v("weight_decay", weight_decay, non_negative(),
      kDecoupled ? "shrinks parameters by lr times this" : "times the parameter, added to the gradient");
  }
};

template <bool kDecoupled>
class AdamOptimizer : public GroupedOptimizer<AdamConfig<kDecoupled>> {
 public:
  using Config = AdamConfig<kDecoupled>;
  using GroupedOptimizer<Config>::GroupedOptimizer;

  void step(int64_t step, const std::vector<double>& factors) override {
    this->for_each_group(factors, [&](const auto& members, const Config& c, double lr) {
      std::vector<at::Tensor> params, gradients, m, v;
      for (const auto* member : members) {
        const auto& [name, p] = *member;
        params.push_back(p.detach());
        gradients.push_back(p.grad());
        m.push_back(this->moment(name, "m", p));
        v.push_back(this->moment(name, "v", p));
      }
      ops::AdamConfig adam;
      adam.beta1 = c.betas[0], adam.beta2 = c.betas[1], adam.eps = c.eps;
      (kDecoupled ? adam.weight_decay : adam.l2) = c.weight_decay;
      ops::adam_step(params, gradients, m, v, adam, lr, step);
    });
  }
};

struct AdamaxConfig {
  double lr = 2e-3;
  std::array<double, 2> betas = {0.9, 0.999};
  double eps = 1e-8, weight_decay = 0;
  template <class V>
  void visit(V& v) {
    using namespace config;
    v("lr", lr, non_negative(), "learning rate");
    v("betas", betas, in_range(0, 1), "decay of the mean and of the largest");
    v("eps", eps, non_negative(), "added to the gradient's size");
    v("weight_decay", weight_decay, non_negative(), "times the parameter, added to the gradient");
  }
};

/// Adam with the largest gradient in the second moment's place: Kingma and Ba 2014, section 7.1.
class AdamaxOptimizer : public GroupedOptimizer<AdamaxConfig> {
 public:
  using GroupedOptimizer::GroupedOptimizer;

  void step(int64_t step, const std::vector<double>& factors) override {
    for_each(factors, [&](const std::string& name, at::Tensor& p, const Config& c, double lr) {
      const auto grad = c.weight_decay == 0 ? p.grad() : p.grad() + p * c.weight_decay;
      auto &m = moment(name, "m", p), &largest = moment(name, "u", p);
      m.mul_(c.betas[0]).add_(grad, 1 - c.betas[0]);
      largest.copy_(at::maximum(largest * c.betas[1], grad.abs() + c.eps));
      p.addcdiv_(m, largest, -lr / (1 - std::pow(c.betas[0], static_cast<double>(step))));
    });
  }
};

using Adam = AdamOptimizer<false>;
using AdamW = AdamOptimizer<true>;

}  // namespace t3d::optim
