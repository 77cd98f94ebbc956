#include "t3d/io/obj/parse_obj.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <unordered_map>

#include "t3d/core/error.h"
#include "t3d/io/text_lines.h"

namespace t3d::io::obj {
namespace {

/// Counts of what has been defined: indices may be negative, counting back from there.
struct Defined {
  int64_t positions = 0, uvs = 0, normals = 0;
};

Defined count_definitions(std::string_view text) {
  Defined defined;
  TextLines lines(text, true);
  while (lines.next()) {
    const size_t begin = lines.line.find_first_not_of(" \t");
    if (begin == std::string_view::npos || lines.line[begin] != 'v') continue;
    const std::string_view word = lines.line.substr(begin, lines.line.find_first_of(" \t", begin) - begin);
    if (word == "v") ++defined.positions;
    if (word == "vt") ++defined.uvs;
    if (word == "vn") ++defined.normals;
  }
  return defined;
}

class ObjParser {
 public:
  ObjParser(std::string_view text, const std::string& name, bool skip)
      : lines_(text, true), name_(name), skip_(skip), total_(count_definitions(text)) {
    // A line takes at least two bytes, so these are bounded by the text.
    mesh().positions.reserve(static_cast<size_t>(total_.positions));
    mesh().uvs.reserve(static_cast<size_t>(total_.uvs));
    mesh().normals.reserve(static_cast<size_t>(total_.normals));
  }

  ObjFile parse() {
    while (lines_.next()) {
      Words words(lines_.line);
      const std::string_view key = words.next();
      if (key.empty()) continue;
      if (key == "v") {
        vertex(words);
      } else if (key == "vt") {
        texture_coordinate(words);
      } else if (key == "vn") {
        normal(words);
      } else if (key == "f" || key == "fo") {
        face(words);
      } else if (key == "usemtl") {
        use(std::string(words.rest()));
      } else if (key == "mtllib") {
        file_.libraries.emplace_back(words.rest());
      } else if (key == "#MRGB") {
        painted(words.rest());
      } else if (key == "surf" || key == "curv" || key == "cstype") {
        file_.has_curves = true;
      }
    }
    finish_colours();
    if (file_.materials.size() == 1) mesh().face_material.clear();
    return std::move(file_);
  }

 private:
  PolygonMesh& mesh() { return file_.mesh; }

  [[noreturn]] void fail(const Words& words, std::string_view word, const char* expected) const {
    throw UserError(cat(name_, ":", lines_.number, ":", words.column(), ": ",
                        word.empty() ? std::string("the line ends") : cat("'", word.substr(0, 60), "'"),
                        " where ", expected, " is expected. Export the mesh again."));
  }

  float needed(Words& words, const char* expected = "a number") {
    const std::string_view word = words.next();
    float value = 0;
    if (!to_number(word, value)) fail(words, word, expected);
    return value;
  }

  void vertex(Words& words) {
    Vec3f p;
    for (int i = 0; i < 3; ++i) p[i] = needed(words, "a vertex of three numbers");
    float more[5];
    int n_more = 0;
    for (; n_more < 5; ++n_more) {
      const std::string_view word = words.next();
      if (word.empty() || word[0] == '#') break;
      if (!to_number(word, more[n_more])) fail(words, word, "a number");
    }
    if (n_more == 1 && std::isfinite(more[0]) && more[0] != 0 && more[0] != 1) {
      p /= more[0];
      ++file_.n_weighted;
    }
    mesh().positions.push_back(p);
    if (n_more == 3 || n_more == 4) {
      colour(mesh().positions.size() - 1, Vec3f(more[0], more[1], more[2]));
      if (n_more == 4)
        largest_alpha_ = std::max(largest_alpha_, more[3]), least_alpha_ = std::min(least_alpha_, more[3]);
    } else if (n_more != 0 && n_more != 1) {
      ++file_.n_odd;
    }
  }

  void colour(size_t vertex, const Vec3f& c) {
    std::vector<Vec3f>& colours = mesh().colours;
    if (colours.empty()) colours.reserve(static_cast<size_t>(total_.positions));
    colours.resize(vertex, no_colour());
    colours.push_back(c.allFinite() ? c : no_colour());
  }

  /// ZBrush's comment: eight hexadecimal digits (mask, red, green, blue) for each of the next vertices.
  void painted(std::string_view digits) {
    for (size_t i = 0; i + 8 <= digits.size(); i += 8) {
      Vec3f c;
      for (size_t k = 0; k < 3; ++k) {
        int value = 0;
        for (size_t d = 0; d < 2; ++d) {
          const auto x = static_cast<unsigned char>(digits[i + 2 + 2 * k + d]);
          if (std::isxdigit(x) == 0) return;
          value = 16 * value + (std::isdigit(x) != 0 ? x - '0' : std::tolower(x) - 'a' + 10);
        }
        c[static_cast<int>(k)] = static_cast<float>(value) / 255.0f;
      }
      painted_.push_back(c);
    }
  }

