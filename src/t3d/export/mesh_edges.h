#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace t3d::export_ {

using Faces = std::vector<std::array<uint32_t, 3>>;

/// A side of a face: from its corner `corner` to the next one.
struct Side {
  uint64_t edge;  ///< both vertices, the smaller one in the upper half
  uint32_t face;
  uint8_t corner;
  bool is_forward;  ///< from the smaller vertex to the larger one
};

/// The sides of all faces whose corners are three vertices, those of one edge beside each other, in the order
/// of faces.
std::vector<Side> sorted_sides(const Faces& faces);

/// Calls visit(first, end) with the range of each edge in `sides`.
template <class Visit>
void for_each_edge(const std::vector<Side>& sides, const Visit& visit) {
  for (size_t i = 0; i < sides.size();) {
    size_t end = i + 1;
    while (end < sides.size() && sides[end].edge == sides[i].edge) ++end;
    visit(i, end);
    i = end;
  }
}

}  // namespace t3d::export_
