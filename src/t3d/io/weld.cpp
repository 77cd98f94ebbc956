#include "t3d/io/weld.h"

#include <array>
#include <cstring>
#include <unordered_map>

namespace t3d::io {
namespace {

struct PlaceHash {
  size_t operator()(const std::array<uint32_t, 3>& key) const {
    uint64_t h = 0x9e3779b97f4a7c15u;
    for (const uint32_t k : key) h = (h ^ k) * 0xff51afd7ed558ccdu, h ^= h >> 32;
    return h;
  }
};

}  // namespace

WeldedVertices weld(const std::vector<Vec3f>& positions) {
  WeldedVertices out;
  out.number.resize(positions.size());
  std::unordered_map<std::array<uint32_t, 3>, uint32_t, PlaceHash> known;
  known.reserve(positions.size());
  for (uint32_t v = 0; v < positions.size(); ++v) {
    const Vec3f p = positions[v] + Vec3f::Zero();  // -0 becomes 0
    std::array<uint32_t, 3> key;
    std::memcpy(key.data(), p.data(), sizeof key);
    const auto [place, is_new] = known.emplace(key, static_cast<uint32_t>(out.first.size()));
    if (is_new) out.first.push_back(v);
    out.number[v] = place->second;
  }
  return out;
}

}  // namespace t3d::io
