#include <charconv>
#include <string_view>
#include <vector>

#include "t3d/core/error.h"
#include "t3d/io/read_mesh.h"

namespace t3d::io {
namespace {

/// The words of an OFF text, line by line, without comments and empty lines.
class OffLines {
 public:
  explicit OffLines(std::string_view text) : text_(text) {}

  /// False at the end.
  bool next() {
    words.clear();
    while (words.empty() && at_ < text_.size()) {
      const size_t end = std::min(text_.find('\n', at_), text_.size());
      std::string_view rest = text_.substr(at_, end - at_);
      rest = rest.substr(0, rest.find('#'));
      at_ = end + 1;
      ++line;
      for (size_t begin; (begin = rest.find_first_not_of(" \t\r")) != std::string_view::npos;) {
        rest.remove_prefix(begin);
        const size_t stop = std::min(rest.find_first_of(" \t\r"), rest.size());
        words.push_back(rest.substr(0, stop));
        rest.remove_prefix(stop);
      }
    }
    return !words.empty();
  }

  std::vector<std::string_view> words;
  int64_t line = 0;

 private:
  std::string_view text_;
  size_t at_ = 0;
};

bool to_integer(std::string_view word, int64_t& value) {
  const auto parsed = std::from_chars(word.data(), word.data() + word.size(), value);
  return parsed.ec == std::errc() && parsed.ptr == word.data() + word.size();
}

}  // namespace

void check_off(const std::string& text, const std::string& name) {
  OffLines lines(text);
  const auto fail = [&](const std::string& what) {
    throw UserError(cat(name, ":", lines.line, ": ", what, ". Export the mesh again."));
  };
  if (!lines.next() || lines.words[0].find("OFF") == std::string_view::npos)
    fail("an OFF file starts with the word OFF");
  if (lines.words.size() > 1 && lines.words[1] == "BINARY") return;
  size_t first = 1;  // the counts may follow on the first line
  if (lines.words.size() < 4) {
    if (!lines.next()) fail("the file ends before the number of vertices");
    first = 0;
  }
  int64_t n_vertices = 0, n_faces = 0;
  if (lines.words.size() < first + 2 || !to_integer(lines.words[first], n_vertices) ||
      !to_integer(lines.words[first + 1], n_faces) || n_vertices < 0 || n_faces < 0)
    fail("expected the numbers of vertices, faces and edges");
  // A vertex takes at least six characters ("0 0 0\n"), a face at least two.
  const auto size = static_cast<int64_t>(text.size());
  if (n_vertices > size / 6 + 1 || n_faces > size / 2 + 1)
    fail(cat("the file promises ", n_vertices, " vertices and ", n_faces, " faces but has only ", size,
             " bytes"));
  for (int64_t i = 0; i < n_vertices; ++i) {
    if (!lines.next()) fail(cat("the file ends after ", i, " of ", n_vertices, " vertices"));
    if (lines.words.size() < 3) fail("a vertex needs three numbers");
  }
  for (int64_t i = 0; i < n_faces; ++i) {
    if (!lines.next()) fail(cat("the file ends after ", i, " of ", n_faces, " faces"));
    int64_t n_corners = 0;
    if (!to_integer(lines.words[0], n_corners) || n_corners < 1 ||
        n_corners >= static_cast<int64_t>(lines.words.size()))
      fail(cat("a face of ", lines.words[0], " corners on a line of ", lines.words.size(), " words"));
    for (int64_t k = 1; k <= n_corners; ++k) {
      int64_t index = -1;
      if (!to_integer(lines.words[static_cast<size_t>(k)], index) || index < 0 || index >= n_vertices)
        fail(cat("face refers to vertex ", lines.words[static_cast<size_t>(k)],
                 " (counted from 0) but the file has ", n_vertices));
    }
  }
}

}  // namespace t3d::io
