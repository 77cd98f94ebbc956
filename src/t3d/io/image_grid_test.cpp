#include "t3d/io/image_grid.h"

#include <gtest/gtest.h>

#include <cmath>

#include "t3d/io/draw_text.h"

namespace t3d::io {
namespace {

ImageF row_of(std::vector<float> values, int channels) {
  ImageF image;
  image.height = 1;
  image.channels = channels;
  image.width = static_cast<int>(values.size()) / channels;
  image.pixels = std::move(values);
  return image;
}

TEST(ImageGrid, RgbIsClippedAndTruncated) {
  const Image8 out = picture_of_rgb(row_of({-1, 0.5f, 2, NAN, 0.999f, 1}, 3));
  EXPECT_EQ(out.pixels, (std::vector<uint8_t>{0, 127, 255, 0, 254, 255}));
  EXPECT_EQ(picture_of_rgb(row_of({0, 1, 0}, 3), {-1, 1}).pixels, (std::vector<uint8_t>{127, 255, 127}));
}

TEST(ImageGrid, MoreChannelsStandSideBySide) {
  const Image8 out = picture_of_rgb(row_of({1, 1, 1, 1}, 4));
  EXPECT_EQ(out.width, 2);
  EXPECT_EQ(out.pixels, (std::vector<uint8_t>{255, 255, 255, 255, 0, 0}));
}

TEST(ImageGrid, ValuesAreNormalisedWhenNoRangeIsGiven) {
  const Image8 out = picture_of_values(row_of({2, 4, 3}, 1), std::nullopt, ColourMap::None);
  EXPECT_EQ(out.at(0, 0)[0], 0);
  EXPECT_EQ(out.at(1, 0)[1], 255);
  EXPECT_EQ(out.at(2, 0)[2], 127);
  EXPECT_EQ(picture_of_values(row_of({5, 5}, 1), std::nullopt, ColourMap::None).at(1, 0)[0], 0);
}

TEST(ImageGrid, MapsHaveTheirEnds) {
  const auto jet = [](float x) { return map_colour(ColourMap::Jet, x); };
  EXPECT_EQ(jet(0), (std::array<float, 3>{0, 0, 0.5f}));
  EXPECT_EQ(jet(1), (std::array<float, 3>{0.5f, 0, 0}));
  EXPECT_EQ(jet(0.5f), (std::array<float, 3>{0.5f, 1, 0.5f}));
  EXPECT_GT(map_colour(ColourMap::Magma, 0)[0], 0.9f);
  EXPECT_LT(map_colour(ColourMap::Magma, 1)[0], 0.1f);
}

TEST(DrawText, IsWhiteOnBlackAndCutAtTheBorder) {
  Image8 picture(20, 12, 3);
  for (auto& v : picture.pixels) v = 100;
  draw_text(picture, 0, 0, "1-");
  EXPECT_EQ(picture.at(3, 1)[0], 255);  // the stem of the 1
  EXPECT_EQ(picture.at(1, 1)[0], 0);
  EXPECT_EQ(picture.at(8, 4)[0], 255);  // the dash
  EXPECT_EQ(picture.at(13, 4)[0], 100);
  EXPECT_EQ(picture.at(3, 10)[0], 100);
  draw_text(picture, 16, -4, "front");
  draw_text(picture, -40, 8, "n0.50", 2);
  EXPECT_EQ(picture.at(15, 0)[0], 100);
}

TEST(ImageGrid, RowsAlignToTheirLargestPicture) {
  Image8 small(2, 2, 3), large(4, 3, 3);
  for (auto& v : small.pixels) v = 200;
  const Image8 out = picture_grid({{small, large}, {small}});
  EXPECT_EQ(out.width, 8);
  EXPECT_EQ(out.height, 5);
  EXPECT_EQ(out.at(3, 2)[0], 200);
  EXPECT_EQ(out.at(4, 0)[0], 0);
  EXPECT_EQ(out.at(1, 4)[0], 200);
  EXPECT_EQ(out.at(2, 4)[0], 0);
  EXPECT_EQ(picture_grid({{small, large}}, 16).width, 32);
}

}  // namespace
}  // namespace t3d::io
