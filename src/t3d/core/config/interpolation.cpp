#include "t3d/core/config/interpolation.h"

#include <algorithm>
#include <cctype>
#include <map>

#include "t3d/core/config/paths.h"
#include "t3d/core/config/resolvers.h"
#include "t3d/core/config/scalar.h"
#include "t3d/core/error.h"
#include "t3d/core/sentence.h"
#include "t3d/core/text.h"

namespace t3d::config {
namespace {

using Path = std::vector<std::string>;

constexpr int kMaxDepth = 128;
constexpr size_t kMaxNodes = 1'000'000, kMaxText = 1 << 20;

class Resolution {
 public:
  explicit Resolution(const Node& root) : root_(root) {}

  /// The node, which stands at `path`, with everything below it resolved.
  Node value(const Node& node, const Path& path) {
    if (++n_nodes_ > kMaxNodes) fail(node.origin, cat("interpolations grow beyond ", kMaxNodes, " values"));
    if (node.is_string()) return text_value(node, path);
    Node out = node;
    Path child = path;
    child.emplace_back();
    if (out.is_map()) {
      for (auto& [key, item] : out.map()) {
        child.back() = key;
        item = value(item, child);
      }
    } else if (out.is_list()) {
      for (size_t i = 0; i < out.list().size(); ++i) {
        child.back() = std::to_string(i);
        out.list()[i] = value(out.list()[i], child);
      }
    }
    return out;
  }

 private:
  struct Text {
    const std::string& text;
    const Origin& origin;
    const Path& path;  ///< where the text stands
    size_t at = 0;

    bool done() const { return at >= text.size(); }
    bool starts(const char* with) const {
      return text.compare(at, std::char_traits<char>::length(with), with) == 0;
    }
  };

  [[noreturn]] static void fail(const Origin& origin, const std::string& what) {
    throw UserError(with_full_stop(cat(origin.text(), ": ", what)));
  }

  Node text_value(const Node& node, const Path& path) {
    const auto& text = std::get<std::string>(node.value);
    if (text.find("${") == std::string::npos) return node;
    const auto known = done_.find(path);
    if (known != done_.end()) return known->second;
    if (std::find(open_.begin(), open_.end(), path) != open_.end())
      fail(node.origin, cat("the interpolations of ", path_text(open_.back()), " and ", path_text(path),
                            " lead in a circle"));
    if (open_.size() >= kMaxDepth) fail(node.origin, "interpolations lead over too many values");
    open_.push_back(path);
    Text in{text, node.origin, path};
    Node result = mixed(in, "");
    open_.pop_back();
    return done_[path] = result;
  }

  /// Text with interpolations up to the end or to one of the characters of `until`. Exactly one interpolation
  /// and nothing else keeps its type.
  Node mixed(Text& in, const std::string& until) {
    std::string out;
    Node only;
    int n_parts = 0;
    while (!in.done() && until.find(in.text[in.at]) == std::string::npos) {
      if (in.starts("\\${")) {
        out += "${";
        in.at += 3;
        n_parts = 2;
      } else if (in.starts("${")) {
        only = interpolation(in);
        out += python_str(only);
        ++n_parts;
      } else {
        out += in.text[in.at++];
        n_parts = 2;
      }
      if (out.size() > kMaxText) fail(in.origin, cat("interpolations grow beyond ", human_bytes(kMaxText)));
    }
    return n_parts == 1 ? only : Node(std::move(out), in.origin);
  }

  /// At "${".
  Node interpolation(Text& in) {
    if (++depth_ > kMaxDepth) fail(in.origin, "interpolations are nested too deeply");
    in.at += 2;
    const std::string head = std::get<std::string>(as_text(mixed(in, ":}"), in.origin).value);
    if (in.done()) fail(in.origin, cat("\"", in.text.substr(0, 80), "\" has a ${ without its }"));
    Node result;
    if (in.text[in.at] == ':') {
      ++in.at;
      result = call(in, trimmed(head));
    } else {
      result = reference(in, trimmed(head));
    }
    ++in.at;  // the }
    --depth_;
    return result;
  }

  static Node as_text(const Node& node, const Origin& origin) { return Node(python_str(node), origin); }

  static std::string trimmed(const std::string& text) {
    const size_t from = text.find_first_not_of(" \t"), to = text.find_last_not_of(" \t");
    return from == std::string::npos ? "" : text.substr(from, to - from + 1);
  }

  Node reference(const Text& in, const std::string& key) {
    const size_t dots = std::min(key.find_first_not_of('.'), key.size());
    Path path;
    if (dots > 0) {
      if (in.path.size() < dots) fail(in.origin, cat("${", key, "} leads above the top of the file"));
      path.assign(in.path.begin(), in.path.end() - static_cast<int64_t>(dots));
    }
    for (auto& part : split_path(key.substr(dots))) path.push_back(std::move(part));
    if (path.empty()) fail(in.origin, "${} names no key");
    std::string missing;
    const Node result = lookup(path, missing);
    if (!missing.empty()) fail(in.origin, cat("${", key, "}: ", missing));
    if (result.is_mandatory())
      fail(in.origin, cat("${", key, "} needs ", path_text(path), ", which must be given: add ",
                          path_text(path), "=..."));
    return result;
  }

