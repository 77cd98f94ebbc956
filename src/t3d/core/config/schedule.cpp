#include "t3d/core/config/schedule.h"

#include <algorithm>

#include "t3d/core/error.h"

namespace t3d::config {
namespace {

constexpr int64_t kEpoch = 0;  // training from random cameras is one epoch

double number(const Node& node, const Origin& where) {
  if (node.is_int()) return static_cast<double>(std::get<int64_t>(node.value));
  if (node.is_float()) return std::get<double>(node.value);
  throw UserError(cat(where.text(), ": a schedule holds ", node.kind_name(), "; expected numbers only."));
}

}  // namespace

Schedule::Schedule(double constant) : constant_(constant), node_(constant) {}

Schedule::Schedule(const Node& node) : node_(node) {
  if (!node.is_list()) {
    constant_ = number(node, node.origin);
    return;
  }
  Node::List list = node.list();
  if (list.size() == 3) list.insert(list.begin(), Node(int64_t{0}));
  const size_t n = list.size();
  if (n < 4 || n % 2 != 0)
    throw UserError(cat(node.origin.text(), ": a schedule of ", node.list().size(),
                        " numbers; expected a number, [v0, v1, end], [start, v0, v1, end] or "
                        "[start, v0, v1, s1, v2, s2, ...]."));
  std::vector<double> x;
  for (const Node& item : list) x.push_back(number(item, node.origin));
  pieces_.push_back({x[0], x[1], x[2], x[3], list[3].is_float()});
  for (size_t i = 4; i < n; i += 2)
    pieces_.push_back({x[i - 1], x[i - 2], x[i], x[i + 1], list[i + 1].is_float()});
}

double Schedule::at(int64_t step) const {
  if (pieces_.empty()) return constant_;
  const Piece* piece = &pieces_.front();
  for (const Piece& next : pieces_)
    if (next.start <= static_cast<double>(step)) piece = &next;
  const auto now = static_cast<double>(piece->by_epoch ? kEpoch : step);
  const double length = piece->end - piece->start;
  const double t = length > 0 ? std::clamp((now - piece->start) / length, 0.0, 1.0) : now > piece->start;
  return piece->v0 + (piece->v1 - piece->v0) * t;
}

double Schedule::maximum() const {
  if (pieces_.empty()) return constant_;
  double largest = std::max(pieces_.front().v0, pieces_.front().v1);
  for (const Piece& piece : pieces_) largest = std::max(largest, piece.v1);
  return largest;
}

}  // namespace t3d::config
