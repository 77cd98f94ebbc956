#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

/// The only place that stb's decoders and encoders are compiled into, restricted to PNG, JPEG, BMP, GIF (its
/// first frame) and TGA.
namespace t3d::io::stb {

/// Size and channels by the header; false when it is none of them (then `reason` says why).
bool info(const uint8_t* bytes, size_t n_bytes, int* width, int* height, int* channels, std::string* reason);
/// Pixels with `channels` per pixel (0: the file's own); empty on failure.
std::vector<uint8_t> decode(const uint8_t* bytes, size_t n_bytes, int channels, int* width, int* height,
                            int* file_channels, std::string* reason);
/// Empty on failure.
std::vector<uint8_t> encode_png(const uint8_t* pixels, int width, int height, int channels);
std::vector<uint8_t> encode_jpeg(const uint8_t* pixels, int width, int height, int channels, int quality);

}  // namespace t3d::io::stb
