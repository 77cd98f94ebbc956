#include "t3d/io/image_hdr.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "tests/support/golden_cases.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace t3d::io {
namespace {

using ::testing::HasSubstr;

std::string header(int width, int height) {
  return cat("#?RADIANCE\n# a comment\nEXPOSURE=4\nFORMAT=32-bit_rle_rgbe\n\n-Y ", height, " +X ", width,
             "\n");
}

ImageF decode(const std::string& bytes) {
  return decode_hdr(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), "test.hdr");
}

std::string message(const std::string& bytes) {
  return testing::message_of<UserError>([&] { decode(bytes); });
}

/// A pixel of exponent 129 holds its mantissas / 128.
std::string pixel(int r, int g, int b, int e = 129) {
  return {static_cast<char>(r), static_cast<char>(g), static_cast<char>(b), static_cast<char>(e)};
}

TEST(HdrPicture, MantissasAreScaledByTheSharedExponent) {
  const ImageF image = decode(header(2, 1) + pixel(128, 64, 0) + pixel(255, 1, 2, 140));
  ASSERT_EQ(image.pixels.size(), 6u);
  EXPECT_FLOAT_EQ(image.at(0, 0)[0], 1);
  EXPECT_FLOAT_EQ(image.at(0, 0)[1], 0.5f);
  EXPECT_FLOAT_EQ(image.at(1, 0)[0], 255 * 16);
  EXPECT_EQ(decode(header(1, 1) + pixel(9, 9, 9, 0)).at(0, 0)[1], 0) << "exponent 0 is black";
}

TEST(HdrPicture, OldRunLengthsRepeatThePixelBefore) {
  const ImageF image =
      decode(header(300, 1) + pixel(10, 20, 30) + pixel(1, 1, 1, 42) + pixel(1, 1, 1, 1) + pixel(7, 7, 7));
  EXPECT_FLOAT_EQ(image.at(298, 0)[2], 30.0f / 128);  // 1 + 42 + 256 of them
  EXPECT_FLOAT_EQ(image.at(299, 0)[2], 7.0f / 128);
}

TEST(HdrPicture, NewRunLengthsGoChannelByChannel) {
  std::string row = pixel(2, 2, 0, 10);
  row += std::string("\x8a\x40", 2);                               // red: 10 times 64
  row += std::string("\x04\x01\x02\x03\x04\x86\x09", 7);           // green: 4 as they are, 6 times 9
  row += std::string("\x8a\x80", 2) + std::string("\x8a\x81", 2);  // blue, exponent
  const ImageF image = decode(header(10, 2) + row + row);
  EXPECT_FLOAT_EQ(image.at(9, 1)[0], 0.5f);
  EXPECT_FLOAT_EQ(image.at(2, 1)[1], 3.0f / 128);
  EXPECT_FLOAT_EQ(image.at(4, 0)[1], 9.0f / 128);
  EXPECT_FLOAT_EQ(image.at(0, 0)[2], 1);
}

TEST(HdrPicture, BrokenFilesAreExplained) {
  const std::string whole = header(2, 2) + pixel(1, 2, 3) + pixel(1, 2, 3) + pixel(1, 2, 3) + pixel(1, 2, 3);
  for (size_t n = 0; n < whole.size(); ++n)
    EXPECT_THAT(message(whole.substr(0, n)), HasSubstr("test.hdr: ")) << n;
  EXPECT_EQ(message(whole), "");
  EXPECT_THAT(message(header(2, 2) + pixel(1, 2, 3)), HasSubstr("row 0 of the 2x2 pixels is cut short"));
  EXPECT_THAT(message(header(2, 2) + pixel(1, 1, 1, 5)), HasSubstr("a run that goes beyond it"));
  EXPECT_THAT(message(header(10, 1) + pixel(2, 2, 0, 11)), HasSubstr("has 11 of them"));
  EXPECT_THAT(message(header(10, 1) + pixel(2, 2, 0, 10) + "\x8b\x01"), HasSubstr("beyond its end"));
  EXPECT_THAT(message("#?RGBE\nFORMAT=32-bit_rle_xyze\n\n-Y 1 +X 1\n...."), HasSubstr("32-bit_rle_xyze"));
  EXPECT_THAT(message("#?RGBE\n\n+Y 1 +X 1\n...."), HasSubstr("\"+Y 1 +X 1\""));
  EXPECT_THAT(message("#?RGBE\n\n-Y 1 +X 1 \n...."), HasSubstr("was expected"));
  EXPECT_THAT(message(header(99999, 1)), HasSubstr("at most 32768 a side"));
  EXPECT_THAT(message(header(30000, 30000)), HasSubstr("1.0 GiB"));
  EXPECT_THAT(message("\x76\x2f\x31\x01...."), HasSubstr("this is an OpenEXR image; a light is read from"));
  EXPECT_THAT(message("hello"), HasSubstr("no Radiance picture"));
  EXPECT_THAT(message(""), HasSubstr("is empty"));
}

TEST(HdrPicture, IsReadFromAFile) {
  const testing::TemporaryFolder folder;
  const std::string path = folder / "sky.hdr";
  write_file_atomically(path, header(1, 1) + pixel(128, 128, 128));
  EXPECT_FLOAT_EQ(read_hdr(path).at(0, 0)[0], 1);
  EXPECT_THROW(read_hdr(folder / "none.hdr"), SystemError);
}

TEST(GoldenHdrPicture, DecodesAsRecorded) {
  const char* const kCases = "materials/cases_pbr.safetensors";
  T3D_NEED_FILE(testing::golden_path(kCases));
  const at::Tensor expected = testing::GoldenCases(kCases).as_float("latlong").contiguous();  // [H,W,3]
  const ImageF image = read_hdr(testing::golden_path("materials/tiny.hdr"));
  ASSERT_EQ(expected.sizes(), at::IntArrayRef({image.height, image.width, 3}));
  for (size_t i = 0; i < image.pixels.size(); ++i) EXPECT_EQ(image.pixels[i], expected.data_ptr<float>()[i]);
}

}  // namespace
}  // namespace t3d::io
