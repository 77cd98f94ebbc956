#include "t3d/io/gltf/gltf_image.h"

#include "t3d/core/error.h"

namespace t3d::io::gltf {
namespace {

/// A kind of image that is not decoded, by its first bytes; empty for all others.
std::string foreign_kind(const Bytes& bytes) {
  const std::string head(reinterpret_cast<const char*>(bytes.data), std::min<size_t>(bytes.size, 16));
  if (head.compare(0, 6, "\xABKTX 2") == 0 || head.compare(0, 6, "\xABKTX 1") == 0) return "KTX";
  if (head.compare(0, 4, "DDS ") == 0) return "DDS";
  if (head.size() >= 12 && head.compare(4, 8, "ftypavif") == 0) return "AVIF";
  return "";
}

}  // namespace

size_t image_index(const Value& texture, size_t n_images) {
  if (texture["source"].exists()) return texture["source"].index(n_images);
  const Value webp = texture.extension("EXT_texture_webp")["source"];
  if (webp.exists()) return webp.index(n_images);
  for (const char* name : {"KHR_texture_basisu", "EXT_texture_avif", "MSFT_texture_dds"})
    if (texture.extension(name).exists())
      throw UserError(
          cat(texture.place(), " has an image of ", name,
              " alone, which is not read. Export it with PNG or JPEG textures, or pass --no-textures."));
  texture.refuse("has no source");
}

Image8 read_gltf_image(Buffers& buffers, const Value& image) {
  const Value uri = image["uri"];
  NamedBytes held;
  held.name = image.place();
  Bytes bytes;
  if (uri.exists()) {
    held = read_uri(buffers.document(), uri);
    bytes = {reinterpret_cast<const uint8_t*>(held.bytes.data()), held.bytes.size()};
  } else {
    bytes = buffers.view(image["bufferView"]);
  }
  const std::string kind = foreign_kind(bytes);
  if (!kind.empty())
    throw UserError(
        cat(held.name, ": is a ", kind,
            " image, which is not read. Export it with PNG or JPEG textures, or pass --no-textures."));
  return decode_image(bytes.data, bytes.size, held.name, 4, buffers.document().limits.images);
}

}  // namespace t3d::io::gltf
