#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace t3d::diffusion {

/// Reads the fields of one JSON object of a model's config. A field that is absent or null has its default;
/// one of the wrong kind, or out of range, throws UserError "where: key is ... instead of ...".
class JsonReader {
 public:
  /// Throws UserError when `json` is not an object. `json` must outlive the reader.
  JsonReader(const nlohmann::json& json, std::string where);

  bool has(const std::string& key) const;
  int64_t whole(const std::string& key, int64_t otherwise, int64_t low, int64_t high) const;
  double number(const std::string& key, double otherwise) const;
  bool truth(const std::string& key, bool otherwise) const;
  std::string text(const std::string& key, const std::string& otherwise) const;
  /// A list, or one number that stands for `n` equal ones.
  std::vector<int64_t> whole_list(const std::string& key, const std::vector<int64_t>& otherwise, size_t n,
                                  int64_t low, int64_t high) const;
  std::vector<std::string> text_list(const std::string& key, const std::vector<std::string>& otherwise) const;
  /// Throws UserError when the field is there and is none of `allowed` (strings): another architecture.
  void expect(const std::string& key, const std::vector<std::string>& allowed) const;
  /// Throws UserError when the field is there at all: only configs of another kind of module, not of `kind`,
  /// have it.
  void expect_config_of(const char* kind, const std::string& foreign_key) const;
  /// Throws UserError when the field is there, not null and not false: a part that this program lacks.
  void expect_absent(const std::string& key) const;

  const std::string& where() const { return where_; }

 private:
  const nlohmann::json* find(const std::string& key) const;
  [[noreturn]] void fail(const std::string& key, const std::string& expected) const;

  const nlohmann::json& json_;
  std::string where_;
};

}  // namespace t3d::diffusion
