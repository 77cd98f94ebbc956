#include "t3d/system/optimizer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "t3d/core/config/overrides.h"
#include "t3d/core/sentence.h"
#include "t3d/ops/adam.h"

namespace t3d::system {
namespace {

/// A group's options: the optimizer's own with the group's on top.
template <class Config>
std::vector<Config> group_configs(const Config& base, const std::vector<ParameterGroup>& groups) {
  std::vector<Config> all;
  for (const ParameterGroup& group : groups) {
    config::Node merged = config::write_struct(base);
    if (!group.options.is_null()) config::merge(merged, group.options);
    all.push_back(config::read_struct<Config>(merged, "system.optimizer.params." + group.name));
  }
  return all;
}

/// An optimizer whose groups each have options of their own.
template <class GroupConfig>
class GroupedOptimizer : public Optimizer {
 public:
  using Config = GroupConfig;

  GroupedOptimizer(const Config& config, std::vector<ParameterGroup> groups)
      : Optimizer(std::move(groups)), configs_(group_configs(config, groups_)) {}

  std::vector<double> learning_rates() const override {
    std::vector<double> all;
    for (const Config& c : configs_) all.push_back(c.lr);
    return all;
  }

 protected:
  using Member = std::pair<const std::string, at::Tensor>;

  /// Calls body(parameters with a gradient, their options, their learning rate) for each group.
  template <class Body>
  void for_each_group(const std::vector<double>& factors, const Body& body) {
    const c10::NoGradGuard no_grad;
    for (size_t g = 0; g < groups_.size(); ++g) {
      std::vector<Member*> members;
      for (Member& member : groups_[g].tensors)
        if (member.second.grad().defined()) members.push_back(&member);
      body(members, configs_[g], configs_[g].lr * factors[g]);
    }
  }

  /// Calls body(name, parameter, its group's options, its learning rate) where there is a gradient.
  template <class Body>
  void for_each(const std::vector<double>& factors, const Body& body) {
    for_each_group(factors, [&](const std::vector<Member*>& members, const Config& c, double lr) {
      for (Member* member : members) body(member->first, member->second, c, lr);
    });
  }

 private:
  std::vector<Config> configs_;
};

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
    v("foreach", foreach, any(), "read and not used");
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

using Adam = AdamOptimizer<false>;
using AdamW = AdamOptimizer<true>;

bool begins_with(const std::string& name, const std::string& prefix) {
  return name == prefix || name.rfind(prefix + ".", 0) == 0;
}

/// "geometry.encoding.params" gives "geometry", "geometry.encoding", ...: what can be asked for.
std::vector<std::string> dotted_names(const std::map<std::string, at::Tensor>& all) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : all)
    for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1))
      names.push_back(name.substr(0, dot));
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace

void Optimizer::clear_gradients() {
  for (auto& group : groups_)
    for (auto& [name, p] : group.tensors)
      if (p.grad().defined()) p.mutable_grad() = at::Tensor();
}

std::map<std::string, at::Tensor> Optimizer::take_gradients() {
  std::map<std::string, at::Tensor> taken;
  for (auto& group : groups_)
    for (auto& [name, p] : group.tensors)
      if (p.grad().defined()) taken.emplace(name, p.grad());
  clear_gradients();
  return taken;
}

void Optimizer::add_gradients(const std::map<std::string, at::Tensor>& gradients) {
  const c10::NoGradGuard no_grad;
  for (auto& group : groups_)
    for (auto& [name, p] : group.tensors) {
      const auto given = gradients.find(name);
      if (given == gradients.end()) continue;
      if (p.grad().defined())
        p.mutable_grad().add_(given->second);
      else
        p.mutable_grad() = given->second;
    }
}

at::Tensor Optimizer::gradient_norm() const {
  const c10::NoGradGuard no_grad;
  std::map<c10::DeviceIndex, std::vector<at::Tensor>> by_device;  // the CPU is -1
  for (const auto& group : groups_)
    for (const auto& [name, p] : group.tensors)
      if (p.grad().defined()) by_device[p.grad().device().index()].push_back(p.grad());
  at::Tensor sum;
  for (const auto& [device, gradients] : by_device) {
    const auto norms = at::stack(at::_foreach_norm(gradients, 2)).to(at::kDouble);
    const auto own = norms.square().sum();
    sum = sum.defined() ? sum + own.to(sum.device()) : own;
  }
  return sum.defined() ? sum.sqrt() : at::zeros({}, at::kDouble);
}

