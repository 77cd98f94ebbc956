#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "t3d/io/gltf/gltf_value.h"
#include "t3d/io/image.h"

namespace t3d::io::gltf {

/// What a file may ask of us. Sizes are checked before memory is taken.
struct Limits {
  uint64_t max_corners = uint64_t{1} << 28;  // triangle corners of all instances together
  uint64_t max_zeros = uint64_t{1} << 22;    // elements of an accessor that has no data
  uint64_t max_nodes = uint64_t{1} << 24;    // instances included
  uint64_t max_decoded = uint64_t{4} << 30;  // bytes that compressed buffer views become
  uint64_t max_file = uint64_t{16} << 30;    // bytes of one file
  ImageLimits images;
};

/// A glTF 2.0 file: its JSON, and the binary chunk of a GLB.
struct Document {
  std::string path;  // for messages, and for the files beside it
  Json json;
  std::string binary;
  bool has_binary = false;
  Limits limits;

  Value root() const { return {&json, path + ": "}; }
};

/// Takes a GLB's chunks apart or parses a text, and checks that it is glTF 2. Throws UserError.
Document parse_document(std::string bytes, const std::string& path, const Limits& limits = {});

/// Refuses a file that requires an extension which is not read, naming it, and warns once about each
/// extension in use that changes how a surface looks and is not read. Throws UserError.
void check_extensions(const Document& document);

/// What a buffer's or an image's `uri` names.
struct NamedBytes {
  std::string bytes;
  std::string name;  // for messages: the file, or the place of a data: URI
};

/// Reads a data: URI, or a file beside the glTF: its name is percent-decoded, and found as all names inside
/// files (io/resolve_path.h). Throws UserError, SystemError when there is no such file.
NamedBytes read_uri(const Document& document, const Value& uri);

}  // namespace t3d::io::gltf
