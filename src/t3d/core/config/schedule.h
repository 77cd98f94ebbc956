#pragma once

#include <cstdint>
#include <vector>

#include "t3d/core/config/node.h"

namespace t3d::config {

/// A scalar that follows the training step, threestudio's C(value, epoch, step):
///
///   number                                   constant
///   [v0, v1, end]                            linear from step 0
///   [start, v0, v1, end]                     linear
///   [start, v0, v1, s1, v2, s2, ...]         piecewise linear, even length from 6
///
/// Outside of a piece its end values hold. Which piece is in force always follows the step. A piece whose end
/// is a float is measured in epochs instead of steps: training from random cameras is one epoch, number 0, so
/// that its value stays what it is there.
class Schedule {
 public:
  Schedule(double constant = 0);

  /// Throws UserError, with the node's origin, for anything else.
  explicit Schedule(const Node& node);

  double at(int64_t step) const;

  /// The largest value ever reached.
  double maximum() const;

  bool is_constant() const { return pieces_.empty(); }

  /// As it was written.
  const Node& node() const { return node_; }

 private:
  struct Piece {
    double start, v0, v1, end;
    bool by_epoch;
  };
  double constant_ = 0;
  std::vector<Piece> pieces_;
  Node node_;
};

}  // namespace t3d::config
