#include "t3d/io/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/io/image_resize.h"
#include "tests/support/message_of.h"

namespace t3d::io {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

std::string scratch(const std::string& name) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / "t3d_image_test";
  std::filesystem::create_directories(folder);
  return (folder / name).string();
}

Image8 pattern(int width, int height, int channels) {
  Image8 image(width, height, channels);
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(i * 37 + i / 11);
  return image;
}

Image8 decode(const std::vector<uint8_t>& bytes, int channels = 0) {
  return decode_image(bytes.data(), bytes.size(), "x", channels);
}

TEST(Image, PngRoundTripsEveryChannelCount) {
  for (int channels = 1; channels <= 4; ++channels) {
    const Image8 image = pattern(13, 7, channels);
    const std::string path = scratch("a.png");
    write_png(path, image, ReadBack::Yes);
    const Image8 again = read_image(path);
    EXPECT_EQ(again.channels, channels);
    EXPECT_EQ(again.pixels, image.pixels);
    const ImageInfo info = read_image_info(path);
    EXPECT_EQ(info.width, 13);
    EXPECT_EQ(info.height, 7);
  }
}

TEST(Image, MissingAlphaBecomesOpaque) {
  const Image8 image = decode(encode_png(pattern(3, 2, 3)), 4);
  EXPECT_EQ(image.channels, 4);
  for (int x = 0; x < 3; ++x) EXPECT_EQ(image.at(x, 1)[3], 255);
}

TEST(Image, JpegIsCloseToItsSource) {
  Image8 image(32, 16, 3);
  for (int y = 0; y < 16; ++y)
    for (int x = 0; x < 32; ++x)
      for (int c = 0; c < 3; ++c) image.at(x, y)[c] = static_cast<uint8_t>(4 * x + y + 20 * c);
  const std::string path = scratch("a.jpg");
  write_jpeg(path, image);
  const Image8 again = read_image(path);
  ASSERT_EQ(again.pixels.size(), image.pixels.size());
  for (size_t i = 0; i < image.pixels.size(); ++i) EXPECT_NEAR(again.pixels[i], image.pixels[i], 8);
}

TEST(Image, FileCutAnywhereIsAnError) {
  for (const auto& bytes : {encode_png(pattern(20, 20, 4)), encode_jpeg(pattern(20, 20, 3))})
    for (size_t n = 0; n < bytes.size(); n += 1 + n / 40)
      EXPECT_THROW(decode_image(bytes.data(), n, "x"), UserError) << n << " of " << bytes.size();
}

TEST(Image, FlippedPngByteIsAnError) {
  const std::vector<uint8_t> bytes = encode_png(pattern(20, 20, 3));
  for (size_t i = 0; i < bytes.size(); i += 3) {
    std::vector<uint8_t> broken = bytes;
    broken[i] ^= 0x10;
    EXPECT_THROW(decode(broken), UserError) << "byte " << i;
  }
}

TEST(Image, HuffmanTableWithTooManySymbolsIsRefused) {
  std::vector<uint8_t> bytes = encode_jpeg(pattern(20, 20, 3));
  const uint8_t table[] = {0xff, 0xc4};
  const auto at = std::search(bytes.begin(), bytes.end(), table, table + 2);
  ASSERT_NE(at, bytes.end());
  std::fill(at + 5, at + 21, uint8_t{255});
  EXPECT_THAT(message_of([&] { decode(bytes); }), HasSubstr("Huffman tables are damaged"));
}

TEST(Image, WidthOf100000IsRefusedByTheHeader) {
  std::vector<uint8_t> bytes = encode_png(pattern(4, 4, 3));
  bytes[16] = 0, bytes[17] = 1, bytes[18] = 0x86, bytes[19] = 0xa0;
  const std::string path = scratch("wide.png");
  write_file_atomically(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  const std::string message = message_of([&] { read_image_info(path); });
  EXPECT_THAT(message, HasSubstr("100000x4"));
  EXPECT_THAT(message, HasSubstr("wide.png"));
}

TEST(Image, DecodedBytesAreLimited) {
  const auto bytes = encode_png(pattern(40, 40, 3));
  ImageLimits limits;
  limits.max_bytes = 4000;
  EXPECT_THAT(message_of([&] { decode_image(bytes.data(), bytes.size(), "big.png", 0, limits); }),
              HasSubstr("big.png: the image is 40x40 pixels"));
}

TEST(Image, OtherFormatsAndMissingFilesAreExplained) {
  const uint8_t heif[] = "----ftypheic----";
  EXPECT_THAT(message_of([&] { decode_image(heif, sizeof heif, "a.heic"); }),
              HasSubstr("readable are PNG, JPEG"));
  EXPECT_THROW(read_image(scratch("absent.png")), SystemError);
}

TEST(Image, WritingIntoAMissingDeviceFails) {
  EXPECT_THROW(write_png("/proc/t3d_no_such_folder/a.png", pattern(2, 2, 3)), SystemError);
}

TEST(Image, ConversionsRoundAndClamp) {
  ImageF image(4, 1, 1);
  image.pixels = {-1.0f, 0.5f, 2.0f, NAN};
  EXPECT_EQ(to_8bit(image).pixels, (std::vector<uint8_t>{0, 128, 255, 0}));
  EXPECT_FLOAT_EQ(to_float(to_8bit(image)).pixels[2], 1.0f);
}

TEST(Resize, AreaKeepsTheMean) {
  ImageF image(7, 5, 1);
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<float>((i * 7) % 13);
  const ImageF small = resize_area(image, 3, 2);
  double before = 0, after = 0;
  for (const float v : image.pixels) before += v / 35.0;
  for (const float v : small.pixels) after += v / 6.0;
  EXPECT_NEAR(before, after, 1e-5);
}

TEST(Resize, TransparentColourDoesNotBleed) {
  Image8 image(2, 1, 4);
  image.pixels = {200, 100, 50, 255, 0, 255, 0, 0};
  EXPECT_EQ(resize_area(image, 1, 1).pixels, (std::vector<uint8_t>{200, 100, 50, 128}));
}

TEST(Resize, BilinearReproducesALinearRamp) {
  ImageF image(8, 1, 1);
  for (int x = 0; x < 8; ++x) image.pixels[static_cast<size_t>(x)] = static_cast<float>(x);
  const ImageF out = resize_bilinear(image, 16, 3);
  for (int x = 1; x < 15; ++x) EXPECT_NEAR(out.at(x, 2)[0], 0.5f * x - 0.25f, 1e-5);
}

}  // namespace
}  // namespace t3d::io
