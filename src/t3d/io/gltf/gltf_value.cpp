#include "t3d/io/gltf/gltf_value.h"

#include <cmath>

#include "t3d/core/error.h"

namespace t3d::io::gltf {

void Value::refuse(const std::string& what) const {
  throw UserError(cat(place_, " ", what, ". Export the file again, or check it with a glTF validator."));
}

const Json& Value::required() const {
  if (json_ == nullptr) refuse("is missing");
  return *json_;
}

Value Value::operator[](const char* key) const {
  const std::string place = cat(place_, place_.empty() || place_.back() == ' ' ? "" : ".", key);
  if (json_ == nullptr) return {nullptr, place};
  if (!json_->is_object()) refuse(cat("is ", json_->type_name(), ", expected an object"));
  const auto found = json_->find(key);
  return {found == json_->end() || found->is_null() ? nullptr : &*found, place};
}

Value Value::operator[](size_t i) const {
  T3D_CHECK(i < size(), place_, i);
  return {&(*json_)[i], cat(place_, "[", i, "]")};
}

size_t Value::size() const {
  if (json_ == nullptr) return 0;
  if (!json_->is_array()) refuse(cat("is ", json_->type_name(), ", expected an array"));
  return json_->size();
}

uint64_t Value::whole() const {
  const Json& json = required();
  if (json.is_number_unsigned()) return json.get<uint64_t>();
  if (json.is_number_float()) {  // some exporters write 3.0
    const double number = json.get<double>();
    if (number >= 0 && number < 9007199254740992.0 && number == std::floor(number))
      return static_cast<uint64_t>(number);
  }
  refuse(cat("is ", json.dump().substr(0, 40), ", expected a whole number that is not negative"));
}

size_t Value::index(size_t limit) const {
  const uint64_t i = whole();
  if (i >= limit) refuse(cat("is ", i, " but the file has ", limit, " of these"));
  return static_cast<size_t>(i);
}

double Value::number() const {
  const Json& json = required();
  if (!json.is_number()) refuse(cat("is ", json.type_name(), ", expected a number"));
  const double number = json.get<double>();
  if (!std::isfinite(number)) refuse("is not a finite number");
  return number;
}

bool Value::flag_or(bool fallback) const {
  if (json_ == nullptr) return fallback;
  if (!json_->is_boolean()) refuse(cat("is ", json_->type_name(), ", expected true or false"));
  return json_->get<bool>();
}

std::string Value::text() const {
  const Json& json = required();
  if (!json.is_string()) refuse(cat("is ", json.type_name(), ", expected a text"));
  return json.get<std::string>();
}

}  // namespace t3d::io::gltf