std::string Optimizer::first_bad_gradient() const {
  for (const auto& group : groups_)
    for (const auto& [name, p] : group.tensors)
      if (p.grad().defined() && !at::isfinite(p.grad()).all().item<bool>()) return name;
  return "";
}

void Optimizer::scale_gradients(double factor) {
  const c10::NoGradGuard no_grad;
  for (auto& group : groups_)
    for (auto& [name, p] : group.tensors)
      if (p.grad().defined()) p.mutable_grad().mul_(factor);
}

void Optimizer::restore(const std::map<std::string, at::Tensor>& state) {
  const c10::NoGradGuard no_grad;
  for (const auto& [key, value] : state) {
    const size_t dot = key.rfind('.');
    for (const auto& group : groups_) {
      const auto p = group.tensors.find(key.substr(0, dot));
      if (p == group.tensors.end()) continue;
      if (p->second.sizes() != value.sizes())
        throw UserError(cat("the checkpoint's ", key, " is ", value.sizes(), ", expected ", p->second.sizes(),
                            ". Resume with the configuration that it was made with."));
      moments_[key] = value.to(p->second.device()).clone();
    }
  }
}

at::Tensor& Optimizer::moment(const std::string& name, const char* what, const at::Tensor& like) {
  at::Tensor& m = moments_[name + "." + what];
  if (!m.defined()) m = at::zeros_like(like.detach(), at::MemoryFormat::Contiguous);
  return m;
}

const OptimizerRegistry& optimizers() {
  using R = OptimizerRegistry;
  static const R table(
      "optimizer", "moves parameters along their gradients (system.optimizer.name)",
      {R::entry<Adam>("Adam", "Kingma and Ba 2014"),
       R::entry<AdamW>("AdamW", "Adam with decoupled weight decay, 0.01 by default"),
       R::entry<AdamW>("FusedAdam", "AdamW under apex's name"),
       R::entry<AdamaxOptimizer>("Adamax", "Adam by the largest gradient, Kingma and Ba 2014"),
       R::entry<AdanOptimizer>("Adan", "Xie et al. 2022")});
  return table;
}

std::unique_ptr<Optimizer> make_optimizer(const config::Node& block,
                                          const std::map<std::string, at::Tensor>& all,
                                          const std::vector<std::string>& parts) {
  const config::Node* name = block.find("name");
  if (name == nullptr)
    config::reject(block, "system.optimizer", "a block with name, such as {name: Adam, args: {lr: 0.01}}");
  const config::Node* args = block.find("args");
  const config::Node* params = block.find("params");
  std::vector<ParameterGroup> groups;
  if (params == nullptr || params->is_null()) {
    groups.push_back({"all", all, {}});
  } else {
    if (!params->is_map()) config::reject(*params, "system.optimizer.params", "a block of dotted names");
    for (const auto& [dotted, options] : params->map()) {
      ParameterGroup group{dotted, {}, options};
      for (const auto& [key, tensor] : all)
        if (begins_with(key, dotted)) group.tensors.emplace(key, tensor);
      if (group.tensors.empty() && std::find(parts.begin(), parts.end(), dotted) == parts.end()) {
        std::vector<std::string> known = dotted_names(all);
        known.insert(known.end(), parts.begin(), parts.end());
        throw UserError(cat(options.origin.source.empty() ? "" : options.origin.text() + ": ",
                            "system.optimizer.params.", dotted, ": nothing that learns has this name",
                            end_or_suggestion(dotted, known), " Remove it, or name a part of the system."));
      }
      groups.push_back(std::move(group));
    }
  }
  return optimizers().make(config::to_string(*name, "system.optimizer.name"),
                           args == nullptr ? config::Node(config::Node::Map{}) : *args,
                           "system.optimizer.args", std::move(groups));
}

}  // namespace t3d::system
