#pragma once

#include <ATen/ATen.h>

#include <array>
#include <cmath>

#include "t3d/core/config/fields.h"
#include "t3d/optim/grouped_optimizer.h"

namespace t3d::optim {

struct AdanConfig {
  double lr = 1e-3;
  std::array<double, 3> betas = {0.98, 0.92, 0.99};
  double eps = 1e-8, weight_decay = 0, max_grad_norm = 0;
  bool no_prox = false, foreach = true;
  template <class V>
  void visit(V& v) {
    using namespace config;
    v("lr", lr, non_negative(), "learning rate");
    v("betas", betas, in_range(0, 1), "decay of gradient, difference of gradients, and their square");
    v("eps", eps, non_negative(), "added to the root of the square");
    v("weight_decay", weight_decay, non_negative(), "shrinks parameters");
    v("max_grad_norm", max_grad_norm, non_negative(), "all gradients are clipped to this length; 0: not");
    v("no_prox", no_prox, any(), "shrink before the step, as AdamW does");
    v("foreach", foreach, harmless("all parameters take a step at once"), "step all parameters at once");
  }
};

/// Xie et al. 2022, Adan, arXiv:2208.06677, algorithm 1, in the form of the authors' code: betas are decays,
/// and the parameters shrink by 1 / (1 + lr weight_decay) afterwards unless no_prox.
class AdanOptimizer : public GroupedOptimizer<AdanConfig> {
 public:
  AdanOptimizer(const Config& config, std::vector<ParameterGroup> groups)
      : GroupedOptimizer(config, std::move(groups)), base_(config) {}

  void step(int64_t step, const std::vector<double>& factors) override {
    const c10::NoGradGuard no_grad;
    at::Tensor clip;  // a scalar, so that the device is not waited for
    if (base_.max_grad_norm > 0)
      clip = (base_.max_grad_norm / (gradient_norm() + base_.eps)).clamp_max(1).to(at::kFloat);
    for_each(factors, [&](const std::string& name, at::Tensor& p, const Config& c, double lr) {
      const auto correction = [&](size_t i) { return 1 - std::pow(c.betas[i], static_cast<double>(step)); };
      const auto grad = clip.defined() ? p.grad() * clip.to(p.device()) : p.grad();
      auto &m = moment(name, "m", p), &d = moment(name, "d", p), &square = moment(name, "n", p),
           &before = moment(name, "g", p);
      const auto change = step == 1 ? at::zeros_like(grad) : grad - before;
      const auto looked_ahead = grad + c.betas[1] * change;
      m.mul_(c.betas[0]).add_(grad, 1 - c.betas[0]);
      d.mul_(c.betas[1]).add_(change, 1 - c.betas[1]);
      square.mul_(c.betas[2]).addcmul_(looked_ahead, looked_ahead, 1 - c.betas[2]);
      const auto root = square.sqrt().div_(std::sqrt(correction(2))).add_(c.eps);
      if (c.no_prox) p.mul_(1 - lr * c.weight_decay);
      p.addcdiv_(m, root, -lr / correction(0));
      p.addcdiv_(d, root, -lr * c.betas[1] / correction(1));
      if (!c.no_prox) p.div_(1 + lr * c.weight_decay);
      before.copy_(grad);
    });
  }

 private:
  Config base_;
};

}  // namespace t3d::optim
