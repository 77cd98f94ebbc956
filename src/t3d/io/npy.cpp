#include "t3d/io/npy.h"

#include <algorithm>
#include <cctype>
#include <cstring>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"

namespace t3d::io {
namespace {

constexpr size_t kMaxHeader = 1 << 16, kMaxDimensions = 8;

/// The Python literal of the header, {'descr': '<f8', 'fortran_order': False, 'shape': (20, 17), }.
class Header {
 public:
  Header(std::string_view text, const std::string& name) : text_(text), name_(name) {
    expect('{');
    while (!take('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr") {
        if (!at("'") && !at("\"")) fail("is an array of records; one of plain numbers was expected");
        type = quoted();
      } else if (key == "fortran_order") {
        is_fortran = word() == "True";
      } else if (key == "shape") {
        read_shape();
      } else {
        fail(cat("has the unknown key ", key, " in its header"));
      }
      take(',');
    }
    if (type.empty() || !has_shape_) fail("has a header without descr or shape");
  }

  std::string type;
  bool is_fortran = false;
  std::vector<int64_t> shape;

  [[noreturn]] void fail(const std::string& what) const {
    throw UserError(cat(name_, ": ", what, ". Save it again with numpy.save."));
  }

 private:
  void skip_blanks() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }
  bool at(const char* c) {
    skip_blanks();
    return at_ < text_.size() && text_[at_] == *c;
  }
  bool take(char c) {
    if (!at(&c)) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail("has a damaged header");
  }
  std::string quoted() {
    skip_blanks();
    const char quote = at_ < text_.size() ? text_[at_] : ' ';
    const size_t end = quote == '\'' || quote == '"' ? text_.find(quote, at_ + 1) : std::string_view::npos;
    if (end == std::string_view::npos) fail("has a damaged header");
    std::string value(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return value;
  }
  std::string word() {
    skip_blanks();
    const size_t begin = at_;
    while (at_ < text_.size() && std::isalpha(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }
  void read_shape() {
    expect('(');
    while (!take(')')) {
      skip_blanks();
      int64_t n = 0;
      const size_t begin = at_;
      for (; at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])) != 0; ++at_) {
        if (n > (int64_t{1} << 40)) fail("has a damaged shape");
        n = 10 * n + (text_[at_] - '0');
      }
      if (at_ == begin || shape.size() == kMaxDimensions) fail("has a damaged shape");
      take('L');  // Python 2's long integers
      shape.push_back(n);
      take(',');
    }
    has_shape_ = true;
  }

  std::string_view text_;
  const std::string& name_;
  size_t at_ = 0;
  bool has_shape_ = false;
};

template <class T>
double value_of(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return static_cast<double>(value);
}

using Reader = double (*)(const uint8_t*);

Reader reader_of(const std::string& type) {
  if (type == "f8") return value_of<double>;
  if (type == "f4") return value_of<float>;
  if (type == "i8") return value_of<int64_t>;
  if (type == "i4") return value_of<int32_t>;
  if (type == "i2") return value_of<int16_t>;
  if (type == "i1") return value_of<int8_t>;
  if (type == "u8") return value_of<uint64_t>;
  if (type == "u4") return value_of<uint32_t>;
  if (type == "u2") return value_of<uint16_t>;
  if (type == "u1" || type == "b1") return value_of<uint8_t>;
  return nullptr;
}

/// The place in rows-first order of entry i of a columns-first array.
size_t from_fortran(size_t i, const std::vector<int64_t>& shape) {
  size_t place = 0, stride = 1;
  for (const int64_t n : shape) stride *= static_cast<size_t>(n);
  for (const int64_t n : shape) {
    stride /= static_cast<size_t>(n);
    place += i % static_cast<size_t>(n) * stride;
    i /= static_cast<size_t>(n);
  }
  return place;
}

}  // namespace

NpyArray parse_npy(std::string_view bytes, const std::string& name) {
  const auto cut = [&name]() { return UserError(cat(name, ": the file was cut short. Copy it again.")); };
  const auto byte = [&bytes](size_t i) { return static_cast<size_t>(static_cast<uint8_t>(bytes[i])); };
  if (bytes.substr(0, 6) != "\x93NUMPY")
    throw UserError(cat(name, ": this is no .npy file. Save it with numpy.save."));
  if (bytes.size() < 10) throw cut();
  const bool is_long = byte(6) >= 2;
  if (byte(6) == 0 || byte(6) > 3 || (is_long && bytes.size() < 12))
    throw UserError(
        cat(name, ": version ", byte(6), " of the .npy format is unknown. Save it with numpy.save."));
  size_t header_bytes = byte(8) | byte(9) << 8, begin = 10;
  if (is_long) header_bytes |= byte(10) << 16 | byte(11) << 24, begin = 12;
  if (header_bytes > kMaxHeader || header_bytes > bytes.size() - begin) throw cut();
  const Header header(bytes.substr(begin, header_bytes), name);
  begin += header_bytes;

  std::string type = header.type;
  char order = '=';
  if (!type.empty() && std::strchr("<>|=", type[0]) != nullptr) {
    order = type[0];
    type.erase(0, 1);
  }
  const Reader read = reader_of(type);
  if (read == nullptr)
    header.fail(cat("holds numbers of the type ", header.type, "; floats or integers were expected"));
  const size_t item = static_cast<size_t>(type[1] - '0');
  size_t n = 1;
  for (const int64_t side : header.shape) {
    if (side != 0 && n > (bytes.size() - begin) / item / static_cast<size_t>(side)) throw cut();
    n *= static_cast<size_t>(side);
  }
  NpyArray out{header.shape, std::vector<double>(n)};
  uint8_t one[8];
  for (size_t i = 0; i < n; ++i) {
    std::memcpy(one, bytes.data() + begin + item * i, item);
    if (order == '>') std::reverse(one, one + item);
    out.values[header.is_fortran ? from_fortran(i, header.shape) : i] = read(one);
  }
  return out;
}

NpyArray read_npy(const std::string& path) {
  return parse_npy(read_whole_file(path, uint64_t{1} << 30), path);
}

}  // namespace t3d::io
