#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "t3d/io/json_file.h"
#include "tests/support/golden_report.h"

/// The options of recorded cases: T3D_GOLDEN's options.json has one entry for each case file. Parity tests
/// take from it whatever is not in the case file itself, so that they hold on every set of the same form.
///
///   T3D_NEED_CASES("sds/variants.safetensors");
///   const GoldenOptions options("sds/variants.safetensors");
///   const double scale = options.number("guidance_scale");
namespace t3d::testing {

class GoldenOptions {
 public:
  /// The entry of a case file, named relative to the set's folder.
  explicit GoldenOptions(const std::string& relative) : where_("options.json: " + relative) {
    const auto all = io::read_json_file(golden_folder() + "/options.json");
    if (!all.contains(relative)) throw std::runtime_error(where_ + ": there is no such entry");
    entry_ = all.at(relative);
  }

  bool has(const std::string& key) const { return entry_.contains(key) && !entry_.at(key).is_null(); }
  const nlohmann::json& at(const std::string& key) const {
    if (!entry_.contains(key)) throw std::runtime_error(where_ + ": lacks " + key);
    return entry_.at(key);
  }
  double number(const std::string& key) const { return at(key).get<double>(); }
  int64_t whole(const std::string& key) const { return at(key).get<int64_t>(); }
  bool truth(const std::string& key) const { return at(key).get<bool>(); }
  std::string text(const std::string& key) const { return at(key).get<std::string>(); }
  std::vector<int64_t> wholes(const std::string& key) const { return at(key).get<std::vector<int64_t>>(); }

  /// The block of that name: {"short": {...}}.
  GoldenOptions block(const std::string& key) const { return {where_ + ", " + key, at(key)}; }
  /// The names of the runs: prefixes of their tensors' names.
  std::vector<std::string> runs() const {
    std::vector<std::string> names;
    for (const auto& [name, run] : at("runs").items()) names.push_back(name);
    return names;
  }
  /// The entry as that run has it.
  GoldenOptions run(const std::string& name) const {
    nlohmann::json merged = entry_;
    merged.erase("runs");
    merged.update(at("runs").at(name));
    return {where_ + ", run " + name, merged};
  }
  const nlohmann::json& json() const { return entry_; }

 private:
  GoldenOptions(std::string where, nlohmann::json entry)
      : where_(std::move(where)), entry_(std::move(entry)) {}

  std::string where_;
  nlohmann::json entry_;
};

}  // namespace t3d::testing

/// Skips, visibly, without the case file or the set's options.
#define T3D_NEED_CASES(relative)                                    \
  T3D_NEED_FILE(::t3d::testing::golden_folder() + "/options.json"); \
  T3D_NEED_FILE(::t3d::testing::golden_folder() + "/" + (relative))
