#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace t3d {

/// What the first bytes of a file show it to be, where that is not what a reader hoped for: downloads that
/// failed, pointers, archives. `start` is the file's beginning, a few hundred bytes of it are enough. Gives
/// "a Git LFS pointer that stands for a file of 3.2 GiB", "a web page (\"Sign in\")", "a gzip archive", "a
/// PNG image"; "empty" for no bytes; an empty string for what is not recognised.
std::string file_kind(std::string_view start);

/// The same as sentences that end a reader's message: " It is a web page (\"Sign in\"), which ...; download
/// the file itself." An empty string for what is not recognised, and for the kinds among `own`, a reader's
/// own
/// ("zip", "json", ...).
std::string file_kind_hint(std::string_view start, std::string_view own = "");

/// Throws UserError "PATH: is a Git LFS pointer ..., not EXPECTED. ..." for a file that is recognised as no
/// content at all: empty, a pointer, a web page or a server's answer. For readers of texts, which could take
/// those for their own format. `expected` with its article: "a mesh".
void refuse_placeholder(std::string_view start, const std::string& path, const std::string& expected);

/// "an unfinished download" for a name that ends in .part, .crdownload, .aria2, .incomplete and the like;
/// otherwise an empty string.
std::string unfinished_download(std::string_view name);

}  // namespace t3d
