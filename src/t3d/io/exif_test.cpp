#include "t3d/io/exif.h"

#include <gtest/gtest.h>

#include "tests/support/exif_bytes.h"
#include "tests/support/temporary_folder.h"

namespace t3d::io {
namespace {

using testing::exif_tiff;
using testing::jpeg_with_exif;

int orientation_of(const std::string& bytes) {
  return exif_orientation(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}
int orientation_of(const std::vector<uint8_t>& bytes) {
  return exif_orientation(bytes.data(), bytes.size());
}

std::string little_32(size_t v) {
  std::string out;
  for (int i = 0; i < 4; ++i) out += static_cast<char>(v >> 8 * i);
  return out;
}
std::string big_32(size_t v) {
  const std::string little = little_32(v);
  return std::string(little.rbegin(), little.rend());
}

TEST(Exif, IsReadFromEveryFormatInBothByteOrders) {
  const auto jpeg = encode_jpeg(Image8(8, 8, 3));
  for (int o = 1; o <= 8; ++o)
    for (const bool big : {false, true}) {
      const std::string tiff = exif_tiff(o, big);
      EXPECT_EQ(orientation_of(tiff), o);
      EXPECT_EQ(orientation_of(jpeg_with_exif(jpeg, tiff)), o);
      EXPECT_EQ(orientation_of("\x89PNG\r\n\x1a\n" + big_32(0) + "none" + big_32(0) + big_32(tiff.size()) +
                               "eXIf" + tiff + big_32(0)),
                o);
      for (const std::string& mark : {std::string(), std::string("Exif\0\0", 6)})
        EXPECT_EQ(orientation_of("RIFF" + little_32(99) + "WEBPVP8X" + little_32(1) + std::string("a\0", 2) +
                                 "EXIF" + little_32(mark.size() + tiff.size()) + mark + tiff),
                  o);
    }
}

TEST(Exif, IsOneWhereNothingValidIsSaid) {
  const auto jpeg = encode_jpeg(Image8(8, 8, 3));
  EXPECT_EQ(orientation_of(jpeg), 1);
  EXPECT_EQ(orientation_of(encode_png(Image8(8, 8, 3))), 1);
  for (const int wrong : {0, 9, 65535}) EXPECT_EQ(orientation_of(jpeg_with_exif(jpeg, exif_tiff(wrong))), 1);
  EXPECT_EQ(orientation_of(std::string("Exif\0\0", 6)), 1);
  std::string far = exif_tiff(6);
  far.replace(4, 4, "\xff\xff\xff\x7f");  // the directory lies behind the file
  EXPECT_EQ(orientation_of(far), 1);
}

TEST(Exif, ReadsNothingBehindAFileThatIsCut) {
  const auto whole = jpeg_with_exif(encode_jpeg(Image8(8, 8, 3)), exif_tiff(6));
  for (size_t n = 0; n < whole.size(); ++n) {
    const std::vector<uint8_t> cut(whole.begin(), whole.begin() + static_cast<long>(n));
    const int o = orientation_of(cut);
    EXPECT_TRUE(o == 1 || o == 6) << n;
  }
}

/// The 2x3 image 1 2 / 3 4 / 5 6 as it is stored with each orientation, turned back by hand.
TEST(Exif, TurnsEveryOrientationUpright) {
  struct Stored {
    int orientation, width;
    std::vector<uint8_t> pixels;
  };
  const std::vector<uint8_t> wanted = {1, 2, 3, 4, 5, 6};
  const std::vector<Stored> all = {{1, 2, {1, 2, 3, 4, 5, 6}}, {2, 2, {2, 1, 4, 3, 6, 5}},
                                   {3, 2, {6, 5, 4, 3, 2, 1}}, {4, 2, {5, 6, 3, 4, 1, 2}},
                                   {5, 3, {1, 3, 5, 2, 4, 6}}, {6, 3, {2, 4, 6, 1, 3, 5}},
                                   {7, 3, {6, 4, 2, 5, 3, 1}}, {8, 3, {5, 3, 1, 6, 4, 2}}};
  for (const Stored& s : all) {
    Image8 stored(s.width, 6 / s.width, 1);
    stored.pixels = s.pixels;
    const Image8 image = upright(stored, s.orientation);
    EXPECT_EQ(image.width, 2) << s.orientation;
    EXPECT_EQ(image.pixels, wanted) << s.orientation;
  }
}

TEST(Exif, ReachesTheReaderOfPhotographs) {
  const testing::TemporaryFolder folder;
  Image8 stored(32, 16, 3);
  for (int y = 0; y < 16; ++y)
    for (int x = 0; x < 32; ++x)
      stored.at(x, y)[0] = x < 8 && y >= 8 ? 255 : 0;  // lower left: upright, upper left
  const auto bytes = jpeg_with_exif(encode_jpeg(stored), exif_tiff(6));
  testing::write_text(folder / "a.jpg", std::string(bytes.begin(), bytes.end()));
  const ImageInfo info = read_image_info(folder / "a.jpg");
  EXPECT_EQ(info.width, 32);
  EXPECT_EQ(info.orientation, 6);
  EXPECT_EQ(read_image(folder / "a.jpg").width, 32);
  const Image8 image = read_upright(folder / "a.jpg");
  ASSERT_EQ(image.width, 16);
  EXPECT_GT(image.at(2, 2)[0], 200);
  EXPECT_LT(image.at(13, 2)[0], 60);
  EXPECT_LT(image.at(2, 29)[0], 60);
}

}  // namespace
}  // namespace t3d::io
