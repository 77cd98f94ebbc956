#include "t3d/export/mesh_edges.h"

#include <algorithm>

namespace t3d::export_ {

std::vector<Side> sorted_sides(const Faces& faces) {
  std::vector<Side> sides;
  sides.reserve(faces.size() * 3);
  for (uint32_t f = 0; f < faces.size(); ++f) {
    const auto& v = faces[f];
    if (v[0] == v[1] || v[1] == v[2] || v[2] == v[0]) continue;
    for (uint8_t c = 0; c < 3; ++c) {
      const uint64_t a = v[c], b = v[(c + 1u) % 3u];
      sides.push_back({std::min(a, b) << 32 | std::max(a, b), f, c, a < b});
    }
  }
  std::sort(sides.begin(), sides.end(), [](const Side& a, const Side& b) {
    return a.edge != b.edge ? a.edge < b.edge : a.face != b.face ? a.face < b.face : a.corner < b.corner;
  });
  return sides;
}

}  // namespace t3d::export_
