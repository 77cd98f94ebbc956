#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "t3d/evaluate/interval.h"

namespace t3d::evaluate {

/// {"value": v, "ci95": [low, high], "n": n}, or null for a figure of nothing.
nlohmann::json estimate_json(const Estimate& estimate);

/// The heading of a Markdown table of figures.
std::string table_heading();

/// How a figure is written in the table.
struct Format {
  double scale = 1;  ///< 100 for shares
  const char* unit = "";
  int digits = 1;  ///< behind the point
};
constexpr Format kPercent{100, " %", 1};

/// A line of it: name, value, interval, number and name of what the figure is a mean of.
std::string table_row(const std::string& name, const Estimate& estimate, const Format& format,
                      const std::string& of);

}  // namespace t3d::evaluate
