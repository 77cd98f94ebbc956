#ifdef T3D_HAS_MESHOPTIMIZER
#include <meshoptimizer.h>
#endif

#include <algorithm>

#include "t3d/core/error.h"
#include "t3d/io/gltf/gltf_buffers.h"

namespace t3d::io::gltf {

#ifndef T3D_HAS_MESHOPTIMIZER

bool decodes_meshopt() {
  return false;
}

std::string decode_meshopt(const Bytes&, const Value& extension, uint64_t) {
  throw UserError(cat(extension.place(),
                      " is compressed, and this build cannot decompress it. Install "
                      "libmeshoptimizer-dev and build again, or export it without mesh compression."));
}

#else

bool decodes_meshopt() {
  return true;
}

namespace {

/// The decoders work on groups of four elements.
size_t padded(size_t count) {
  return (count + 3) / 4 * 4;
}

void filter(std::string& bytes, size_t count, size_t stride, const Value& extension) {
  const std::string name = extension["filter"].text_or("NONE");
  const auto needs = [&](bool fits) {
    if (!fits)
      extension.refuse(cat("has byteStride ", stride, ", which its filter ", name, " does not take"));
  };
  if (name == "OCTAHEDRAL") {
    needs(stride == 4 || stride == 8);
    meshopt_decodeFilterOct(bytes.data(), padded(count), stride);
  } else if (name == "QUATERNION") {
    needs(stride == 8);
    meshopt_decodeFilterQuat(bytes.data(), padded(count), stride);
  } else if (name == "EXPONENTIAL") {
    needs(stride % 4 == 0);
    meshopt_decodeFilterExp(bytes.data(), padded(count), stride);
  } else if (name != "NONE") {
    extension["filter"].refuse(cat("is ", name, ", expected NONE, OCTAHEDRAL, QUATERNION or EXPONENTIAL"));
  }
}

}  // namespace

std::string decode_meshopt(const Bytes& source, const Value& extension, uint64_t max_bytes) {
  const uint64_t stride = extension["byteStride"].whole(), count = extension["count"].whole();
  const std::string mode = extension["mode"].text();
  const bool is_attribute = mode == "ATTRIBUTES";
  if (!is_attribute && mode != "TRIANGLES" && mode != "INDICES")
    extension["mode"].refuse(cat("is ", mode, ", expected ATTRIBUTES, TRIANGLES or INDICES"));
  if (is_attribute ? stride == 0 || stride > 256 || stride % 4 != 0 : stride != 2 && stride != 4)
    extension["byteStride"].refuse(cat("is ", stride, ", which mode ", mode, " does not take"));
  if (mode == "TRIANGLES" && count % 3 != 0)
    extension["count"].refuse(cat("is ", count, ", expected a multiple of 3"));
  // No coder makes more than this of a byte, so that a broken count takes no memory.
  const uint64_t most = is_attribute ? (64 * source.size + 4096) / stride : 3 * source.size;
  if (count > std::min(most, max_bytes / stride))
    extension["count"].refuse(cat("is ", count, ", more than ", source.size, " compressed bytes can hold"));
  std::string bytes(padded(count) * stride, '\0');
  const int failure =
      is_attribute ? meshopt_decodeVertexBuffer(bytes.data(), count, stride, source.data, source.size)
      : mode == "TRIANGLES"
          ? meshopt_decodeIndexBuffer(bytes.data(), count, stride, source.data, source.size)
          : meshopt_decodeIndexSequence(bytes.data(), count, stride, source.data, source.size);
  if (failure != 0) extension.refuse("cannot be decompressed: its bytes are broken");
  if (is_attribute) filter(bytes, count, stride, extension);
  bytes.resize(count * stride);
  return bytes;
}

#endif

}  // namespace t3d::io::gltf
