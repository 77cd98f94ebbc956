#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "t3d/render/render_output.h"

namespace t3d::system {

class ShapeGuide;

/// What a term may look at.
struct TermInput {
  const render::RenderOutput& out;
  /// system.loss.NAME now, for the numbers of a term that are no weights.
  std::function<double(const std::string& name, double absent)> number;
  const ShapeGuide* guide = nullptr;  ///< where the system has one
};

/// A part of the loss that looks at the rendering alone: system.loss.lambda_NAME times `value`, logged as
/// loss_NAME.
struct Term {
  std::string name;
  std::vector<std::string> needs;  ///< by their names in output_fields()
  /// The weight where the key is not there; nullopt: it has to be there.
  std::optional<double> absent_weight;
  bool is_always_logged;  ///< also while its weight is 0, where what it needs is rendered
  std::function<at::Tensor(const TermInput&)> value;
  std::string equation;  ///< the formula and where it is from
};

/// The table of terms.
const std::vector<Term>& terms();
/// One of them. BugError for another name.
const Term& term(const std::string& name);

}  // namespace t3d::system
