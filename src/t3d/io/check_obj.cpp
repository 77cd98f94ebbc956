#include <cctype>
#include <charconv>
#include <cmath>

#include "t3d/core/error.h"
#include "t3d/io/read_mesh.h"

namespace t3d::io {
namespace {

/// Counts of what has been defined up to a line: OBJ indices may be negative, counting back from there.
struct Defined {
  int64_t positions = 0, uvs = 0, normals = 0;
};

/// "vertex 9311 but the file has 9310", or empty when every index of the word is there.
std::string wrong_index(std::string_view word, const Defined& total, const Defined& so_far) {
  const int64_t totals[3] = {total.positions, total.uvs, total.normals};
  const int64_t defined[3] = {so_far.positions, so_far.uvs, so_far.normals};
  const char* names[3] = {"vertex", "texture coordinate", "normal"};
  for (int part = 0; part < 3 && !word.empty(); ++part) {
    const size_t slash = word.find('/');
    const std::string_view number = word.substr(0, slash);
    word = slash == std::string_view::npos ? std::string_view() : word.substr(slash + 1);
    if (number.empty() && part > 0) continue;
    int64_t index = 0;
    const auto parsed = std::from_chars(number.data(), number.data() + number.size(), index);
    if (parsed.ec != std::errc() || parsed.ptr != number.data() + number.size() || index == 0)
      return cat("'", number, "' as an index, where a whole number other than 0 is expected");
    if (index > totals[part] || -index > defined[part])
      return cat(names[part], " ", index, " but the file has ", totals[part]);
  }
  return "";
}

template <class F>
void for_each_line(const std::string& text, F&& f) {
  size_t begin = 0;
  for (int64_t line = 1; begin < text.size(); ++line) {
    size_t end = text.find('\n', begin);
    if (end == std::string::npos) end = text.size();
    f(line, begin, end);
    begin = end + 1;
  }
}

void count_definition(const std::string& text, size_t begin, size_t end, Defined& defined) {
  if (end - begin < 2 || text[begin] != 'v') return;
  const char second = text[begin + 1];
  if (second == ' ' || second == '\t') ++defined.positions;
  if (second == 't') ++defined.uvs;
  if (second == 'n') ++defined.normals;
}

/// ".5" becomes "0.5" and "-.5" "-0.5" in lines of numbers: assimp drops a vertex that is written the short
/// way, and every face after it would name the wrong ones.
std::string with_leading_zeros(const std::string& text) {
  std::string result;
  result.reserve(text.size() + text.size() / 64);
  for_each_line(text, [&](int64_t, size_t begin, size_t end) {
    const bool is_numbers = text[begin] == 'v';
    for (size_t i = begin; i < end; ++i) {
      const bool starts =
          is_numbers && text[i] == '.' && i > begin &&
          (text[i - 1] == ' ' || text[i - 1] == '\t' || text[i - 1] == '-' || text[i - 1] == '+');
      if (starts) result += '0';
      result += text[i];
    }
    if (end < text.size()) result += '\n';
  });
  return result;
}

bool has_bare_points(const std::string& text) {
  for (const char* start : {" .", "\t.", "-.", "+."})
    if (text.find(start) != std::string::npos) return true;
  return false;
}

}  // namespace

ObjCheck check_obj(const std::string& text, const std::string& name, bool skip) {
  Defined total, so_far;
  for_each_line(text, [&](int64_t, size_t begin, size_t end) { count_definition(text, begin, end, total); });
  ObjCheck result{text, 0};
  for_each_line(text, [&](int64_t line, size_t begin, size_t end) {
    count_definition(text, begin, end, so_far);
    if (end - begin < 2 || text[begin] != 'f' || (text[begin + 1] != ' ' && text[begin + 1] != '\t')) return;
    for (size_t at = begin + 1; at < end;) {
      while (at < end && std::isspace(static_cast<unsigned char>(text[at]))) ++at;
      size_t stop = at;
      while (stop < end && !std::isspace(static_cast<unsigned char>(text[stop]))) ++stop;
      if (at == stop || text[at] == '#' || text[at] == '\\') break;
      const std::string wrong = wrong_index(std::string_view(text).substr(at, stop - at), total, so_far);
      if (!wrong.empty()) {
        if (!skip)
          throw UserError(cat(name, ":", line, ":", at - begin + 1, ": face refers to ", wrong,
                              ". Re-export, or pass --skip-bad-faces."));
        for (size_t i = begin; i < end; ++i) result.text[i] = ' ';
        ++result.n_skipped;
        break;
      }
      at = stop;
    }
  });
  if (has_bare_points(result.text)) result.text = with_leading_zeros(result.text);
  return result;
}

}  // namespace t3d::io
