#include <algorithm>
#include <cctype>
#include <cmath>

#include "t3d/core/error.h"
#include "t3d/io/parse_stl_off.h"
#include "t3d/io/text_lines.h"

namespace t3d::io {
namespace {

class OffParser {
 public:
  OffParser(std::string_view text, const std::string& name, bool skip)
      : n_bytes_(static_cast<int64_t>(text.size())), lines_(text), name_(name), skip_(skip) {}

  PolygonMesh parse() {
    read_head();
    read_vertices();
    for (int64_t i = 0; i < n_faces_; ++i) read_face(i);
    if (mesh_.ends.empty() && n_skipped == 0)
      throw UserError(cat(name_, ": it holds no face. Export the mesh again, with faces."));
    to_unit_range(mesh_.colours);
    to_unit_range(mesh_.face_colours);
    if (std::all_of(mesh_.face_colours.begin(), mesh_.face_colours.end(),
                    [](const Vec3f& c) { return std::isnan(c.x()); }))
      mesh_.face_colours.clear();
    return std::move(mesh_);
  }

  int64_t n_skipped = 0;

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw UserError(cat(name_, ":", lines_.number, ": ", what, ". Export the mesh again."));
  }

  /// The words of the next line that has any, without comments.
  bool next() {
    words_.clear();
    while (words_.empty() && lines_.next()) {
      Words words(lines_.line.substr(0, lines_.line.find('#')));
      for (std::string_view word = words.next(); !word.empty(); word = words.next()) words_.push_back(word);
    }
    return !words_.empty();
  }

  /// "OFF", "COFF", "STCNOFF" ..., then the counts: on the next line, behind it, or glued to it ("OFF8 6
  /// 12").
  void read_head() {
    const size_t at = next() ? words_[0].find("OFF") : std::string_view::npos;
    if (at == std::string_view::npos) fail("an OFF file starts with the word OFF");
    const std::string_view before = words_[0].substr(0, at), behind = words_[0].substr(at + 3);
    for (size_t i = 0; i < before.size(); ++i) {
      if (before[i] == 'C') {
        has_colours_ = true;
      } else if (before[i] == 'N') {
        has_normals_ = true;
      } else if (before.substr(i, 2) == "ST") {
        has_uvs_ = true;
        ++i;
      } else {
        fail(cat("'", words_[0], "' is a kind of OFF that is not read; OFF, COFF, NOFF and STOFF are"));
      }
    }
    if (words_.size() > 1 && words_[1] == "BINARY") fail("a binary OFF is not read; it has to be a text");
    if (!behind.empty()) {
      words_[0] = behind;
    } else {
      words_.erase(words_.begin());
    }
    if (words_.size() < 2 && !next()) fail("the file ends before the number of vertices");
    if (words_.size() < 2 || !to_whole(words_[0], n_vertices_) || !to_whole(words_[1], n_faces_) ||
        n_vertices_ < 0 || n_faces_ < 0)
      fail("expected the numbers of vertices, faces and edges");
    // A vertex takes at least six characters ("0 0 0\n"), a face at least two.
    if (n_vertices_ > n_bytes_ / 6 + 1 || n_faces_ > n_bytes_ / 2 + 1)
      fail(cat("the file promises ", n_vertices_, " vertices and ", n_faces_, " faces but has only ",
               n_bytes_, " bytes"));
  }

  float number(size_t i) const {
    float value = 0;
    if (!to_number(words_[i], value)) fail(cat("'", words_[i].substr(0, 60), "' where a number is expected"));
    return value;
  }

  /// Position, then normal, colour (three or four numbers) and texture coordinates, as the head announces;
  /// colours behind a position that it does not announce are taken, too.
  void read_vertices() {
    for (int64_t i = 0; i < n_vertices_; ++i) {
      if (!next()) fail(cat("the file ends after ", i, " of ", n_vertices_, " vertices"));
      if (words_.size() < 3) fail("a vertex needs three numbers");
      mesh_.positions.emplace_back(number(0), number(1), number(2));
      size_t at = 3;
      const auto has = [&](size_t n) { return words_.size() >= at + n; };
      if (has_normals_) {
        if (!has(3)) fail("a vertex of NOFF needs a normal of three numbers");
        mesh_.normals.emplace_back(number(at), number(at + 1), number(at + 2));
        at += 3;
      }
      const size_t n_left = words_.size() - at - (has_uvs_ && has(2) ? 2 : 0);
      const bool has_colour = has_colours_ || (!has_normals_ && !has_uvs_ && n_left >= 3 && n_left <= 4);
      if (has_colour && n_left >= 3) {
        mesh_.colours.resize(static_cast<size_t>(i), no_colour());
        mesh_.colours.emplace_back(number(at), number(at + 1), number(at + 2));
        at += std::min<size_t>(n_left, 4);
      }
      if (has_uvs_) {
        if (!has(2)) fail("a vertex of STOFF needs texture coordinates of two numbers");
        mesh_.uvs.emplace_back(number(at), number(at + 1));
      }
    }
    if (!mesh_.colours.empty()) mesh_.colours.resize(mesh_.positions.size(), no_colour());
  }

  void read_face(int64_t i) {
    if (!next()) fail(cat("the file ends after ", i, " of ", n_faces_, " faces"));
    int64_t n = 0;
    if (!to_whole(words_[0], n) || n < 1 || n >= static_cast<int64_t>(words_.size()))
      fail(cat("a face of ", words_[0].substr(0, 60), " corners on a line of ", words_.size(), " words"));
    const size_t begin = mesh_.corners.size();
    for (size_t k = 1; k <= static_cast<size_t>(n); ++k) {
      int64_t index = -1;
      if (to_whole(words_[k], index) && index >= 0 && index < n_vertices_) {
        const auto same = static_cast<int32_t>(index);
        mesh_.corners.push_back(
            {static_cast<uint32_t>(index), has_uvs_ ? same : -1, has_normals_ ? same : -1});
        continue;
      }
      if (!skip_)
        fail(cat("face refers to vertex ", words_[k].substr(0, 60), " (counted from 0) but the file has ",
                 n_vertices_));
      mesh_.corners.resize(begin);
      ++n_skipped;
      return;
    }
    if (n < 3) {
      mesh_.corners.resize(begin);
      return;
    }
    mesh_.end_face();
    const size_t at =
        static_cast<size_t>(n) + 1;  // one number alone is an index into a palette that nobody has
    mesh_.face_colours.push_back(words_.size() >= at + 3 ? Vec3f(number(at), number(at + 1), number(at + 2))
                                                         : no_colour());
  }

  static void to_unit_range(std::vector<Vec3f>& colours) {
    float largest = 0;
    for (const Vec3f& c : colours)
      if (c.allFinite()) largest = std::max(largest, c.maxCoeff());
    const float range = largest > 1.0f ? 255.0f : 1.0f;
    for (Vec3f& c : colours)
      c = c.allFinite() ? Vec3f((c / range).cwiseMax(0.0f).cwiseMin(1.0f)) : no_colour();
  }

  int64_t n_bytes_, n_vertices_ = 0, n_faces_ = 0;
  TextLines lines_;
  const std::string& name_;
  bool skip_, has_colours_ = false, has_normals_ = false, has_uvs_ = false;
  std::vector<std::string_view> words_;
  PolygonMesh mesh_;
};

}  // namespace

PolygonMesh parse_off(std::string_view text, const std::string& name, bool skip, int64_t& n_skipped) {
  OffParser parser(text, name, skip);
  PolygonMesh mesh = parser.parse();
  n_skipped = parser.n_skipped;
  return mesh;
}

}  // namespace t3d::io
