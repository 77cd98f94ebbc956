#include "t3d/core/config/struct_io.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <mutex>
#include <set>

#include "t3d/core/config/resolvers.h"
#include "t3d/core/config/scalar.h"
#include "t3d/core/error.h"
#include "t3d/core/log.h"

namespace t3d::config {
namespace {

std::string join(const std::vector<std::string>& words) {
  std::string all;
  for (const auto& word : words) all += (all.empty() ? "" : ", ") + word;
  return all;
}

std::string number_text(double v) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, v).ptr;
  return std::string(buffer, end);
}

std::string shortened(std::string text, size_t limit) {
  if (text.size() <= limit) return text;
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xC0) == 0x80) --limit;
  return text.substr(0, limit) + "...";
}

std::string prefix(const Node& node) {
  const std::string where = node.origin.text();
  return where.empty() ? "" : where + ": ";
}

bool is_command_line(const std::string& path) {
  return path.rfind("--", 0) == 0;
}

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t"), last = text.find_last_not_of(" \t");
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

template <class T>
std::optional<T> parse_number(const std::string& text) {
  std::string plain = trimmed(text);
  if (!plain.empty() && plain.front() == '+') plain.erase(0, 1);
  T value{};
  const auto [end, failure] = std::from_chars(plain.data(), plain.data() + plain.size(), value);
  if (failure != std::errc() || end != plain.data() + plain.size() || plain.empty()) return std::nullopt;
  return value;
}

}  // namespace

bool Range::allows(double number) const {
  if (!numbers.empty()) return std::find(numbers.begin(), numbers.end(), number) != numbers.end();
  if (std::isnan(number)) return std::isinf(low) && std::isinf(high);
  return (is_low_open ? number > low : number >= low) && number <= high;
}

bool Range::allows(std::string_view name) const {
  return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
}

std::string Range::text() const {
  if (!names.empty()) return "one of " + join(names);
  if (!numbers.empty()) {
    std::vector<std::string> all;
    for (const double n : numbers) all.push_back(number_text(n));
    return "one of " + join(all);
  }
  const bool has_low = !std::isinf(low), has_high = !std::isinf(high);
  if (has_low && has_high)
    return is_low_open ? cat("above ", number_text(low), ", at most ", number_text(high))
                       : cat(number_text(low), " to ", number_text(high));
  if (has_low) return cat(is_low_open ? "above " : "at least ", number_text(low));
  return has_high ? cat("at most ", number_text(high)) : "";
}

double widen(float value) {
  if (!std::isfinite(value)) return value;
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  double wide = 0;
  std::from_chars(buffer, end, wide);
  return wide;
}

namespace {

/// null, {}, {enable: false, ...}, and blocks of such alone: {wandb: {enable: false}}.
bool asks_for_nothing(const Node& node) {
  if (!node.is_map()) return node.is_null();
  if (const Node* enable = node.find("enable")) return *enable == Node(false);
  return std::all_of(node.map().begin(), node.map().end(),
                     [](const Node::Entry& entry) { return asks_for_nothing(entry.second); });
}

/// As it was typed where that is clear, otherwise in quotes.
std::string found_text(const Node& node) {
  if (node.is_string()) {
    const auto& text = std::get<std::string>(node.value);
    if (!text.empty() && text.find_first_of(" \t\n\"',:[]{}#") == std::string::npos) return text;
  }
  return write_yaml_line(node);
}

}  // namespace

void reject(const Node& node, const std::string& path, const std::string& expected) {
  const std::string remedy =
      is_command_line(path) ? " See --help." : cat(" Correct it there, or override it with ", path, "=...");
  const char* stop = !expected.empty() && expected.back() == '?' ? "" : ".";
  throw UserError(cat(prefix(node), path, " is ", shortened(found_text(node), 80), ", expected ", expected,
                      stop, remedy));
}

