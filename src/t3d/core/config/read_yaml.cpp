#include "t3d/core/config/read_yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <fstream>
#include <map>
#include <sstream>

#include "t3d/core/config/scalar.h"
#include "t3d/core/error.h"
#include "t3d/core/file_kind.h"
#include "t3d/core/sentence.h"
#include "t3d/core/text.h"

namespace t3d::config {
namespace {

constexpr size_t kMaxYamlDepth = 64, kMaxYamlNodes = 1'000'000, kMaxYamlBytes = 16 << 20;

size_t count_nodes(const Node& node) {
  size_t n = 1;
  if (node.is_list())
    for (const Node& item : node.list()) n += count_nodes(item);
  if (node.is_map())
    for (const auto& entry : node.map()) n += count_nodes(entry.second);
  return n;
}

class Builder : public YAML::EventHandler {
 public:
  explicit Builder(std::string source) : source_(std::move(source)) {}

  Node root;

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(Node(std::monostate{}, at(mark)), anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto it = anchors_.find(anchor);
    if (it == anchors_.end()) fail(mark, "an alias stands inside of what it names; write the value out");
    add(it->second, 0, count_nodes(it->second));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    add(scalar(mark, tag, text), anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(Node(Node::List{}, at(mark)), mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(Node(Node::Map{}, at(mark)), mark, tag, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Level {
    Node node;
    YAML::anchor_t anchor;
    bool has_key = false;
    std::string key;
    Origin key_origin;
    Node::Map merged;  ///< what << brings in; the mapping's own keys win
  };

  Origin at(const YAML::Mark& mark) const { return {source_, mark.line + 1, mark.column + 1}; }

  [[noreturn]] void fail(const YAML::Mark& mark, const std::string& what) const {
    throw UserError(with_full_stop(cat(at(mark).text(), ": ", what)));
  }

  Node scalar(const YAML::Mark& mark, const std::string& tag, const std::string& text) const {
    const Origin origin = at(mark);
    const bool is_key = !levels_.empty() && levels_.back().node.is_map() && !levels_.back().has_key;
    if (is_key || tag == "!" || tag == "tag:yaml.org,2002:str") return Node(text, origin);
    Node node = typed_scalar(text, origin);
    if (tag.empty() || tag == "?") return node;
    if (tag == "tag:yaml.org,2002:float") {
      if (node.is_int()) node.value = static_cast<double>(std::get<int64_t>(node.value));
      if (node.is_float()) return node;
    }
    const std::map<std::string, bool> fits = {{"tag:yaml.org,2002:int", node.is_int()},
                                              {"tag:yaml.org,2002:bool", node.is_bool()},
                                              {"tag:yaml.org,2002:null", node.is_null()}};
    const auto it = fits.find(tag);
    if (it != fits.end() && it->second) return node;
    fail(mark, cat("the tag ", tag, " does not go with \"", text.substr(0, 60), "\"; leave the tag out"));
  }

  void open(Node node, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (!tag.empty() && tag != "?" && tag != "!" && tag != "tag:yaml.org,2002:map" &&
        tag != "tag:yaml.org,2002:seq")
      fail(mark, cat("the tag ", tag, " is not read; leave it out"));
    if (levels_.size() >= kMaxYamlDepth)
      fail(mark, cat("more than ", kMaxYamlDepth, " levels; flatten the file"));
    if (!levels_.empty() && levels_.back().node.is_map() && !levels_.back().has_key)
      fail(mark, "a list or mapping stands as a key; keys must be words");
    levels_.push_back({std::move(node), anchor, false, {}, {}, {}});
  }

  void close() {
    Level level = std::move(levels_.back());
    levels_.pop_back();
    for (auto& entry : level.merged)
      if (level.node.find(entry.first) == nullptr) level.node.map().push_back(std::move(entry));
    add(std::move(level.node), level.anchor);
  }

  void add(Node node, YAML::anchor_t anchor, size_t n_nodes = 1) {
    n_nodes_ += n_nodes;
    if (n_nodes_ > kMaxYamlNodes)
      throw UserError(
          cat(node.origin.text(), ": more than ", kMaxYamlNodes, " values; aliases unfold to too much."));
    if (anchor != 0) anchors_[anchor] = node;
    if (levels_.empty()) {
      root = std::move(node);
      return;
    }
    Level& level = levels_.back();
    if (level.node.is_list()) {
      level.node.list().push_back(std::move(node));
    } else if (!level.has_key) {
      if (!node.is_string())
        throw UserError(
            cat(node.origin.text(), ": ", node.kind_name(), " stands as a key; keys must be words."));
      level.key = std::get<std::string>(node.value);
      level.key_origin = node.origin;
      level.has_key = true;
    } else {
      level.has_key = false;
      enter(level, std::move(node));
    }
  }

  void enter(Level& level, Node node) {
    if (level.key == "<<") return merge(level, node);
    if (const Node* old = level.node.find(level.key))
      throw UserError(cat(level.key_origin.text(), ": the key ", level.key, " stands here again, first at ",
                          old->origin.text(), "; remove one."));
    level.node.map().emplace_back(level.key, std::move(node));
  }

  void merge(Level& level, const Node& node) {
    if (node.is_list()) {
      for (const Node& item : node.list()) merge(level, item);
    } else if (node.is_map()) {
      for (const auto& entry : node.map()) {
        bool is_new = true;
        for (const auto& known : level.merged) is_new = is_new && known.first != entry.first;
        if (is_new) level.merged.push_back(entry);
      }
    } else {
      throw UserError(cat(level.key_origin.text(), ": << takes a mapping, not ", node.kind_name(), "."));
    }
  }

  std::string source_;
  std::vector<Level> levels_;
  std::map<YAML::anchor_t, Node> anchors_;
  size_t n_nodes_ = 0;
};

}  // namespace

Node read_yaml(const std::string& text, const std::string& source) {
  if (text.size() > kMaxYamlBytes)
    throw UserError(cat(source, ": ", human_bytes(text.size()), " is no configuration; expected at most ",
                        human_bytes(kMaxYamlBytes), "."));
  std::istringstream in(text);
  Builder builder(source);
  try {
    YAML::Parser parser(in);
    parser.HandleNextDocument(builder);
    Builder second(source);
    if (parser.HandleNextDocument(second))
      throw UserError(cat(source, ": has more than one document; remove what follows the second \"---\"."));
  } catch (const YAML::Exception& e) {
    throw UserError(cat(source, ":", e.mark.line + 1, ":", e.mark.column + 1, ": not YAML: ", e.msg, "."));
  }
  return std::move(builder.root);
}

Node read_yaml_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf()))
    throw SystemError(cat(path, ": cannot be read", errno_text(), "; expected a YAML file."));
  if (text.tellp() > 0) refuse_placeholder(text.str(), path, "a configuration");
  return read_yaml(text.str(), path);
}

}  // namespace t3d::config
