#include "t3d/io/gltf/gltf_document.h"

#include <cstring>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/json_text.h"
#include "t3d/io/resolve_path.h"
#include "t3d/io/uri.h"

namespace t3d::io::gltf {
namespace {

constexpr uint32_t kJsonChunk = 0x4e4f534a, kBinaryChunk = 0x004e4942;

uint32_t word_at(const std::string& bytes, size_t at) {
  uint32_t word = 0;
  std::memcpy(&word, bytes.data() + at, sizeof word);
  return word;
}

/// The JSON text of a GLB; its binary chunk goes to `document`.
std::string take_chunks(const std::string& bytes, Document& document) {
  const std::string& path = document.path;
  const auto cut = [&](const std::string& what) -> UserError {
    return UserError(cat(path, ": ", what, ". The file was cut off or is no GLB; export it again."));
  };
  if (bytes.size() < 20) throw cut(cat("has ", bytes.size(), " bytes, and a GLB at least 20"));
  const uint32_t version = word_at(bytes, 4);
  if (version != 2)
    throw UserError(
        cat(path, ": is a GLB of version ", version, ", and version 2 is read. Export it as glTF 2.0."));
  const uint64_t length = word_at(bytes, 8);
  if (length > bytes.size()) throw cut(cat("says that it has ", length, " bytes and has ", bytes.size()));
  std::string text;
  bool has_text = false;
  for (uint64_t at = 12; at + 8 <= length;) {
    const uint64_t size = word_at(bytes, at), begin = at + 8;
    const uint32_t kind = word_at(bytes, at + 4);
    if (size > length - begin)
      throw cut(cat("has a chunk of ", size, " bytes at byte ", at, " where ", length - begin, " are left"));
    if (kind == kJsonChunk && !has_text) {
      text = bytes.substr(begin, size);
      has_text = true;
    } else if (kind == kBinaryChunk && !document.has_binary) {
      document.binary = bytes.substr(begin, size);
      document.has_binary = true;
    }
    at = begin + size;
  }
  if (!has_text) throw cut("has no JSON chunk");
  return text;
}

}  // namespace

Document parse_document(std::string bytes, const std::string& path, const Limits& limits) {
  Document document;
  document.path = path;
  document.limits = limits;
  const bool is_binary = bytes.compare(0, 4, "glTF") == 0;
  std::string text = is_binary ? take_chunks(bytes, document) : std::move(bytes);
  bytes.clear();
  if (text.compare(0, 3, "\xEF\xBB\xBF") == 0) text.erase(0, 3);
  while (!text.empty() && (text.back() == '\0' || text.back() == ' '))
    text.pop_back();  // how chunks are filled up
  JsonLimits json_limits;
  json_limits.max_bytes = size_t{2} << 30;
  json_limits.max_depth = 256;
  document.json = parse_json(text, path, json_limits);
  const Value asset = document.root()["asset"];
  if (!asset.exists())
    throw UserError(cat(path, ": has no \"asset\", so it is JSON but no glTF. Name a glTF file."));
  const std::string version = asset["version"].text();
  if (version.compare(0, 2, "2.") != 0)
    throw UserError(cat(path, ": is glTF ", version, ", and glTF 2.0 is read. Export it as 2.0."));
  return document;
}

NamedBytes read_uri(const Document& document, const Value& uri) {
  const std::string text = uri.text();
  if (is_data_uri(text)) return {data_uri_bytes(text, uri.place()), uri.place()};
  if (text.compare(0, 7, "http://") == 0 || text.compare(0, 8, "https://") == 0)
    uri.refuse(cat("names ", text, ", and nothing is loaded from the network"));
  PathResolver paths({folder_of(document.path)});
  ResolvedPath file = paths.find(percent_decoded(text));
  if (!file) file = paths.find(text);  // a name may hold percent signs of its own
  if (!file) throw SystemError(cat(uri.place(), ": ", file.tried, ". Put it there."));
  paths.log_notes(document.path);
  return {read_whole_file(file.path, document.limits.max_file), file.path};
}

}  // namespace t3d::io::gltf
