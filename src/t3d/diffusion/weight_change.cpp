#include "t3d/diffusion/weight_change.h"

#include <ATen/ATen.h>

#include <cmath>
#include <optional>
#include <utility>

#include "t3d/core/error.h"

namespace t3d::diffusion {
namespace {

using Role = AdapterRole;
using Shape = std::vector<int64_t>;

int64_t count(const Shape& shape, size_t from = 0) {
  int64_t n = 1;
  for (size_t i = from; i < shape.size(); ++i) n *= shape[i];
  return n;
}

/// A layer as the file has it: shapes, and tensors on demand.
class Layer {
 public:
  Layer(const TensorSource& file, const LayerTensors& tensors) : file_(file), tensors_(tensors) {}
  bool has(Role role) const { return tensors_.count(role) > 0; }
  const std::string& name(Role role) const { return tensors_.at(role); }
  Shape shape(Role role) const { return file_.shape(name(role)); }
  at::Tensor load(Role role) const { return file_.load(name(role), at::kFloat, c10::kCPU).to(at::kFloat); }
  at::Tensor flat(Role role) const { return load(role).flatten(1); }  // [a, the rest]
  at::Tensor kernel(Role role) const {                                // [a,b,k k]
    const at::Tensor t = load(role);
    return t.reshape({t.size(0), t.size(1), -1});
  }

 private:
  const TensorSource& file_;
  const LayerTensors& tensors_;
};

bool is_lora(const Layer& l) {
  return l.has(Role::Down) || l.has(Role::Up) || l.has(Role::Mid);
}
bool is_hada(const Layer& l) {
  for (const Role role :
       {Role::HadaW1A, Role::HadaW1B, Role::HadaW2A, Role::HadaW2B, Role::HadaT1, Role::HadaT2})
    if (l.has(role)) return true;
  return false;
}
bool is_lokr(const Layer& l) {
  for (const Role role :
       {Role::LokrW1, Role::LokrW1A, Role::LokrW1B, Role::LokrW2, Role::LokrW2A, Role::LokrW2B, Role::LokrT2})
    if (l.has(role)) return true;
  return false;
}

/// Collects the first thing that is wrong.
class Checks {
 public:
  explicit Checks(const Layer& layer) : l_(layer) {}
  const std::string& problem() const { return problem_; }

  void need(Role role, const char* what) {
    if (problem_.empty() && !l_.has(role)) problem_ = cat("has no ", what);
  }
  /// `ok` false: the tensor has another shape than the text says.
  void expect(bool ok, Role role, const std::string& expected) {
    if (problem_.empty() && !ok)
      problem_ =
          cat("has ", l_.name(role), " of ", at::IntArrayRef(l_.shape(role)), " instead of ", expected);
  }
  void fail(const std::string& what) {
    if (problem_.empty()) problem_ = what;
  }
  bool ok() const { return problem_.empty(); }

