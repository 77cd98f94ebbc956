#pragma once

#include <string_view>
#include <vector>

namespace t3d::data {

/// What becomes of a key of a transforms JSON file.
enum class KeyUse {
  Used,      // read
  Harmless,  // changes nothing that is computed here
  Noted,     // changes what other programs train, not what the file means: said once, then ignored
  Refused,   // changes what the file means and is not supported: an error, unless it is null, false or 0
};

/// One key that programs write; `what` completes "`key`: ..." on the page docs/formats.md.
struct TransformsKey {
  const char* name;
  const char* writers;
  KeyUse use;
  const char* what;
  const char* example;  // a value, as JSON
};

/// Every key that is known, in the order of the page. A key that is not listed is named once and ignored.
const std::vector<TransformsKey>& transforms_keys();

/// nullptr for an unknown key.
const TransformsKey* find_transforms_key(std::string_view name);

}  // namespace t3d::data
