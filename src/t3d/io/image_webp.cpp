#ifdef T3D_HAS_WEBP
#include <webp/decode.h>
#include <webp/demux.h>
#endif

#include <memory>

#include "t3d/core/error.h"
#include "t3d/io/image_libraries.h"

namespace t3d::io {

#ifndef T3D_HAS_WEBP

LibraryImageInfo webp_info(const EncodedImage& file) {
  throw UserError(cat(file.name,
                      ": this is a WebP image, and this build has no libwebp. Install libwebp-dev and "
                      "build again, or convert it to PNG."));
}
Image8 decode_webp(const EncodedImage& file) {
  webp_info(file);
  return {};
}

#else

namespace {

WebPBitstreamFeatures features_of(const EncodedImage& file) {
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(file.bytes, file.n, &features) != VP8_STATUS_OK)
    throw UserError(cat(file.name, ": this WebP image is damaged or cut short. Copy it again."));
  return features;
}

[[noreturn]] void throw_broken(const EncodedImage& file) {
  throw UserError(
      cat(file.name, ": this WebP image cannot be decoded; it is damaged or cut short. Copy it again."));
}

Image8 first_frame(const EncodedImage& file) {
  const WebPData data = {file.bytes, file.n};
  WebPAnimDecoderOptions options;
  WebPAnimDecoderOptionsInit(&options);
  options.color_mode = MODE_RGBA;
  const std::unique_ptr<WebPAnimDecoder, void (*)(WebPAnimDecoder*)> decoder(
      WebPAnimDecoderNew(&data, &options), WebPAnimDecoderDelete);
  uint8_t* pixels = nullptr;
  int time = 0;
  WebPAnimInfo info;
  if (decoder == nullptr || WebPAnimDecoderGetInfo(decoder.get(), &info) == 0 ||
      WebPAnimDecoderGetNext(decoder.get(), &pixels, &time) == 0)
    throw_broken(file);
  Image8 image(static_cast<int>(info.canvas_width), static_cast<int>(info.canvas_height), 4);
  image.pixels.assign(pixels, pixels + image.pixels.size());
  return image;
}

}  // namespace

LibraryImageInfo webp_info(const EncodedImage& file) {
  const WebPBitstreamFeatures features = features_of(file);
  LibraryImageInfo result;
  result.has_more = features.has_animation != 0;
  result.info.width = features.width;
  result.info.height = features.height;
  result.info.channels = features.has_alpha != 0 || result.has_more ? 4 : 3;
  return result;
}

Image8 decode_webp(const EncodedImage& file) {
  const LibraryImageInfo header = webp_info(file);
  if (header.has_more) return first_frame(file);
  Image8 image(header.info.width, header.info.height, header.info.channels);
  const auto decode = image.channels == 4 ? WebPDecodeRGBAInto : WebPDecodeRGBInto;
  if (decode(file.bytes, file.n, image.pixels.data(), image.pixels.size(), image.width * image.channels) ==
      nullptr)
    throw_broken(file);
  return image;
}

#endif

}  // namespace t3d::io