  void texture_coordinate(Words& words) {
    const float u = needed(words);
    const std::string_view word = words.next();
    float v = 0;
    if (!word.empty() && word[0] != '#' && !to_number(word, v)) fail(words, word, "a number");
    mesh().uvs.emplace_back(u, v);
  }

  void normal(Words& words) {
    Vec3f n;
    for (int i = 0; i < 3; ++i) n[i] = needed(words, "a normal of three numbers");
    mesh().normals.push_back(n);
  }

  /// Moves `word` behind its next slash; what stands before it as an index from 0, -1 where nothing does.
  bool index(std::string_view& word, bool is_needed, int64_t total, size_t defined, const char* what,
             int64_t& result, std::string& wrong) {
    const size_t slash = word.find('/');
    const std::string_view number = word.substr(0, slash);
    word = slash == std::string_view::npos ? std::string_view() : word.substr(slash + 1);
    result = -1;
    if (number.empty() && !is_needed) return true;
    int64_t i = 0;
    if (!to_whole(number, i) || i == 0) {
      wrong = cat("'", number, "' as an index, where a whole number other than 0 is expected");
    } else if (i > total || -i > static_cast<int64_t>(defined)) {
      wrong = cat(what, " ", i, " but the file has ", total);
    } else {
      result = i > 0 ? i - 1 : static_cast<int64_t>(defined) + i;
    }
    return wrong.empty();
  }

  void face(Words& words) {
    const size_t begin = mesh().corners.size();
    for (std::string_view word = words.next(); !word.empty() && word[0] != '#'; word = words.next()) {
      int64_t position = -1, uv = -1, normal = -1;
      std::string wrong;
      if (index(word, true, total_.positions, mesh().positions.size(), "vertex", position, wrong) &&
          index(word, false, total_.uvs, mesh().uvs.size(), "texture coordinate", uv, wrong) &&
          index(word, false, total_.normals, mesh().normals.size(), "normal", normal, wrong)) {
        mesh().corners.push_back(
            {static_cast<uint32_t>(position), static_cast<int32_t>(uv), static_cast<int32_t>(normal)});
        continue;
      }
      if (!skip_)
        throw UserError(cat(name_, ":", lines_.number, ":", words.column(), ": face refers to ", wrong,
                            ". Re-export, or pass --skip-bad-faces."));
      mesh().corners.resize(begin);
      ++file_.n_skipped;
      return;
    }
    if (mesh().corners.size() - begin < 3) {  // points and lines go
      mesh().corners.resize(begin);
      return;
    }
    if (file_.materials.empty()) use("");
    mesh().end_face();
    mesh().face_material.push_back(static_cast<uint16_t>(material_));
  }

  void use(const std::string& name) {
    const auto known = index_of_.find(name);
    if (known != index_of_.end()) {
      material_ = known->second;
      return;
    }
    if (file_.materials.size() == 65536)
      throw UserError(cat(name_, ":", lines_.number, ": more than 65536 materials. Join some of them."));
    material_ = file_.materials.size();
    index_of_[name] = material_;
    file_.materials.push_back(name);
  }

  void finish_colours() {
    std::vector<Vec3f>& colours = mesh().colours;
    if (colours.empty() && !painted_.empty()) {
      colours = std::move(painted_);
      colours.resize(std::min(colours.size(), mesh().positions.size()));
    }
    if (colours.empty()) return;
    colours.resize(mesh().positions.size(), no_colour());
    float largest = 0;
    for (const Vec3f& c : colours) largest = std::max(largest, std::isnan(c.x()) ? 0.0f : c.maxCoeff());
    const float scale = largest > 255.0f ? 1.0f / 65535.0f : largest > 1.0f ? 1.0f / 255.0f : 1.0f;
    for (Vec3f& c : colours)
      if (!std::isnan(c.x())) c = (c * scale).cwiseMax(0.0f).cwiseMin(1.0f);
    file_.has_vertex_alpha = least_alpha_ < (largest_alpha_ > 1.0f ? 255.0f : 1.0f);
  }

  TextLines lines_;
  const std::string& name_;
  bool skip_;
  const Defined total_;
  ObjFile file_;
  std::unordered_map<std::string, size_t> index_of_;
  size_t material_ = 0;
  std::vector<Vec3f> painted_;
  float largest_alpha_ = 0, least_alpha_ = std::numeric_limits<float>::infinity();
};

}  // namespace

ObjFile parse_obj(std::string_view text, const std::string& name, bool skip) {
  return ObjParser(text, name, skip).parse();
}

}  // namespace t3d::io::obj
