#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "t3d/core/config/fields.h"
#include "t3d/core/config/node.h"
#include "t3d/core/config/write_yaml.h"

/// Structs with a `visit` (fields.h) from and to configuration nodes.
///
///   auto config = read_struct<HashGridConfig>(node, "system.geometry.pos_encoding_config");
///
/// A block is closed: an unknown key is a UserError that names the nearest key. Types follow threestudio
/// (omegaconf 2.3): an int fits a float field; a numeric string fits an int or float field; a scalar fits a
/// string field; a float never fits an int field; null fits std::optional alone; `???` fails here, when the
/// block becomes typed. `Node` fields take anything. Messages say where, what was found, what was expected.
namespace t3d::config {

/// Throws the UserError "<origin>: <path> is <found>, expected <expected>. <remedy>".
[[noreturn]] void reject(const Node& node, const std::string& path, const std::string& expected);

bool to_bool(const Node& node, const std::string& path);
int64_t to_int(const Node& node, const std::string& path, int64_t low, int64_t high);
double to_float(const Node& node, const std::string& path);
std::string to_string(const Node& node, const std::string& path);
void check_number(double value, const Range& range, const Node& node, const std::string& path);
void check_name(const std::string& value, const Range& range, const Node& node, const std::string& path);
/// Warns, once a process, that the value at `path` is not used, and of what happens instead; not of a value
/// that asks for nothing: null, {}, {enable: false, ...}, and blocks of such alone.
void warn_ignored(const Node& node, const std::string& path, const std::string& instead);
/// "a.b" from "a" and "b"; "b" when the first is empty.
std::string join_path(const std::string& path, std::string_view key);

namespace detail {

template <class T, class = void>
struct has_enum_names : std::false_type {};
template <class T>
struct has_enum_names<T, std::void_t<decltype(enum_names(static_cast<const T*>(nullptr)))>>
    : std::is_enum<T> {};

void check_is_block(const Node& node, const std::string& path);
/// warn_ignored for another value than the default of a field that is ignored and not harmless.
void note_ignored(const Node& given, const Node& otherwise, const Node& value, const Range& range,
                  const std::string& path);
/// The field's help, with the reason where it is ignored.
std::string help_text(const char* help, const Range& range);
void reject_unknown(const Node& block, const std::string& path, const std::vector<std::string>& known);
[[noreturn]] void reject_missing(const Node& block, const std::string& path, const std::string& type,
                                 const Range& range);

}  // namespace detail

/// How one type of field is read, written and named. To give a type of your own to fields, specialise it.
/// An enum is written by name where its namespace has
///   std::vector<std::pair<Stage, const char*>> enum_names(const Stage*);
/// Any other class is a nested block with a visit.
template <class T, class = void>
struct Codec;

template <class T>
T read_struct(const Node& block, const std::string& path);
template <class T>
Node write_struct(const T& value);
template <class T>
std::vector<FieldInfo> describe(const T& defaults = {});

template <>
struct Codec<bool> {
  static std::string type() { return "bool"; }
  static bool read(const Node& n, const std::string& path, const Range&) { return to_bool(n, path); }
  static Node write(bool v) { return Node(v); }
};

template <class T>
struct Codec<T, std::enable_if_t<std::is_integral_v<T> && !std::is_same_v<T, bool>>> {
  static std::string type() { return "int"; }
  static T read(const Node& n, const std::string& path, const Range& range) {
    using Limits = std::numeric_limits<T>;
    constexpr int64_t kHigh =
        sizeof(T) < 8 ? static_cast<int64_t>(Limits::max()) : std::numeric_limits<int64_t>::max();
    const int64_t v = to_int(n, path, static_cast<int64_t>(Limits::min()), kHigh);
    check_number(static_cast<double>(v), range, n, path);
    return static_cast<T>(v);
  }
  static Node write(T v) { return Node(static_cast<int64_t>(v)); }
};

template <class T>
struct Codec<T, std::enable_if_t<std::is_floating_point_v<T>>> {
  static std::string type() { return "float"; }
  static T read(const Node& n, const std::string& path, const Range& range) {
    const double v = to_float(n, path);
    check_number(v, range, n, path);
    return static_cast<T>(v);
  }
  static Node write(T v) { return Node(shortest(v)); }

