#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "t3d/math/vec.h"

namespace t3d::io::gltf {

using Json = nlohmann::json;

/// A place in a glTF file's JSON, which knows what messages call it ("a.glb: accessors[3].count"). A key that
/// is absent gives a value that does not exist; asking it for more gives values that do not exist either.
/// Every other mismatch throws UserError.
class Value {
 public:
  Value(const Json* json, std::string place) : json_(json), place_(std::move(place)) {}

  bool exists() const { return json_ != nullptr; }
  const std::string& place() const { return place_; }

  /// Member of an object.
  Value operator[](const char* key) const;
  /// Element of an array; `i` must be below size().
  Value operator[](size_t i) const;
  /// Elements of an array; 0 when it is absent.
  size_t size() const;
  /// An extension's object.
  Value extension(const char* name) const { return (*this)["extensions"][name]; }

  /// A whole number, not negative.
  uint64_t whole() const;
  uint64_t whole_or(uint64_t fallback) const { return exists() ? whole() : fallback; }
  /// A whole number below `limit`: the index of one of that many things.
  size_t index(size_t limit) const;
  /// A finite number.
  double number() const;
  double number_or(double fallback) const { return exists() ? number() : fallback; }
  bool flag_or(bool fallback) const;
  std::string text() const;
  std::string text_or(const std::string& fallback) const { return exists() ? text() : fallback; }
  /// N finite numbers.
  template <int N>
  Eigen::Matrix<double, N, 1> numbers_or(const Eigen::Matrix<double, N, 1>& fallback) const {
    if (!exists()) return fallback;
    if (size() != N) refuse("has " + std::to_string(size()) + " numbers, expected " + std::to_string(N));
    Eigen::Matrix<double, N, 1> out;
    for (int i = 0; i < N; ++i) out[i] = (*this)[static_cast<size_t>(i)].number();
    return out;
  }

  /// Throws UserError "PLACE what. Export the file again, or check it with a glTF validator."
  [[noreturn]] void refuse(const std::string& what) const;

 private:
  const Json& required() const;

  const Json* json_;
  std::string place_;
};

}  // namespace t3d::io::gltf
