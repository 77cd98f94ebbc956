#pragma once

#include <map>

#include "t3d/io/gltf/gltf_document.h"

namespace t3d::io::gltf {

/// Bytes that lie in a buffer.
struct Bytes {
  const uint8_t* data = nullptr;
  size_t size = 0;
};

/// The buffers of a document, each read when it is first asked for, and the views of them.
class Buffers {
 public:
  explicit Buffers(const Document& document) : document_(document) {}

  const Document& document() const { return document_; }
  /// The view that `index` names, decompressed where EXT_meshopt_compression says so. Throws UserError when
  /// it leaves its buffer.
  Bytes view(const Value& index);
  /// Distance between elements of that view in bytes; 0: they touch.
  size_t stride(const Value& index) const;

 private:
  Value entry(const Value& index) const;
  const std::string& buffer(const Value& index);
  /// Whether a buffer holds bytes; one that stands in for compressed data need not.
  bool has_data(const Value& index) const;
  /// byteOffset and byteLength of `place` in the buffer that it names.
  Bytes slice(const Value& place);

  const Document& document_;
  std::map<size_t, std::string> files_, decoded_;
  uint64_t n_decoded_ = 0;
};

/// Whether this build decompresses buffer views.
bool decodes_meshopt();

/// Decompresses a buffer view by the members of its EXT_meshopt_compression. Throws UserError.
std::string decode_meshopt(const Bytes& source, const Value& extension, uint64_t max_bytes);

}  // namespace t3d::io::gltf
