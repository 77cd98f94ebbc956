#pragma once

#include <string>
#include <vector>

#include "t3d/toybox/maker.h"

namespace t3d::toybox {

/// One kind of object: how it is called, what it usually looks like, and how it is made.
struct Kind {
  std::string name, plural;
  /// What takes the second colour ("stem", "legs"); empty: the kind has one colour. Always visible.
  std::string second;
  bool is_second_plural = false;                 ///< "with white legs", not "with a white stem"
  std::vector<std::string> usual, usual_second;  ///< colours where the caption names none; empty: any
  std::vector<std::string> also;                 ///< other names that are understood, singular
  void (*build)(Maker&);                         ///< z up, front on +x, any scale and place
};

/// All kinds in a fixed order.
const std::vector<Kind>& kinds();
/// By name or by another name, singular; nullptr: not known.
const Kind* find_kind(const std::string& name);

// The groups, one file each in kinds/.
std::vector<Kind> solid_kinds();
std::vector<Kind> food_kinds();
std::vector<Kind> furniture_kinds();
std::vector<Kind> household_kinds();
std::vector<Kind> building_kinds();
std::vector<Kind> vehicle_kinds();
std::vector<Kind> animal_kinds();
std::vector<Kind> toy_kinds();
std::vector<Kind> plant_kinds();
std::vector<Kind> tool_kinds();

}  // namespace t3d::toybox
