#include "t3d/toybox/kind.h"

#include <algorithm>

namespace t3d::toybox {

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> table = [] {
    std::vector<Kind> all;
    for (const auto group : {solid_kinds, food_kinds, furniture_kinds, household_kinds, building_kinds,
                             vehicle_kinds, animal_kinds, toy_kinds, plant_kinds, tool_kinds})
      for (Kind& kind : group()) all.push_back(std::move(kind));
    return all;
  }();
  return table;
}

const Kind* find_kind(const std::string& name) {
  for (const Kind& kind : kinds())
    if (kind.name == name || std::find(kind.also.begin(), kind.also.end(), name) != kind.also.end())
      return &kind;
  return nullptr;
}

}  // namespace t3d::toybox