  /// `missing` says what was not found, or stays empty.
  Node lookup(const Path& path, std::string& missing) {
    Node holder;  // what an interpolation on the way stands for
    const Node* node = &root_;
    Path walked;
    for (const auto& key : path) {
      if (node->is_string() && std::get<std::string>(node->value).find("${") != std::string::npos) {
        Node resolved = value(*node, walked);
        holder = std::move(resolved);
        node = &holder;
      }
      const Node* next = child_of(*node, key);
      if (next == nullptr) {
        missing = cat("there is no ", key, " in ", walked.empty() ? "the file" : path_text(walked),
                      near(*node, key));
        return {};
      }
      walked.push_back(key);
      if (node == &holder) {
        Node copy = *next;
        holder = std::move(copy);
        node = &holder;
      } else {
        node = next;
      }
    }
    return node == &holder ? holder : value(*node, walked);
  }

  static std::string near(const Node& node, const std::string& key) {
    std::vector<std::string> known;
    if (node.is_map())
      for (const auto& entry : node.map()) known.push_back(entry.first);
    return did_you_mean(key, known);
  }

  /// After "${name:"; stops at the "}".
  Node call(Text& in, const std::string& name) {
    Call call;
    call.name = name;
    call.origin = in.origin;
    call.select = [this](const std::string& path, bool& found) {
      std::string missing;
      Node node = lookup(split_path(path), missing);
      found = missing.empty();
      return node;
    };
    skip_space(in);
    if (!in.done() && in.text[in.at] != '}') call.arguments = elements(in, '}');
    if (in.done()) fail(in.origin, cat("\"", in.text.substr(0, 80), "\" has a ${ without its }"));
    return run_resolver(call);
  }

  static void skip_space(Text& in) {
    while (!in.done() && (in.text[in.at] == ' ' || in.text[in.at] == '\t')) ++in.at;
  }

  /// Up to `close`, which stays.
  Node::List elements(Text& in, char close) {
    Node::List list;
    for (;;) {
      list.push_back(element(in, close));
      if (in.done() || in.text[in.at] != ',') return list;
      ++in.at;
    }
  }

  Node element(Text& in, char close) {
    skip_space(in);
    if (in.done()) return Node(std::string(), in.origin);
    const char first = in.text[in.at];
    Node result;
    if (first == '\'' || first == '"') {
      ++in.at;
      result = quoted(in, first);
    } else if (first == '[') {
      if (++depth_ > kMaxDepth) fail(in.origin, "lists are nested too deeply");
      ++in.at;
      skip_space(in);
      Node::List list;
      if (!in.done() && in.text[in.at] != ']') list = elements(in, ']');
      if (in.done()) fail(in.origin, "a list has no ]");
      ++in.at;
      --depth_;
      result = Node(std::move(list), in.origin);
    } else {
      return unquoted(in, close);
    }
    skip_space(in);
    if (!in.done() && in.text[in.at] != ',' && in.text[in.at] != close)
      fail(in.origin,
           cat("\"", in.text.substr(in.at, 20), "\" follows an argument; expected a comma or ", close));
    return result;
  }

  Node quoted(Text& in, char quote) {
    std::string out;
    while (!in.done() && in.text[in.at] != quote) {
      if (in.text[in.at] == '\\' && in.at + 1 < in.text.size() &&
          (in.text[in.at + 1] == quote || in.text[in.at + 1] == '\\')) {
        out += in.text[in.at + 1];
        in.at += 2;
      } else if (in.starts("${")) {
        out += python_str(interpolation(in));
      } else {
        out += in.text[in.at++];
      }
    }
    if (in.done()) fail(in.origin, cat("a quote ", quote, " is not closed"));
    ++in.at;
    return Node(std::move(out), in.origin);
  }

  /// An int, float, bool or null in OmegaConf's spelling, otherwise text; one interpolation keeps its type.
  Node unquoted(Text& in, char close) {
    const size_t from = in.at;
    Node node = mixed(in, std::string(",") + close);
    const std::string written = trimmed(in.text.substr(from, in.at - from));
    if (written.find("${") != std::string::npos) {
      const bool only = written[0] == '$' && written.back() == '}';
      return only || !node.is_string() ? node : Node(trimmed(std::get<std::string>(node.value)), in.origin);
    }
    std::string lower = written;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    if (lower == "true" || lower == "false") return Node(lower == "true", in.origin);
    if (lower == "null") return Node(std::monostate{}, in.origin);
    const Node typed = typed_scalar(written, in.origin);
    const bool decimal = written.find_first_of(":xb") == std::string::npos;
    if (decimal && (typed.is_int() || typed.is_float())) return typed;
    return Node(written, in.origin);
  }

  const Node& root_;
  std::map<Path, Node> done_;
  std::vector<Path> open_;
  size_t n_nodes_ = 0;
  int depth_ = 0;
};

}  // namespace

void resolve_interpolations(Node& root) {
  const Node original = root;
  root = Resolution(original).value(original, {});
}

}  // namespace t3d::config