 private:
  static double shortest(double v) { return v; }
  static double shortest(float v);
};

/// The double whose decimal text is the float's shortest: 0.1f becomes 0.1, not 0.10000000149.
double widen(float value);
template <class T>
double Codec<T, std::enable_if_t<std::is_floating_point_v<T>>>::shortest(float v) {
  return widen(v);
}

template <>
struct Codec<std::string> {
  static std::string type() { return "str"; }
  static std::string read(const Node& n, const std::string& path, const Range& range) {
    std::string v = to_string(n, path);
    check_name(v, range, n, path);
    return v;
  }
  static Node write(const std::string& v) { return Node(v); }
};

template <>
struct Codec<Node> {
  static std::string type() { return "any"; }
  static Node read(const Node& n, const std::string&, const Range&) { return n; }
  static Node write(const Node& v) { return v; }
};

template <class T>
struct Codec<T, std::enable_if_t<detail::has_enum_names<T>::value>> {
  static std::string type() { return "str"; }
  static Range names() {
    std::vector<std::string> all;
    for (const auto& e : enum_names(static_cast<const T*>(nullptr))) all.push_back(e.second);
    return one_of(std::move(all));
  }
  static T read(const Node& n, const std::string& path, const Range&) {
    const std::string text = to_string(n, path);
    check_name(text, names(), n, path);
    for (const auto& e : enum_names(static_cast<const T*>(nullptr)))
      if (text == e.second) return e.first;
    return {};
  }
  static Node write(T v) {
    for (const auto& e : enum_names(static_cast<const T*>(nullptr)))
      if (v == e.first) return Node(std::string(e.second));
    return {};
  }
};

template <class T>
struct Codec<std::optional<T>> {
  static std::string type() { return Codec<T>::type() + "|null"; }
  static std::optional<T> read(const Node& n, const std::string& path, const Range& range) {
    if (n.is_null()) return std::nullopt;
    return Codec<T>::read(n, path, range);
  }
  static Node write(const std::optional<T>& v) { return v ? Codec<T>::write(*v) : Node(); }
};

/// Declared float|str: no coercion but that of an int to a float.
template <class T>
struct Codec<std::variant<T, std::string>> {
  static std::string type() { return Codec<T>::type() + "|str"; }
  static std::variant<T, std::string> read(const Node& n, const std::string& path, const Range& range) {
    if (n.is_int() || n.is_float()) return Codec<T>::read(n, path, range);
    if (n.is_string() && !n.is_mandatory()) return Codec<std::string>::read(n, path, range);
    reject(n, path, "a number or a string");
  }
  static Node write(const std::variant<T, std::string>& v) {
    return v.index() == 0 ? Codec<T>::write(std::get<0>(v)) : Node(std::get<1>(v));
  }
};

template <class T>
struct Codec<std::vector<T>> {
  static std::string type() { return "list[" + Codec<T>::type() + "]"; }
  static std::vector<T> read(const Node& n, const std::string& path, const Range& range) {
    if (!n.is_list()) reject(n, path, "a list");
    std::vector<T> all;
    for (const Node& item : n.list())
      all.push_back(Codec<T>::read(item, path + "[" + std::to_string(all.size()) + "]", range));
    return all;
  }
  static Node write(const std::vector<T>& v) {
    Node::List list;
    for (const auto& item : v) list.push_back(Codec<T>::write(item));
    return Node(std::move(list));
  }
};

template <class T, size_t N>
struct Codec<std::array<T, N>> {
  static std::string type() { return Codec<std::vector<T>>::type(); }
  static std::array<T, N> read(const Node& n, const std::string& path, const Range& range) {
    if (!n.is_list() || n.list().size() != N) reject(n, path, "a list of " + std::to_string(N));
    const auto all = Codec<std::vector<T>>::read(n, path, range);
    std::array<T, N> fixed;
    for (size_t i = 0; i < N; ++i) fixed[i] = all[i];
    return fixed;
  }
  static Node write(const std::array<T, N>& v) {
    return Codec<std::vector<T>>::write(std::vector<T>(v.begin(), v.end()));
  }
};

/// A nested block.
template <class T, class>
struct Codec {
  static_assert(std::is_class_v<T>, "a field needs a visit, an enum_names, or a Codec of its own");
  static std::string type() { return "block"; }
  static T read(const Node& n, const std::string& path, const Range&) { return read_struct<T>(n, path); }
  static Node write(const T& v) { return write_struct(v); }
};

namespace detail {

template <class T, class = void>
struct has_visit : std::false_type {};
struct AnyVisitor {
  template <class F>
  void operator()(const char*, F&, const Range&, const char*) {}
};
template <class T>
struct has_visit<T, std::void_t<decltype(std::declval<T&>().visit(std::declval<AnyVisitor&>()))>>
    : std::true_type {};

struct Reader {
  const Node& block;
  const std::string& path;