bool to_bool(const Node& node, const std::string& path) {
  if (node.is_bool()) return std::get<bool>(node.value);
  if (node.is_int()) return std::get<int64_t>(node.value) != 0;
  if (node.is_string()) {
    std::string text = std::get<std::string>(node.value);
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    for (const char* yes : {"true", "yes", "on", "y", "1"})
      if (text == yes) return true;
    for (const char* no : {"false", "no", "off", "n", "0"})
      if (text == no) return false;
  }
  reject(node, path, "true or false");
}

int64_t to_int(const Node& node, const std::string& path, int64_t low, int64_t high) {
  std::optional<int64_t> value;
  if (node.is_int()) value = std::get<int64_t>(node.value);
  if (node.is_string()) value = parse_number<int64_t>(std::get<std::string>(node.value));
  if (!value) reject(node, path, "an int");
  if (*value < low || *value > high) reject(node, path, cat("an int from ", low, " to ", high));
  return *value;
}

double to_float(const Node& node, const std::string& path) {
  if (node.is_float()) return std::get<double>(node.value);
  if (node.is_int()) return static_cast<double>(std::get<int64_t>(node.value));
  if (node.is_string())
    if (const auto value = parse_number<double>(std::get<std::string>(node.value))) return *value;
  reject(node, path, "a number");
}

std::string to_string(const Node& node, const std::string& path) {
  if (node.is_null() || node.is_list() || node.is_map()) reject(node, path, "a string");
  if (node.is_string()) return std::get<std::string>(node.value);
  return python_str(node);
}

void check_number(double value, const Range& range, const Node& node, const std::string& path) {
  if (!range.allows(value)) reject(node, path, range.text());
}

void check_name(const std::string& value, const Range& range, const Node& node, const std::string& path) {
  if (!range.allows(value)) reject(node, path, cat(range.text(), did_you_mean(value, range.names)));
}

void warn_ignored(const Node& node, const std::string& path, const std::string& instead) {
  if (asks_for_nothing(node)) return;
  const std::string text = cat(prefix(node), path, " is ignored: ", instead, ".");
  static std::mutex guard;
  static std::set<std::string> said;
  const std::lock_guard<std::mutex> lock(guard);
  if (said.insert(text).second) log::warning(text);
}

std::string join_path(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : cat(path, ".", key);
}

namespace detail {

void check_is_block(const Node& node, const std::string& path) {
  if (node.is_mandatory()) reject_missing(node, path, "block", {});
  if (!node.is_map())
    throw UserError(cat(prefix(node), path.empty() ? "the configuration" : path, " is ",
                        shortened(write_yaml_line(node), 80),
                        ", expected a mapping of options. Leave the block out to get its defaults."));
}

void note_ignored(const Node& given, const Node& otherwise, const Node& value, const Range& range,
                  const std::string& path) {
  if (!range.is_harmless && value != otherwise) warn_ignored(given, path, range.ignored);
}

std::string help_text(const char* help, const Range& range) {
  return range.ignored.empty() ? help : cat(help, "; ignored: ", range.ignored);
}

void reject_unknown(const Node& block, const std::string& path, const std::vector<std::string>& known) {
  for (const auto& [key, node] : block.map()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    const std::string near = nearest(key, known);
    throw UserError(cat(prefix(node), "unknown option ", join_path(path, key), "; ",
                        near.empty() ? cat("expected ", known.empty() ? "none" : join(known), ". Remove it.")
                                     : cat("did you mean ", join_path(path, near), "?")));
  }
}

void reject_missing(const Node& block, const std::string& path, const std::string& type, const Range& range) {
  const std::string allowed = range.text();
  throw UserError(cat(prefix(block), path, " is mandatory and was not given, expected ",
                      allowed.empty() ? type : cat(type, " (", allowed, ")"), ". Set it in the file or pass ",
                      path, "=..."));
}

}  // namespace detail
}  // namespace t3d::config
