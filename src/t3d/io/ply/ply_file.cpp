#include "t3d/io/ply/ply_file.h"

#include <algorithm>
#include <cstring>

#include "t3d/core/error.h"
#include "t3d/io/text_lines.h"

namespace t3d::io::ply {
namespace {

bool to_type(std::string_view word, Type& type) {
  static const std::pair<const char*, Type> names[] = {
      {"char", Type::Int8},      {"int8", Type::Int8},       {"uchar", Type::Uint8},
      {"uint8", Type::Uint8},    {"short", Type::Int16},     {"int16", Type::Int16},
      {"ushort", Type::Uint16},  {"uint16", Type::Uint16},   {"int", Type::Int32},
      {"int32", Type::Int32},    {"uint", Type::Uint32},     {"uint32", Type::Uint32},
      {"float", Type::Float32},  {"float32", Type::Float32}, {"double", Type::Float64},
      {"float64", Type::Float64}};
  for (const auto& [name, known] : names)
    if (word == name) return type = known, true;
  return false;
}

/// The least bytes that a row takes: a text's number is a digit and a blank.
uint64_t least_bytes(const Element& element, bool is_ascii) {
  uint64_t n = 0;
  for (const Property& p : element.properties) n += is_ascii ? 2 : size_of(p.is_list ? p.count_type : p.type);
  return std::max<uint64_t>(n, 1);
}

template <class T>
double loaded(const char* p, bool swaps) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, p, sizeof(T));
  if (swaps) std::reverse(bytes, bytes + sizeof(T));
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return static_cast<double>(value);
}

double number_at(const char* p, Type type, bool swaps) {
  switch (type) {
    case Type::Int8:
      return static_cast<int8_t>(*p);
    case Type::Uint8:
      return static_cast<uint8_t>(*p);
    case Type::Int16:
      return loaded<int16_t>(p, swaps);
    case Type::Uint16:
      return loaded<uint16_t>(p, swaps);
    case Type::Int32:
      return loaded<int32_t>(p, swaps);
    case Type::Uint32:
      return loaded<uint32_t>(p, swaps);
    case Type::Float32:
      return loaded<float>(p, swaps);
    case Type::Float64:
      return loaded<double>(p, swaps);
  }
  return 0;
}