 private:
  const Layer& l_;
  std::string problem_;
};

void check_lora(Checks& c, const Layer& l, const Shape& weight) {
  c.need(Role::Down, "down half");
  c.need(Role::Up, "up half");
  if (!c.ok()) return;
  const Shape down = l.shape(Role::Down), up = l.shape(Role::Up);
  const int64_t n_out = weight[0], n_in = count(weight, 1);  // columns of the flattened weight
  if (!l.has(Role::Mid)) {
    c.expect(down.size() >= 2 && down[0] > 0 && count(down, 1) == n_in, Role::Down, cat("[rank,", n_in, "]"));
    c.expect(up.size() >= 2 && up[0] == n_out && count(up, 1) > 0, Role::Up, cat("[", n_out, ",rank]"));
    if (c.ok() && count(up, 1) != down[0])
      c.fail(cat("has rank ", down[0], " below and ", count(up, 1), " above"));
    return;
  }
  const Shape mid = l.shape(Role::Mid);
  const int64_t n_kernel = count(weight, 2);
  c.expect(mid.size() >= 2 && mid[0] > 0 && mid[1] > 0 && count(mid, 2) == n_kernel, Role::Mid,
           cat("[rank,rank] and a kernel of ", n_kernel));
  if (!c.ok()) return;
  c.expect(weight.size() >= 2 && down.size() >= 2 && down[0] == mid[1] && count(down, 1) == weight[1],
           Role::Down, cat("[", mid[1], ",", weight.size() > 1 ? weight[1] : 0, "]"));
  c.expect(up.size() >= 2 && up[0] == n_out && count(up, 1) == mid[0], Role::Up,
           cat("[", n_out, ",", mid[0], "]"));
}

/// One of the two products of LoHa.
void check_hada(Checks& c, const Layer& l, const Shape& weight, Role a, Role b, Role t) {
  if (!c.ok()) return;
  const Shape left = l.shape(a), right = l.shape(b);
  const int64_t n_out = weight[0], n_in = count(weight, 1);
  if (!l.has(t)) {
    c.expect(left.size() == 2 && left[0] == n_out && left[1] > 0, a, cat("[", n_out, ",rank]"));
    if (c.ok())
      c.expect(right.size() == 2 && right[0] == left[1] && right[1] == n_in, b,
               cat("[", left[1], ",", n_in, "]"));
    return;
  }
  const Shape core = l.shape(t);
  c.expect(core.size() >= 2 && core[0] > 0 && core[1] > 0 && count(core, 2) == count(weight, 2), t,
           cat("[rank,rank] and a kernel of ", count(weight, 2)));
  if (!c.ok()) return;
  c.expect(left.size() == 2 && left[0] == core[0] && left[1] == n_out, a, cat("[", core[0], ",", n_out, "]"));
  c.expect(weight.size() >= 2 && right.size() == 2 && right[0] == core[1] && right[1] == weight[1], b,
           cat("[", core[1], ",", weight.size() > 1 ? weight[1] : 0, "]"));
}

/// Rows and columns of one of LoKr's two factors, the kernel among the columns. {0, 0} when its parts do not
/// fit.
std::pair<int64_t, int64_t> factor_size(const Layer& l, Role whole, Role a, Role b,
                                        std::optional<Role> core) {
  if (l.has(whole)) {
    const Shape shape = l.shape(whole);
    return shape.size() < 2 ? std::pair<int64_t, int64_t>{0, 0} : std::pair{shape[0], count(shape, 1)};
  }
  if (!l.has(a) || !l.has(b)) return {0, 0};
  const Shape left = l.shape(a), right = l.shape(b);
  if (left.size() != 2 || right.size() < 2 || left[1] < 1) return {0, 0};
  if (!core || !l.has(*core))
    return left[1] == right[0] ? std::pair{left[0], count(right, 1)} : std::pair<int64_t, int64_t>{0, 0};
  const Shape t = l.shape(*core);
  if (t.size() < 2 || t[0] != left[0] || t[1] != right[0] || t[0] < 1 || t[1] < 1 || right.size() != 2)
    return {0, 0};
  return {left[1], right[1] * count(t, 2)};
}

void check_lokr(Checks& c, const Layer& l, const Shape& weight) {
  const auto one = factor_size(l, Role::LokrW1, Role::LokrW1A, Role::LokrW1B, std::nullopt);
  const auto two = factor_size(l, Role::LokrW2, Role::LokrW2A, Role::LokrW2B, Role::LokrT2);
  const int64_t n_out = weight[0], n_in = count(weight, 1);
  if (one.first < 1 || two.first < 1 || n_out % one.first != 0 || n_out / one.first != two.first ||
      one.second < 1 || n_in % one.second != 0 || n_in / one.second != two.second)
    c.fail(cat("has Kronecker factors of [", one.first, ",", one.second, "] and [", two.first, ",",
               two.second, "], whose product is not [", n_out, ",", n_in, "]"));
}

double factor(const Layer& l, const AlphaRule& rule, int64_t rank) {
  const auto r = static_cast<double>(rank);
  const double alpha = l.has(Role::Alpha)
                           ? l.load(Role::Alpha).reshape({-1})[0].to(at::kDouble).item<double>()
                       : rule.alpha != 0 ? rule.alpha
                                         : (rule.is_rank_stabilised ? std::sqrt(r) : r);
  return alpha / (rule.is_rank_stabilised ? std::sqrt(r) : r);
}

at::Tensor lora_change(const Layer& l, const AlphaRule& rule) {
  const at::Tensor up = l.flat(Role::Up), down = l.flat(Role::Down);  // [out,r], [r,in k k]
  if (!l.has(Role::Mid)) return at::matmul(up, down) * factor(l, rule, down.size(0));
  const at::Tensor mid = l.kernel(Role::Mid);                                                 // [a,b,k k]
  const at::Tensor inner = at::matmul(mid.transpose(1, 2), down).transpose(1, 2).flatten(1);  // [a, in k k]
  return at::matmul(up, inner) * factor(l, rule, down.size(0));
}

at::Tensor hada_product(const Layer& l, Role a, Role b, Role t) {
  if (!l.has(t)) return at::matmul(l.load(a), l.load(b));
  const at::Tensor core = l.kernel(t);  // [i,j,k k]
  // sum over i, j of a[i,out] core[i,j,k] b[j,in]
  const at::Tensor half =
      at::matmul(l.load(a).t(), core.flatten(1)).reshape({-1, core.size(1), core.size(2)});
  return at::matmul(half.transpose(1, 2), l.load(b)).transpose(1, 2).flatten(1);  // [out, in k]
}

at::Tensor hada_change(const Layer& l, const AlphaRule& rule) {
  return hada_product(l, Role::HadaW1A, Role::HadaW1B, Role::HadaT1) *
         hada_product(l, Role::HadaW2A, Role::HadaW2B, Role::HadaT2) *
         factor(l, rule, l.shape(Role::HadaW1B)[0]);
}

at::Tensor lokr_change(const Layer& l, const AlphaRule& rule) {
  const at::Tensor one =
      l.has(Role::LokrW1) ? l.flat(Role::LokrW1) : at::matmul(l.load(Role::LokrW1A), l.flat(Role::LokrW1B));
  at::Tensor two;  // [c, d k k]
  if (l.has(Role::LokrW2)) {
    two = l.flat(Role::LokrW2);
  } else if (l.has(Role::LokrT2)) {
    two = hada_product(l, Role::LokrW2A, Role::LokrW2B, Role::LokrT2);
  } else {
    two = at::matmul(l.load(Role::LokrW2A), l.flat(Role::LokrW2B));
  }
  // The rank is that of whichever factor has one; without any, LyCORIS takes the factor 1 whatever alpha
  // says.
  const int64_t rank =
      l.has(Role::LokrW1) ? (l.has(Role::LokrW2) ? 0 : l.shape(Role::LokrW2B)[0]) : l.shape(Role::LokrW1B)[0];
  return at::kron(one.contiguous(), two.contiguous()) * (rank == 0 ? 1.0 : factor(l, rule, rank));
}

/// [out,1] or [1,in,1]: lengths that the rows or columns of the sum get.
at::Tensor with_lengths(const Layer& l, const at::Tensor& sum) {
  constexpr double kTiny = 1e-12;
  const bool is_peft = l.has(Role::Magnitude);
  const at::Tensor lengths = l.load(is_peft ? Role::Magnitude : Role::DoraScale);
  const at::Tensor flat = sum.flatten(1);  // [out, in k k]
  if (is_peft || lengths.size(0) == sum.size(0)) {
    const at::Tensor norm = flat.square().sum(1, /*keepdim=*/true).sqrt() + kTiny;
    return (flat * (lengths.reshape({-1, 1}) / norm)).reshape(sum.sizes());
  }
  const at::Tensor columns = sum.reshape({sum.size(0), sum.size(1), -1});  // [out,in,k k]
  const at::Tensor norm = columns.square().sum(at::IntArrayRef{0, 2}, /*keepdim=*/true).sqrt() + kTiny;
  return (columns * (lengths.reshape({1, -1, 1}) / norm)).reshape(sum.sizes());
}

}  // namespace

std::string layer_problem(const TensorSource& file, const LayerTensors& tensors, const Shape& weight,
                          int64_t n_bias) {
  const Layer l(file, tensors);
  Checks c(l);
  for (const auto& [role, name] : tensors)
    if (count(l.shape(role)) == 0) c.fail(cat("has ", name, ", which is empty"));
  if (l.has(Role::Alpha)) c.expect(count(l.shape(Role::Alpha)) == 1, Role::Alpha, "one number");
  const bool with_bias = l.has(Role::DiffBias) || l.has(Role::UpBias);
  if (with_bias && n_bias == 0) c.fail("changes a bias, but the layer has none");
  for (const Role role : {Role::DiffBias, Role::UpBias})
    if (l.has(role)) c.expect(count(l.shape(role)) == n_bias, role, cat("[", n_bias, "]"));
  const bool has_low_rank = is_lora(l) || is_hada(l) || is_lokr(l);
  const int n_kinds =
      (is_lora(l) ? 1 : 0) + (is_hada(l) ? 1 : 0) + (is_lokr(l) ? 1 : 0) + (l.has(Role::Diff) ? 1 : 0);
  if (n_kinds > 1) c.fail("has changes of two kinds");
  if (n_kinds == 0 && !with_bias) c.fail("has a factor, but no change");
  if (weight.empty() && n_kinds > 0) c.fail("changes a weight that the layer does not have");
  if (!c.ok()) return c.problem();
  if (l.has(Role::Diff))
    c.expect(count(l.shape(Role::Diff)) == count(weight), Role::Diff, cat(at::IntArrayRef(weight)));
  if (has_low_rank && weight.size() < 2) c.fail("changes a layer that is neither linear nor a convolution");
  if (!c.ok()) return c.problem();
  if (is_lora(l)) check_lora(c, l, weight);
  if (is_hada(l)) {
    for (const Role role : {Role::HadaW1A, Role::HadaW1B, Role::HadaW2A, Role::HadaW2B})
      c.need(role, "fourth of LoHa");
    check_hada(c, l, weight, Role::HadaW1A, Role::HadaW1B, Role::HadaT1);
    check_hada(c, l, weight, Role::HadaW2A, Role::HadaW2B, Role::HadaT2);
  }
  if (is_lokr(l)) check_lokr(c, l, weight);
  for (const Role role : {Role::DoraScale, Role::Magnitude}) {
    if (!l.has(role) || !c.ok()) continue;
    if (weight.size() < 2 || n_kinds == 0) {
      c.fail("has lengths of DoRA, but no change of a matrix");
      break;
    }
    const Shape shape = l.shape(role);
    const bool is_rows = count(shape) == weight[0] && (role == Role::Magnitude || shape[0] == weight[0]);
    const bool is_columns =
        role == Role::DoraScale && shape.size() >= 2 && shape[0] == 1 && count(shape) == weight[1];
    c.expect(is_rows || is_columns, role, cat("[", weight[0], ",1] or [1,", weight[1], "]"));
  }
  return c.problem();
}

at::Tensor changed_weight(const TensorSource& file, const LayerTensors& tensors, const AlphaRule& rule,
                          const at::Tensor& weight, double strength) {
  const Layer l(file, tensors);
  at::Tensor change;
  if (is_lora(l)) change = lora_change(l, rule);
  if (is_hada(l)) change = hada_change(l, rule);
  if (is_lokr(l)) change = lokr_change(l, rule);
  if (l.has(Role::Diff)) change = l.load(Role::Diff);
  if (!change.defined()) return weight;
  change = change.reshape(weight.sizes()).to(weight.device());
  if (!l.has(Role::DoraScale) && !l.has(Role::Magnitude)) return weight + change * strength;
  return weight + (with_lengths(l, (weight + change).cpu()).to(weight.device()) - weight) * strength;
}

at::Tensor changed_bias(const TensorSource& file, const LayerTensors& tensors, const AlphaRule& rule,
                        const at::Tensor& bias, double strength) {
  const Layer l(file, tensors);
  at::Tensor out = bias;
  if (l.has(Role::DiffBias))
    out = out + l.load(Role::DiffBias).reshape(bias.sizes()).to(bias.device()) * strength;
  if (l.has(Role::UpBias)) {
    const double scale = l.has(Role::Down) ? factor(l, rule, l.shape(Role::Down)[0]) : 1;
    out = out + l.load(Role::UpBias).reshape(bias.sizes()).to(bias.device()) * (scale * strength);
  }
  return out;
}

}  // namespace t3d::diffusion
