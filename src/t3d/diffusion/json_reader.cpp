#include "t3d/diffusion/json_reader.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "t3d/core/error.h"

namespace t3d::diffusion {
namespace {

constexpr size_t kMostEntries = 64;  // of a list in a config: more is no model

std::string shown(const nlohmann::json& value) {
  std::string text = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 60) + "..." : text;
}

}  // namespace

JsonReader::JsonReader(const nlohmann::json& json, std::string where)
    : json_(json), where_(std::move(where)) {
  if (!json.is_object())
    throw UserError(
        cat(where_, ": the config is ", shown(json), " instead of an object { ... }. Check the file."));
}

const nlohmann::json* JsonReader::find(const std::string& key) const {
  const auto it = json_.find(key);
  return it == json_.end() || it->is_null() ? nullptr : &*it;
}

void JsonReader::fail(const std::string& key, const std::string& expected) const {
  throw UserError(cat(where_, ": ", key, " is ", shown(json_.at(key)), " instead of ", expected,
                      ". Check that this config belongs to the model."));
}

bool JsonReader::has(const std::string& key) const {
  return find(key) != nullptr;
}

int64_t JsonReader::whole(const std::string& key, int64_t otherwise, int64_t low, int64_t high) const {
  const auto* value = find(key);
  if (value != nullptr && value->is_array()) fail(key, cat("a whole number from ", low, " to ", high));
  return whole_list(key, {otherwise}, 1, low, high).front();
}

double JsonReader::number(const std::string& key, double otherwise) const {
  const auto* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_number() || !std::isfinite(value->get<double>())) fail(key, "a number");
  return value->get<double>();
}

bool JsonReader::truth(const std::string& key, bool otherwise) const {
  const auto* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) fail(key, "true or false");
  return value->get<bool>();
}

std::string JsonReader::text(const std::string& key, const std::string& otherwise) const {
  const auto* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_string()) fail(key, "a string");
  return value->get<std::string>();
}

std::vector<int64_t> JsonReader::whole_list(const std::string& key, const std::vector<int64_t>& otherwise,
                                            size_t n, int64_t low, int64_t high) const {
  const auto* value = find(key);
  if (value == nullptr) return otherwise;
  const std::string expected = cat(n == 1 ? "a whole number" : "whole numbers", " from ", low, " to ", high);
  const auto one = [&](const nlohmann::json& entry) {
    if (!entry.is_number_integer()) fail(key, expected);
    if (entry.is_number_unsigned() && entry.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX))
      fail(key, expected);
    const auto number = entry.get<int64_t>();
    if (number < low || number > high) fail(key, expected);
    return number;
  };
  if (!value->is_array()) return std::vector<int64_t>(n, one(*value));
  if (value->empty() || value->size() > kMostEntries) fail(key, expected);
  std::vector<int64_t> list;
  for (const auto& entry : *value) list.push_back(one(entry));
  return list;
}

std::vector<std::string> JsonReader::text_list(const std::string& key,
                                               const std::vector<std::string>& otherwise) const {
  const auto* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_array() || value->empty() || value->size() > kMostEntries) fail(key, "a list of strings");
  std::vector<std::string> list;
  for (const auto& entry : *value) {
    if (!entry.is_string()) fail(key, "a list of strings");
    list.push_back(entry.get<std::string>());
  }
  return list;
}

void JsonReader::expect(const std::string& key, const std::vector<std::string>& allowed) const {
  const auto* value = find(key);
  if (value == nullptr) return;
  if (value->is_string() &&
      std::find(allowed.begin(), allowed.end(), value->get<std::string>()) != allowed.end())
    return;
  std::string names;
  for (const std::string& name : allowed) names += (names.empty() ? "\"" : " or \"") + name + "\"";
  throw UserError(cat(where_, ": ", key, " is ", shown(*value), ", an architecture that t3d does not have; ",
                      "it has ", names, ". Use a model of the Stable Diffusion 1 or 2 family."));
}

void JsonReader::expect_config_of(const char* kind, const std::string& foreign_key) const {
  const auto* value = find(foreign_key);
  if (value == nullptr) return;
  throw UserError(cat(where_, ": ", foreign_key, " is ", shown(*value), ", so it is no config of ", kind,
                      ". Check that the folder's config.json belongs to its weights."));
}

void JsonReader::expect_absent(const std::string& key) const {
  const auto* value = find(key);
  if (value == nullptr || (value->is_boolean() && !value->get<bool>())) return;
  throw UserError(cat(where_, ": ", key, " is ", shown(*value),
                      ", a part of the architecture that t3d does not have. ",
                      "Use a model of the Stable Diffusion 1 or 2 family."));
}

}  // namespace t3d::diffusion
