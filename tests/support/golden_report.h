#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

/// Parity tests name their suite "Golden..." and call record_golden("grid-encoding/main.y", relative_error);
/// the worst error per case is printed when the program ends.
namespace t3d::testing {

inline std::map<std::string, double>& golden_errors() {
  static std::map<std::string, double> errors;
  return errors;
}

inline void record_golden(const std::string& name, double relative_error) {
  double& worst = golden_errors()[name];
  worst = std::max(worst, relative_error);
}

inline void print_golden_report() {
  for (const auto& [name, error] : golden_errors())
    std::printf("golden %-52s worst relative error %.2e\n", name.c_str(), error);
}

/// Folder of the parity cases that come with the sources: tests/golden/own/README.md.
inline std::string own_golden_folder() {
  return std::string(T3D_SOURCE_DIR) + "/tests/golden/own";
}

/// Folder of the parity cases: T3D_GOLDEN, else ../shared/golden beside the checkout, which was recorded from
/// the reference implementations, else the repository's own.
inline std::string golden_folder() {
  if (const char* named = std::getenv("T3D_GOLDEN")) return named;
  const std::string recorded = std::string(T3D_SOURCE_DIR) + "/../shared/golden";
  return std::filesystem::exists(recorded + "/options.json") ? recorded : own_golden_folder();
}

/// Folder of the shared meshes and photographs: T3D_DATA, or ../shared/data beside the checkout.
inline std::string data_folder() {
  const char* named = std::getenv("T3D_DATA");
  return named != nullptr ? named : std::string(T3D_SOURCE_DIR) + "/../shared/data";
}

/// True when a missing case must fail rather than skip.
inline bool golden_is_strict() {
  const char* strict = std::getenv("T3D_GOLDEN_STRICT");
  return strict != nullptr && std::string(strict) == "1";
}

}  // namespace t3d::testing

/// Skips, visibly, when `path` is absent; fails instead under T3D_GOLDEN_STRICT=1. Use inside a TEST body.
#define T3D_NEED_FILE(path)                                          \
  do {                                                               \
    const std::string t3d_needed = (path);                           \
    if (FILE* t3d_file = std::fopen(t3d_needed.c_str(), "rb")) {     \
      std::fclose(t3d_file);                                         \
    } else if (::t3d::testing::golden_is_strict()) {                 \
      FAIL() << t3d_needed << " is missing and T3D_GOLDEN_STRICT=1"; \
    } else {                                                         \
      GTEST_SKIP() << t3d_needed << " is not there";                 \
    }                                                                \
  } while (false)
