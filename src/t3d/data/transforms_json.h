#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "t3d/data/dataset.h"

/// Values of a transforms JSON file.
namespace t3d::data {

/// An object of the file with a name for messages. Keys of a frame win over those of the file. A key that is
/// null counts as absent.
struct TransformsValues {
  const nlohmann::json& file;
  const nlohmann::json* frame;
  std::string place;

  /// nullptr when the key is absent.
  const nlohmann::json* find(const char* key) const;
  /// Throws UserError for what is no finite number.
  double number(const char* key, double fallback) const;
  /// Throws UserError for what is neither true, false, 0 nor 1.
  bool flag(const char* key, bool fallback = false) const;
  /// Throws UserError for what is no text.
  std::string text(const char* key) const;
};

Vec3d parse_vec3(const nlohmann::json& value, const std::string& place);

/// Fills in the lens and the angles of view. Throws UserError for lenses that are not supported.
void parse_transforms_lens(const TransformsValues& values, Frame& frame);

}  // namespace t3d::data