  template <class T>
  void operator()(const char* name, T& value, const Range& range, const char*) {
    const std::string at = join_path(path, name);
    const Node* node = block.find(name);
    if (node != nullptr && !node->is_mandatory()) {
      const Node otherwise = range.ignored.empty() ? Node() : Codec<T>::write(value);
      value = Codec<T>::read(*node, at, range);
      if (!range.ignored.empty()) note_ignored(*node, otherwise, Codec<T>::write(value), range, at);
    } else if (node != nullptr || range.is_required) {
      reject_missing(node != nullptr ? *node : block, at, Codec<T>::type(), range);
    }
  }
};

struct Names {
  std::vector<std::string> known;
  template <class T>
  void operator()(const char* name, T&, const Range&, const char*) {
    known.emplace_back(name);
  }
};

struct Writer {
  Node::Map map;
  template <class T>
  void operator()(const char* name, T& value, const Range&, const char*) {
    map.emplace_back(name, Codec<T>::write(value));
  }
};

struct Describer {
  std::vector<FieldInfo> fields;
  template <class T>
  void operator()(const char* name, T& value, const Range& range, const char* help) {
    FieldInfo info{name, Codec<T>::type(), "", range.text(), help_text(help, range), {}};
    if constexpr (has_enum_names<T>::value) info.range = Codec<T>::names().text();
    if constexpr (has_visit<T>::value)
      info.fields = describe(value);
    else
      info.default_text = range.is_required ? "???" : write_yaml_line(Codec<T>::write(value));
    fields.push_back(std::move(info));
  }
};

}  // namespace detail

/// Reads the block over `value`'s defaults. Keys that do not occur are left as they are.
template <class T>
void read_struct_into(T& value, const Node& block, const std::string& path) {
  detail::check_is_block(block, path);
  detail::Names names;  // unknown keys first: a misspelt key explains a missing one
  value.visit(names);
  detail::reject_unknown(block, path, names.known);
  detail::Reader reader{block, path};
  value.visit(reader);
}

template <class T>
T read_struct(const Node& block, const std::string& path) {
  T value{};
  read_struct_into(value, block, path);
  return value;
}

/// Every field, in the order of visit; reading it back gives the same struct.
template <class T>
Node write_struct(const T& value) {
  detail::Writer writer;
  T copy = value;
  copy.visit(writer);
  return Node(std::move(writer.map));
}

template <class T>
std::vector<FieldInfo> describe(const T& defaults) {
  detail::Describer describer;
  T copy = defaults;
  copy.visit(describer);
  return std::move(describer.fields);
}

}  // namespace t3d::config
