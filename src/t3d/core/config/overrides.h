#pragma once

#include <functional>
#include <string>
#include <vector>

#include "t3d/core/config/fields.h"
#include "t3d/core/config/node.h"
#include "t3d/core/config/struct_io.h"

namespace t3d::config {

/// `from` over `into`: mappings merge key by key, lists and scalars are replaced as a whole.
void merge(Node& into, const Node& from);

/// How an override's right side is read.
enum class KeyKind {
  Yaml,        ///< as YAML: numbers, lists, blocks
  Text,        ///< as written: a prompt may hold ": ", " #", brackets, or be "yes"
  TextOrNull,  ///< the same; "null", "~" and nothing at all are null
};

/// Which of them a key is, in a configuration that holds what was given so far.
using KeyKinds = std::function<KeyKind(const Node& root, const std::string& path)>;

/// Those of a described struct: "str" is text, "str|null" text or null, in nested blocks too.
KeyKind kind_of(const std::vector<FieldInfo>& fields, const std::string& path);
template <class T>
KeyKinds kinds_of() {
  return [fields = describe<T>()](const Node&, const std::string& path) { return kind_of(fields, path); };
}

/// "system.loss.lambda_sds=1.": what stands right of the first "=" is read as `kinds` say, YAML without them;
/// "a" and "a=" are null, "a=" of a text key an empty text. Text that stands in one pair of quotes loses
/// them, as in YAML; interpolations in it are resolved as in a file. Missing mappings are made. Throws
/// UserError for an empty key or a right side that is not YAML.
void apply_override(Node& root, const std::string& text, const KeyKinds& kinds = {});

}  // namespace t3d::config