class HeaderReader {
 public:
  HeaderReader(std::string_view bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  Header read() {
    if (!next() || trimmed(line_) != "ply") fail("a PLY file starts with the line 'ply'");
    bool has_form = false;
    while (true) {
      if (!next()) fail("the header has no end ('end_header')");
      Words words(line_);
      const std::string_view key = words.next();
      if (key == "end_header") break;
      if (key == "comment" || key == "obj_info") {
        comment(words);
      } else if (key == "format") {
        has_form = form(words.next());
      } else if (key == "element") {
        element(words);
      } else if (key == "property") {
        property(words);
      } else if (!key.empty()) {
        fail(cat("'", key.substr(0, 40), "' is no word of a PLY header"));
      }
    }
    if (!has_form) fail("the header names no format");
    header_.n_bytes = at_;
    header_.n_lines = n_lines_;
    check_counts();
    return std::move(header_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw UserError(cat(name_, ":", n_lines_, ": ", what, ". Export the mesh again."));
  }

  /// Lines end with \n, \r\n or \r. After the last one binary data begin, so that a \n behind its \r may be
  /// theirs: it belongs to the line where the others ended so.
  bool next() {
    if (at_ >= bytes_.size()) return false;
    const size_t end = bytes_.find_first_of("\r\n", at_);
    if (end == std::string_view::npos) return false;
    line_ = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    const bool has_both = bytes_[end] == '\r' && at_ < bytes_.size() && bytes_[at_] == '\n';
    if (n_lines_ == 0) ends_with_both_ = has_both;
    if (has_both && ends_with_both_) ++at_;
    ++n_lines_;
    return true;
  }

  void comment(Words& words) {
    if (lower_case(words.next()) != "texturefile") return;
    header_.textures.emplace_back(words.rest());
  }

  bool form(std::string_view word) {
    if (word == "ascii") return header_.form = Header::Form::Ascii, true;
    if (word == "binary_little_endian") return header_.form = Header::Form::LittleEndian, true;
    if (word == "binary_big_endian") return header_.form = Header::Form::BigEndian, true;
    fail(cat("the format is '", word.substr(0, 40),
             "', not ascii, binary_little_endian or binary_big_endian"));
  }

  void element(Words& words) {
    Element e;
    e.name = words.next();
    const std::string_view count = words.next();
    if (e.name.empty() || !to_whole(count, e.n_rows) || e.n_rows < 0)
      fail(cat("'", count.substr(0, 40), "' is no number of rows"));
    header_.elements.push_back(e);
  }

  void property(Words& words) {
    if (header_.elements.empty()) fail("a property stands before any element");
    Property p;
    std::string_view type = words.next();
    if (type == "list") {
      p.is_list = true;
      if (!to_type(words.next(), p.count_type) || is_float(p.count_type))
        fail("a list's count has no whole type");
      type = words.next();
    }
    if (!to_type(type, p.type)) fail(cat("'", type.substr(0, 40), "' is no type of a property"));
    p.name = lower_case(words.next());
    if (p.name.empty()) fail("a property has no name");
    header_.elements.back().properties.push_back(p);
  }

  void check_counts() const {
    const uint64_t n_left = bytes_.size() - at_;
    uint64_t n_needed = 0;
    for (const Element& e : header_.elements) {
      const auto n_rows = static_cast<uint64_t>(e.n_rows);
      const uint64_t least = least_bytes(e, header_.form == Header::Form::Ascii);
      n_needed += n_rows > n_left + 1 ? n_left + 2 : n_rows * least;
      // A text's last number may end with the file.
      if (n_needed > n_left + 1)
        throw UserError(cat(name_, ": the header promises ", e.n_rows, " rows of '", e.name, "' but only ",
                            n_left, " bytes follow it; the file was cut short. Copy or export it again."));
    }
  }

  std::string_view bytes_, line_;
  const std::string& name_;
  Header header_;
  size_t at_ = 0;
  int64_t n_lines_ = 0;
  bool ends_with_both_ = false;
};

}  // namespace

size_t size_of(Type type) {
  switch (type) {
    case Type::Int8:
    case Type::Uint8:
      return 1;
    case Type::Int16:
    case Type::Uint16:
      return 2;
    case Type::Int32:
    case Type::Uint32:
    case Type::Float32:
      return 4;
    case Type::Float64:
      break;
  }
  return 8;
}

bool is_float(Type type) {
  return type == Type::Float32 || type == Type::Float64;
}

int Element::index(std::string_view name) const {
  for (size_t i = 0; i < properties.size(); ++i)
    if (properties[i].name == name) return static_cast<int>(i);
  return -1;
}

const Property* Element::find(std::string_view name) const {
  const int i = index(name);
  return i < 0 ? nullptr : &properties[static_cast<size_t>(i)];
}

const Element* Header::find(std::string_view name) const {
  for (const Element& e : elements)
    if (e.name == name) return &e;
  return nullptr;
}

Header read_header(std::string_view bytes, const std::string& name) {
  return HeaderReader(bytes, name).read();
}

Rows::Rows(std::string_view bytes, const Header& header, const std::string& name)
    : rest_(bytes.substr(header.n_bytes)),
      header_(header),
      name_(name),
      swaps_(header.form == Header::Form::BigEndian),
      line_(header.n_lines + 1) {}

double Rows::next(Type type) {
  if (header_.form != Header::Form::Ascii) {
    const size_t n = size_of(type);
    if (rest_.size() < n) return ended_ = true, 0;
    const double value = number_at(rest_.data(), type, swaps_);
    rest_.remove_prefix(n);
    return value;
  }
  size_t begin = 0;
  while (begin < rest_.size() && static_cast<unsigned char>(rest_[begin]) <= ' ') {
    if (rest_[begin] == '\n' ||
        (rest_[begin] == '\r' && (begin + 1 == rest_.size() || rest_[begin + 1] != '\n')))
      ++line_;
    ++begin;
  }
  size_t end = begin;
  while (end < rest_.size() && static_cast<unsigned char>(rest_[end]) > ' ') ++end;
  const std::string_view word = rest_.substr(begin, end - begin);
  rest_.remove_prefix(end);
  if (word.empty()) return ended_ = true, 0;
  int64_t whole = 0;
  if (!is_float(type) && to_whole(word, whole)) return static_cast<double>(whole);
  float value = 0;
  if (!to_number(word, value))
    throw UserError(cat(name_, ":", line_, ": '", word.substr(0, 60),
                        "' where a number is expected. Export the mesh again."));
  return value;
}

void Rows::fail_short(const Element& element, int64_t row) const {
  throw UserError(cat(name_, ": the file ends after ", row, " of ", element.n_rows, " rows of '",
                      element.name, "'; it was cut short. Copy or export it again."));
}

std::vector<Column> Rows::read(const Element& element, const std::vector<int>& wanted) {
  std::vector<Column> columns(wanted.size());
  std::vector<Column*> goes_to(element.properties.size(), nullptr);
  for (size_t i = 0; i < wanted.size(); ++i) {
    goes_to[static_cast<size_t>(wanted[i])] = &columns[i];
    const bool is_list = element.properties[static_cast<size_t>(wanted[i])].is_list;
    columns[i].values.reserve(static_cast<size_t>(element.n_rows) * (is_list ? 3 : 1));
    if (is_list) columns[i].ends.reserve(static_cast<size_t>(element.n_rows));
  }
  for (int64_t row = 0; row < element.n_rows; ++row)
    for (size_t i = 0; i < element.properties.size(); ++i) {
      const Property& p = element.properties[i];
      int64_t n = 1;
      if (p.is_list) {
        const double count = next(p.count_type);
        if (ended_) fail_short(element, row);
        // A count above what is left would take the file's end for its end; below 0 is no count.
        if (!(count >= 0) || count > static_cast<double>(rest_.size()))
          throw UserError(cat(name_, ": row ", row, " of '", element.name, "' has a list of ", count,
                              " values, more than the file holds. Export the mesh again."));
        n = static_cast<int64_t>(count);
      }
      Column* column = goes_to[i];
      for (int64_t k = 0; k < n; ++k) {
        const double value = next(p.type);
        if (ended_) fail_short(element, row);
        if (column != nullptr) column->values.push_back(value);
      }
      if (p.is_list && column != nullptr) column->ends.push_back(column->values.size());
    }
  return columns;
}

}  // namespace t3d::io::ply
