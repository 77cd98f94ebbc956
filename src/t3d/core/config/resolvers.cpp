#include "t3d/core/config/resolvers.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "t3d/core/config/read_yaml.h"
#include "t3d/core/config/scalar.h"
#include "t3d/core/config/schedule.h"
#include "t3d/core/error.h"
#include "t3d/core/sentence.h"
#include "t3d/core/text.h"

namespace t3d::config {
namespace {

[[noreturn]] void fail(const Call& call, const std::string& what) {
  throw UserError(with_full_stop(cat(call.origin.text(), ": ${", call.name, ":...}: ", what)));
}

bool is_number(const Node& node) {
  return node.is_int() || node.is_float();
}

double number(const Call& call, size_t i) {
  const Node& node = call.arguments[i];
  if (!is_number(node)) fail(call, cat("argument ", i + 1, " is ", node.kind_name(), "; expected a number"));
  return node.is_int() ? static_cast<double>(std::get<int64_t>(node.value)) : std::get<double>(node.value);
}

int64_t whole(const Call& call, size_t i) {
  return std::get<int64_t>(call.arguments[i].value);
}

bool both_ints(const Call& call) {
  return call.arguments[0].is_int() && call.arguments[1].is_int();
}

/// Two ints give an int, as in Python; other numbers give a float.
Node arithmetic(const Call& call, bool (*exact)(int64_t, int64_t, int64_t*),
                double (*rounded)(double, double)) {
  if (!both_ints(call)) return Node(rounded(number(call, 0), number(call, 1)), call.origin);
  int64_t result = 0;
  if (exact(whole(call, 0), whole(call, 1), &result)) fail(call, "the result does not fit 64 bits");
  return Node(result, call.origin);
}

Node add(const Call& call) {
  if (call.arguments[0].is_string() && call.arguments[1].is_string())
    return Node(
        std::get<std::string>(call.arguments[0].value) + std::get<std::string>(call.arguments[1].value),
        call.origin);
  return arithmetic(
      call, [](int64_t a, int64_t b, int64_t* r) { return __builtin_add_overflow(a, b, r); },
      [](double a, double b) { return a + b; });
}

Node sub(const Call& call) {
  return arithmetic(
      call, [](int64_t a, int64_t b, int64_t* r) { return __builtin_sub_overflow(a, b, r); },
      [](double a, double b) { return a - b; });
}

Node mul(const Call& call) {
  return arithmetic(
      call, [](int64_t a, int64_t b, int64_t* r) { return __builtin_mul_overflow(a, b, r); },
      [](double a, double b) { return a * b; });
}

double divisor(const Call& call) {
  const double b = number(call, 1);
  if (b == 0) fail(call, "divides by zero");
  return b;
}

Node div(const Call& call) {
  return Node(number(call, 0) / divisor(call), call.origin);
}

Node idiv(const Call& call) {
  const double b = divisor(call);
  if (!both_ints(call)) return Node(std::floor(number(call, 0) / b), call.origin);
  const int64_t x = whole(call, 0), y = whole(call, 1);
  if (y == -1) return mul(call);
  return Node(x / y - (x % y != 0 && (x < 0) != (y < 0) ? 1 : 0), call.origin);
}

Node decay_rate(const Call& call) {
  return Node(std::pow(number(call, 0), 1 / divisor(call)), call.origin);
}

Node basename(const Call& call) {
  const std::string path = python_str(call.arguments[0]);
  return Node(path.substr(path.rfind('/') + 1), call.origin);
}

Node rmspace(const Call& call) {
  const std::string text = python_str(call.arguments[0]), with = python_str(call.arguments[1]);
  std::string out;
  for (const char c : text) c == ' ' ? out += with : out += c;
  return Node(std::move(out), call.origin);
}

Node tuple2(const Call& call) {
  const Node x(number(call, 0), call.origin);
  return Node(Node::List{x, x}, call.origin);
}

Node gt0(const Call& call) {
  return Node(number(call, 0) > 0, call.origin);
}

double cmax(const Call& call, size_t i) {
  return call.arguments[i].is_list() ? Schedule(call.arguments[i]).maximum() : number(call, i);
}

Node cmaxgt0(const Call& call) {
  return Node(cmax(call, 0) > 0, call.origin);
}
Node cmaxgt0_or(const Call& call) {
  return Node(cmax(call, 0) > 0 || cmax(call, 1) > 0, call.origin);
}

bool truth(const Node& node) {
  if (node.is_bool()) return std::get<bool>(node.value);
  if (node.is_int()) return std::get<int64_t>(node.value) != 0;
  if (node.is_float()) return std::get<double>(node.value) != 0;
  if (node.is_string()) return !std::get<std::string>(node.value).empty();
  if (node.is_list()) return !node.list().empty();
  return node.is_map() && !node.map().empty();
}

Node negate(const Call& call) {
  return Node(!truth(call.arguments[0]), call.origin);
}

Node env(const Call& call) {
  const std::string name = python_str(call.arguments[0]);
  if (const char* value = std::getenv(name.c_str())) return Node(std::string(value), call.origin);
  if (call.arguments.size() < 2) fail(call, cat("the environment variable ", name, " is not set; set it"));
  if (call.arguments[1].is_null()) return call.arguments[1];
  return Node(python_str(call.arguments[1]), call.origin);
}

Node select(const Call& call) {
  bool found = false;
  const Node node = call.select(python_str(call.arguments[0]), found);
  if (found && !node.is_mandatory()) return node;
  return call.arguments.size() > 1 ? call.arguments[1] : Node(std::monostate{}, call.origin);
}

Node decode(const Call& call) {
  if (call.arguments[0].is_null()) return call.arguments[0];
  return read_yaml(python_str(call.arguments[0]), call.origin.text());
}

std::string python_repr(const Node& node) {
  if (!node.is_string()) return python_str(node);
  const auto& text = std::get<std::string>(node.value);
  const char quote = text.find('\'') != std::string::npos && text.find('"') == std::string::npos ? '"' : '\'';
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out + quote;
}

}  // namespace

const std::vector<Resolver>& resolvers() {
  static const std::vector<Resolver> table = {
      {"add", 2, 2, "a + b", add},
      {"sub", 2, 2, "a - b", sub},
      {"mul", 2, 2, "a * b", mul},
      {"div", 2, 2, "a / b, a float", div},
      {"idiv", 2, 2, "a / b, rounded down", idiv},
      {"calc_exp_lr_decay_rate", 2, 2, "factor^(1/n)", decay_rate},
      {"basename", 1, 1, "what follows the last / of a path", basename},
      {"rmspace", 2, 2, "the first with each space replaced by the second", rmspace},
      {"tuple2", 1, 1, "[x, x] as floats", tuple2},
      {"gt0", 1, 1, "x > 0", gt0},
      {"cmaxgt0", 1, 1, "whether a schedule is ever above 0", cmaxgt0},
      {"cmaxgt0orcmaxgt0", 2, 2, "whether one of two schedules is ever above 0", cmaxgt0_or},
      {"not", 1, 1, "true for false, 0, null and what is empty", negate},
      {"oc.env", 1, 2, "an environment variable, or the default", env},
      {"oc.select", 1, 2, "the value at a key, or the default", select},
      {"oc.decode", 1, 1, "a text read as YAML", decode},
  };
  return table;
}

Node run_resolver(const Call& call) {
  std::vector<std::string> names;
  for (const Resolver& resolver : resolvers()) {
    names.push_back(resolver.name);
    if (call.name != resolver.name) continue;
    const size_t n = call.arguments.size();
    if (n < resolver.min_arguments || n > resolver.max_arguments)
      fail(call,
           cat("has ", n, " arguments; expected ", resolver.min_arguments,
               resolver.max_arguments > resolver.min_arguments ? cat(" to ", resolver.max_arguments) : ""));
    return resolver.run(call);
  }
  throw UserError(cat(call.origin.text(), ": unknown resolver ", call.name,
                      end_or_suggestion(call.name, names), " docs/config.md lists them."));
}

std::string python_str(const Node& node) {
  if (node.is_null()) return "None";
  if (node.is_bool()) return std::get<bool>(node.value) ? "True" : "False";
  if (node.is_int()) return std::to_string(std::get<int64_t>(node.value));
  if (node.is_float()) return python_float_text(std::get<double>(node.value));
  if (node.is_string()) return std::get<std::string>(node.value);
  std::string out;
  if (node.is_list()) {
    for (const Node& item : node.list()) out += (out.empty() ? "" : ", ") + python_repr(item);
    return "[" + out + "]";
  }
  for (const auto& [key, value] : node.map())
    out += (out.empty() ? "" : ", ") + python_repr(Node(key)) + ": " + python_repr(value);
  return "{" + out + "}";
}

}  // namespace t3d::config
