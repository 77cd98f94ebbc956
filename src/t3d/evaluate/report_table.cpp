#include "t3d/evaluate/report_table.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "t3d/core/text.h"

namespace t3d::evaluate {

nlohmann::json estimate_json(const Estimate& e) {
  if (e.n == 0) return nullptr;
  return {{"value", e.value}, {"ci95", {e.low, e.high}}, {"n", e.n}};
}

std::string table_heading() {
  return "| figure | value | 95 % interval | of |\n| --- | --- | --- | --- |\n";
}

std::string table_row(const std::string& name, const Estimate& e, const Format& f, const std::string& of) {
  if (e.n == 0) return cat("| ", name, " | not measured | | |\n");
  char figures[128];
  std::snprintf(figures, sizeof figures, "%.*f%s | %.*f to %.*f%s", f.digits, f.scale * e.value, f.unit,
                f.digits, f.scale * e.low, f.digits, f.scale * e.high, f.unit);
  return cat("| ", name, " | ", figures, " | ", e.n, " ", of, " |\n");
}

}  // namespace t3d::evaluate
