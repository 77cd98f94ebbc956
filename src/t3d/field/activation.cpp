#include "t3d/field/activation.h"

#include <ATen/ATen.h>

#include <cctype>
#include <map>

#include "t3d/core/error.h"
#include "t3d/core/sentence.h"
#include "t3d/core/text.h"
#include "t3d/ops/activation.h"

namespace t3d::field {
namespace {

at::Tensor linear_to_srgb(const at::Tensor& x) {
  const auto curve = 1.055 * x.clamp_min(0.0031308).pow(1 / 2.4) - 0.055;
  return at::where(x > 0.0031308, curve, 12.92 * x).clamp(0, 1);
}

const std::map<std::string, ActivationFunction>& table() {
  using T = const at::Tensor&;
  static const std::map<std::string, ActivationFunction> functions = {
      {"none", [](T x) { return x; }},
      {"identity", [](T x) { return x; }},
      {"relu", [](T x) { return at::relu(x); }},
      {"leaky_relu", [](T x) { return at::leaky_relu(x); }},
      {"silu", [](T x) { return at::silu(x); }},
      {"gelu", [](T x) { return at::gelu(x); }},
      {"elu", [](T x) { return at::elu(x); }},
      {"tanh", [](T x) { return at::tanh(x); }},
      {"sigmoid", [](T x) { return at::sigmoid(x); }},
      {"softplus", [](T x) { return at::softplus(x); }},
      {"shifted_softplus", [](T x) { return at::softplus(x - 1); }},
      {"exp", [](T x) { return at::exp(x); }},
      {"shifted_exp", [](T x) { return at::exp(x - 1); }},
      {"trunc_exp", [](T x) { return ops::trunc_exp(x); }},
      {"shifted_trunc_exp", [](T x) { return ops::trunc_exp(x - 1); }},
      {"lin2srgb", linear_to_srgb},
      {"scale_-11_01", [](T x) { return 0.5 * x + 0.5; }},
      {"sine", [](T x) { return at::sin(x); }},
      {"abs", [](T x) { return at::abs(x); }}};
  return functions;
}

}  // namespace

ActivationFunction activation_by_name(const std::string& name, const std::string& where) {
  std::string lower;
  for (const char c : name) lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const auto found = table().find(lower);
  if (found != table().end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [key, function] : table()) known.push_back(key);
  throw UserError(cat(where, ": there is no activation named ", name, end_or_suggestion(lower, known),
                      " Use softplus, trunc_exp, sigmoid or another of docs/fields.md."));
}

}  // namespace t3d::field
