#pragma once

#include <string>

#include "t3d/core/config/node.h"

namespace t3d::config {

/// The one document of a YAML text, with the types of typed_scalar for unquoted scalars; quoted ones are
/// strings. Anchors, aliases and the merge key `<<` work; a mapping's keys are kept as they are written.
/// `source` names the text in messages and origins. An empty text is null.
///
/// Throws UserError, with source:line:column, for text that is not YAML, duplicate keys, unknown tags, keys
/// that are no scalars, more than one document, more than 64 levels, and aliases that unfold to over a
/// million values.
Node read_yaml(const std::string& text, const std::string& source);

/// Throws SystemError when the file cannot be read, and as read_yaml does.
Node read_yaml_file(const std::string& path);

}  // namespace t3d::config
