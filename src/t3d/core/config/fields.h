#pragma once

#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace t3d::config {

/// What a field may hold. Written in a struct's visit:
///
///   struct HashGridConfig {
///     int n_levels = 16;
///     std::string interpolation = "Linear";
///     template <class V> void visit(V& v) {
///       v("n_levels", n_levels, in_range(1, 32), "resolution levels");
///       v("interpolation", interpolation, one_of({"Linear", "Smoothstep"}), "between grid vertices");
///     }
///   };
///
/// From that one list come parsing and range checks (struct_io.h), `--help` (cli/struct_options.h),
/// parsed.yaml and the reference page. Ranges apply to the value, to an optional's value, and to each element
/// of a list.
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool is_low_open = false;        ///< `low` itself is not allowed
  bool is_required = false;        ///< absent is an error
  std::vector<std::string> names;  ///< the only strings, when there are any
  std::vector<double> numbers;     ///< the only numbers, when there are any
  std::string ignored;             ///< why nothing reads the field; empty: something does
  bool is_harmless = false;        ///< of an ignored field: no value would change a result

  bool allows(double number) const;
  bool allows(std::string_view name) const;
  /// "1 to 32", "above 0", "one of a, b"; empty when everything is allowed.
  std::string text() const;
};

inline Range any() {
  return {};
}
/// Both ends included.
inline Range in_range(double low, double high) {
  Range r;
  r.low = low, r.high = high;
  return r;
}
inline Range at_least(double low) {
  return in_range(low, std::numeric_limits<double>::infinity());
}
inline Range non_negative() {
  return at_least(0);
}
inline Range positive() {
  Range r = at_least(0);
  r.is_low_open = true;
  return r;
}
inline Range one_of(std::vector<std::string> names) {
  Range r;
  r.names = std::move(names);
  return r;
}
inline Range one_of(std::initializer_list<const char*> names) {
  return one_of(std::vector<std::string>(names.begin(), names.end()));
}
inline Range one_of(std::initializer_list<int> numbers) {
  Range r;
  r.numbers.assign(numbers.begin(), numbers.end());
  return r;
}
/// The field has no default: leaving it out is an error, as `???` is.
inline Range required(Range r = {}) {
  r.is_required = true;
  return r;
}
/// Nothing reads the field, and `reason` says what happens instead, "metrics go to metrics.csv". A value that
/// asks for something, another one than the default, is named in a warning, once a process. Every field is
/// read somewhere or declared so: the test ConfigKeys.AreReadOrDeclaredIgnored.
inline Range ignored(std::string reason, Range r = {}) {
  r.ignored = std::move(reason);
  return r;
}
/// The same for a field that decides about memory, speed or logs alone, in the program that it comes from:
/// there is no warning.
inline Range harmless(std::string reason, Range r = {}) {
  r.ignored = std::move(reason);
  r.is_harmless = true;
  return r;
}

/// A field as the reference page shows it.
struct FieldInfo {
  std::string name, type;    ///< type: "int", "float", "list[int]", "float|str", "block", "any", ...
  std::string default_text;  ///< as YAML on one line; "???" where there is none
  std::string range, help;
  std::vector<FieldInfo> fields;  ///< of a nested block
};

}  // namespace t3d::config
