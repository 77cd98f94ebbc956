#include "t3d/core/config/write_yaml.h"

#include <algorithm>
#include <cctype>
#include <cstdio>

#include "t3d/core/config/scalar.h"

namespace t3d::config {
namespace {

/// Words that need no quotes in any place: letters, digits and a few signs, read back as a string.
bool is_plain(const std::string& text) {
  if (text.empty() ||
      !(std::isalpha(static_cast<unsigned char>(text[0])) || text[0] == '_' || text[0] == '/'))
    return false;
  const auto fits = [](unsigned char c) {
    return std::isalnum(c) || std::string_view("_-./@+=").find(c) != std::string_view::npos;
  };
  return std::all_of(text.begin(), text.end(), fits) && typed_scalar(text, {}).is_string();
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      char code[8];
      std::snprintf(code, sizeof code, "\\x%02x", byte);
      out += code;
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string string_text(const std::string& text) {
  return is_plain(text) ? text : quoted(text);
}

std::string line(const Node& node) {
  if (node.is_null()) return "null";
  if (node.is_bool()) return std::get<bool>(node.value) ? "true" : "false";
  if (node.is_int()) return std::to_string(std::get<int64_t>(node.value));
  if (node.is_float()) return float_text(std::get<double>(node.value));
  if (node.is_string()) return string_text(std::get<std::string>(node.value));
  std::string out;
  if (node.is_list()) {
    for (const Node& item : node.list()) out += (out.empty() ? "" : ", ") + line(item);
    return "[" + out + "]";
  }
  for (const auto& [key, value] : node.map())
    out += (out.empty() ? "" : ", ") + string_text(key) + ": " + line(value);
  return "{" + out + "}";
}

bool is_block(const Node& node) {
  if (node.is_map()) return !node.map().empty();
  return node.is_list() && std::any_of(node.list().begin(), node.list().end(), is_block);
}

void block(const Node& node, int indent, std::string& out) {
  const std::string space(indent, ' ');
  const auto value = [&](const Node& item) {
    if (is_block(item)) {
      out += '\n';
      block(item, indent + 2, out);
    } else {
      out += ' ' + line(item) + '\n';
    }
  };
  if (node.is_map()) {
    for (const auto& [key, item] : node.map()) {
      out += space + string_text(key) + ':';
      value(item);
    }
  } else {
    for (const Node& item : node.list()) {
      out += space + '-';
      value(item);
    }
  }
}

}  // namespace

std::string write_yaml(const Node& node) {
  if (!is_block(node)) return line(node) + '\n';
  std::string out;
  block(node, 0, out);
  return out;
}

std::string write_yaml_line(const Node& node) {
  return line(node);
}

}  // namespace t3d::config
