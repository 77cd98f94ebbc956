#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace t3d::io::ply {

enum class Type { Int8, Uint8, Int16, Uint16, Int32, Uint32, Float32, Float64 };
size_t size_of(Type type);
bool is_float(Type type);

struct Property {
  std::string name;
  Type type = Type::Float32;
  bool is_list = false;
  Type count_type = Type::Uint8;
};

/// Values of one property for every row of its element, as they are in the file: lists one after the other.
struct Column {
  std::vector<double> values;
  std::vector<size_t> ends;  // of lists: where each row ends in `values`
};

struct Element {
  std::string name;
  int64_t n_rows = 0;
  std::vector<Property> properties;

  const Property* find(std::string_view name) const;
  int index(std::string_view name) const;  // -1: none
};

/// The header of a PLY: what it holds, in which form, and where the data begin.
struct Header {
  enum class Form { Ascii, LittleEndian, BigEndian } form = Form::Ascii;
  std::vector<Element> elements;
  std::vector<std::string> textures;  // of "comment TextureFile NAME"
  size_t n_bytes = 0;                 // of the header
  int64_t n_lines = 0;

  const Element* find(std::string_view name) const;
};

/// Throws UserError "name:line: ..." for a header that is not one, or counts that the bytes cannot hold.
Header read_header(std::string_view bytes, const std::string& name);

/// Reads the elements one after the other, in the header's order.
class Rows {
 public:
  Rows(std::string_view bytes, const Header& header, const std::string& name);

  /// The values of the properties whose places in `element.properties` are in `wanted`, one column for each;
  /// all others are passed over. Throws UserError where the file ends early, or a text holds no number.
  std::vector<Column> read(const Element& element, const std::vector<int>& wanted);

 private:
  double next(Type type);
  [[noreturn]] void fail_short(const Element& element, int64_t row) const;

  std::string_view rest_;
  const Header& header_;
  const std::string& name_;
  bool swaps_;
  int64_t line_;
  bool ended_ = false;
};

}  // namespace t3d::io::ply
