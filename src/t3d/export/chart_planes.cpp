#include "t3d/export/chart_planes.h"

#include <algorithm>
#include <cmath>

#include "t3d/export/doubled_area.h"

namespace t3d::export_ {
namespace {

constexpr int kChartBits = 24, kAxisBits = 20;
constexpr int64_t kMostCell = (int64_t{1} << (kAxisBits - 1)) - 1;

uint64_t mixed(uint64_t key) {
  key = (key ^ key >> 33) * 0xff51afd7ed558ccdu;
  return key ^ key >> 29;
}

/// Whether a side of `s`, counter-clockwise, has all of `t` beyond it.
template <class Triangle>
bool separates(const Triangle& s, const Triangle& t) {
  for (size_t c = 0; c < 3; ++c) {
    const Vec2f &a = s[c], &b = s[(c + 1) % 3];
    if (doubled_area(a, b, t[0]) <= 0 && doubled_area(a, b, t[1]) <= 0 && doubled_area(a, b, t[2]) <= 0)
      return true;
  }
  return false;
}

}  // namespace

ChartPlanes::ChartPlanes(const io::Mesh& mesh) : mesh_(mesh), slots_(1024) {
  double sum = 0;
  for (const auto& face : mesh.faces) {
    const Vec3f& a = mesh.positions[face[0]];
    sum += std::sqrt((mesh.positions[face[1]] - a).cross(mesh.positions[face[2]] - a).norm());
  }
  const auto mean = static_cast<float>(sum / static_cast<double>(std::max<size_t>(1, mesh.faces.size())));
  if (mean > 0) width_ = 1.5f * mean;
}

ChartPlanes::Slot& ChartPlanes::slot(uint64_t key) {
  const size_t mask = slots_.size() - 1;
  size_t i = mixed(key) & mask;
  while (slots_[i].head != 0 && slots_[i].key != key) i = (i + 1) & mask;
  return slots_[i];
}

void ChartPlanes::grow() {
  std::vector<Slot> before(slots_.size() * 2);
  before.swap(slots_);
  for (const Slot& old : before)
    if (old.head != 0) slot(old.key) = old;
}

bool ChartPlanes::take(uint32_t number, const Chart& chart, uint32_t face) {
  Triangle t;
  for (size_t c = 0; c < 3; ++c) {
    const Vec3f& v = mesh_.positions[mesh_.faces[face][c]];
    t[c] = Vec2f(chart.right.dot(v), chart.up.dot(v));
  }
  if (!(doubled_area(t[0], t[1], t[2]) > 0)) return true;
  const Vec2f low = t[0].cwiseMin(t[1]).cwiseMin(t[2]), high = t[0].cwiseMax(t[1]).cwiseMax(t[2]);
  const auto cell = [&](float v, float origin) {
    return static_cast<int64_t>(std::floor((static_cast<double>(v) - origin) / width_));
  };
  const Vec2f& o = chart.origin;
  const int64_t x0 = cell(low.x(), o.x()), x1 = cell(high.x(), o.x()), y0 = cell(low.y(), o.y()),
                y1 = cell(high.y(), o.y());
  if (std::min(x0, y0) < -kMostCell || std::max(x1, y1) > kMostCell || number >> kChartBits != 0)
    return false;
  cells_.clear();
  for (int64_t y = y0; y <= y1; ++y)
    for (int64_t x = x0; x <= x1; ++x) {
      const uint64_t key = static_cast<uint64_t>(number) << (2 * kAxisBits) |
                           static_cast<uint64_t>(x + kMostCell) << kAxisBits |
                           static_cast<uint64_t>(y + kMostCell);
      for (uint32_t e = slot(key).head; e != 0; e = entries_[e - 1].next) {
        const Triangle& other = triangles_[entries_[e - 1].triangle];
        if (!separates(t, other) && !separates(other, t)) return false;
      }
      cells_.push_back(key);
    }
  triangles_.push_back(t);
  for (const uint64_t key : cells_) {
    if (2 * n_used_ > slots_.size()) grow();
    Slot& place = slot(key);
    if (place.head == 0) ++n_used_;
    undo_.emplace_back(key, place.head);
    entries_.push_back({static_cast<uint32_t>(triangles_.size() - 1), place.head});
    place = {key, static_cast<uint32_t>(entries_.size())};
  }
  return true;
}

void ChartPlanes::undo() {
  for (size_t i = undo_.size(); i-- > 0;) {
    const auto& [key, head] = undo_[i];
    Slot& place = slot(key);
    // A slot that was free keeps one entry, since others may lie behind it: a triangle that covers nothing.
    if (head != 0)
      place.head = head;
    else
      triangles_[entries_[place.head - 1].triangle].fill(Vec2f::Zero());
  }
  undo_.clear();
}

}  // namespace t3d::export_
