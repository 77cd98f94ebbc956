#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "t3d/math/vec.h"

namespace t3d::io::obj {

/// An image as a statement such as "map_Kd -s 2 2 1 -clamp on wood.png" names it. Texture coordinates become
/// scale * uv + offset.
struct MtlMap {
  std::string file;  // as written; empty: none
  Vec2f scale = Vec2f::Ones(), offset = Vec2f::Zero();
  bool clamps = false;
  char channel = 0;  // of -imfchan: r, g, b, m (alpha), l, z; 0: none
  bool is_set() const { return !file.empty(); }
};

/// One material as its file says it; nothing is filled in.
struct MtlMaterial {
  std::string name;
  std::optional<Vec3f> kd, ke;
  std::optional<float> d, tr, ns, pr, pm;
  MtlMap map_kd, map_ke, map_d, map_pr, map_pm, norm;
};

struct MtlFile {
  std::vector<MtlMaterial> materials;
  std::vector<std::string> notes;  // what was left out, with its line: at most one of each kind
};

/// Reads a material library. `text` is UTF-8 (io/text_lines.h); keywords are taken in any letter case. Values
/// that cannot be read are left out with a note. `name` is what notes call the file. Throws nothing.
MtlFile parse_mtl(std::string_view text, const std::string& name);

}  // namespace t3d::io::obj
