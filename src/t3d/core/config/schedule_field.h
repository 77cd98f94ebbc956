#pragma once

#include "t3d/core/config/schedule.h"
#include "t3d/core/config/struct_io.h"

namespace t3d::config {

/// Schedules as fields of a config struct: a number or a list of numbers (schedule.h).
template <>
struct Codec<Schedule> {
  static std::string type() { return "float|list[float]"; }
  static Schedule read(const Node& n, const std::string& path, const Range& range) {
    if (!n.is_int() && !n.is_float() && !n.is_list()) reject(n, path, "a number or a list of numbers");
    Schedule value(n);
    if (value.is_constant()) check_number(value.maximum(), range, n, path);
    return value;
  }
  static Node write(const Schedule& v) { return v.node(); }
};

}  // namespace t3d::config
