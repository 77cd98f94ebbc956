#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <string>

#include "t3d/io/safetensors.h"
#include "tests/support/golden_report.h"

/// Reads recorded reference cases. A parity test starts with
///
///   T3D_NEED_FILE(golden_path("grid-encoding/cases_hashgrid.safetensors"));
///   const GoldenCases cases("grid-encoding/cases_hashgrid.safetensors");
///   const auto y = cases.tensor("main.y_f64");
namespace t3d::testing {

inline std::string golden_path(const std::string& relative) {
  return golden_folder() + "/" + relative;
}

class GoldenCases {
 public:
  explicit GoldenCases(const std::string& relative) : file_(golden_path(relative)) {}

  bool contains(const std::string& name) const { return file_.contains(name); }
  std::vector<std::string> names() const { return file_.names(); }
  /// As it is in the file. Throws UserError for an unknown name.
  at::Tensor tensor(const std::string& name) const { return file_.tensor(name); }
  at::Tensor as_float(const std::string& name) const { return tensor(name).to(at::kFloat); }
  /// A 0-dimensional tensor, or a tensor with one element.
  double number(const std::string& name) const { return tensor(name).to(at::kDouble).item().toDouble(); }

 private:
  io::SafetensorsFile file_;
};

/// max|actual - expected| / max(max|expected|, epsilon), in double. Infinite for different shapes, and for a
/// value that is not finite where the other differs.
inline double max_relative_error(const at::Tensor& actual, const at::Tensor& expected,
                                 double epsilon = 1e-12) {
  const double infinity = std::numeric_limits<double>::infinity();
  if (actual.sizes() != expected.sizes()) return infinity;
  if (actual.numel() == 0) return 0;
  const auto a = actual.detach().to(at::kCPU, at::kDouble), b = expected.detach().to(at::kCPU, at::kDouble);
  const auto difference = at::where(a == b, at::zeros_like(a), (a - b).abs());
  if (!at::isfinite(difference).all().item<bool>()) return infinity;
  const auto finite = at::where(at::isfinite(b), b.abs(), at::zeros_like(b));
  return difference.max().item<double>() / std::max(finite.max().item<double>(), epsilon);
}

}  // namespace t3d::testing
