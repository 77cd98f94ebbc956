#include "t3d/io/gltf/gltf_buffers.h"

#include "t3d/core/error.h"

namespace t3d::io::gltf {

Value Buffers::entry(const Value& index) const {
  const Value views = document_.root()["bufferViews"];
  return views[index.index(views.size())];
}

const std::string& Buffers::buffer(const Value& index) {
  const Value buffers = document_.root()["buffers"];
  const size_t i = index.index(buffers.size());
  const auto known = files_.find(i);
  if (known != files_.end()) return known->second;
  const Value uri = buffers[i]["uri"];
  if (!uri.exists() && i == 0 && document_.has_binary) return document_.binary;
  if (!uri.exists()) buffers[i].refuse("has no uri, and the file has no binary chunk for it");
  return files_[i] = read_uri(document_, uri).bytes;
}

bool Buffers::has_data(const Value& index) const {
  const Value buffers = document_.root()["buffers"];
  const size_t i = index.index(buffers.size());
  return buffers[i]["uri"].exists() || (i == 0 && document_.has_binary);
}

Bytes Buffers::slice(const Value& place) {
  const std::string& bytes = buffer(place["buffer"]);
  const uint64_t offset = place["byteOffset"].whole_or(0), length = place["byteLength"].whole();
  if (offset > bytes.size() || length > bytes.size() - offset)
    place.refuse(cat("ends at byte ", offset, " + ", length, " of a buffer that has ", bytes.size()));
  return {reinterpret_cast<const uint8_t*>(bytes.data()) + offset, static_cast<size_t>(length)};
}

Bytes Buffers::view(const Value& index) {
  const Value place = entry(index);
  const Value compression = place.extension("EXT_meshopt_compression");
  // Files for all readers also hold the data as they are.
  if (!compression.exists() || (!decodes_meshopt() && has_data(place["buffer"]))) return slice(place);
  const size_t i = index.index(document_.root()["bufferViews"].size());
  auto known = decoded_.find(i);
  if (known == decoded_.end()) {
    std::string bytes =
        decode_meshopt(slice(compression), compression, document_.limits.max_decoded - n_decoded_);
    n_decoded_ += bytes.size();
    known = decoded_.emplace(i, std::move(bytes)).first;
  }
  return {reinterpret_cast<const uint8_t*>(known->second.data()), known->second.size()};
}

size_t Buffers::stride(const Value& index) const {
  const Value place = entry(index);
  const Value compression = place.extension("EXT_meshopt_compression");
  const Value stride =
      compression.exists() && decodes_meshopt() ? compression["byteStride"] : place["byteStride"];
  const uint64_t bytes = stride.whole_or(0);
  if (bytes > 65536) stride.refuse(cat("is ", bytes, ", expected at most 252"));
  return static_cast<size_t>(bytes);
}

}  // namespace t3d::io::gltf
