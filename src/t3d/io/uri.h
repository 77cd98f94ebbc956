#pragma once

#include <string>
#include <string_view>

namespace t3d::io {

/// Whether the text is a data: URI (RFC 2397), whatever the letters' case.
bool is_data_uri(std::string_view uri);

/// The bytes of a data: URI, base64 or percent-encoded; blanks and line ends in base64 are skipped. Throws
/// UserError that starts with `place` when it has no comma or its base64 is broken.
std::string data_uri_bytes(std::string_view uri, const std::string& place);

}  // namespace t3d::io
