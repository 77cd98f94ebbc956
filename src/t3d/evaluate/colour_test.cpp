#include <gtest/gtest.h>

#include "t3d/core/rng.h"
#include "t3d/evaluate/colour_check.h"
#include "t3d/evaluate/truth_views.h"
#include "t3d/toybox/palette.h"
#include "tests/support/optional_libraries.h"

namespace t3d::evaluate {
namespace {

size_t word(const std::string& name) {
  for (size_t i = 0; i < toybox::palette().size(); ++i)
    if (toybox::palette()[i].name == name) return i;
  ADD_FAILURE() << name;
  return 0;
}

ColourShares shares_of(const std::string& caption, uint64_t seed, float grey) {
  Orbit orbit;
  orbit.resolution = 64;
  auto views = truth_views(toybox::parse_caption(caption), seed, orbit);
  for (auto& view : views) view = before_colour(view, Vec3f::Constant(grey));
  return colour_shares(views, std::vector<Backdrop>(views.size(), {Vec3f::Constant(grey)}));
}

ColourVerdict verdict(const std::string& caption, const std::string& shown, float grey) {
  std::vector<ColourShares> truths;
  for (uint64_t seed = 10; seed < 14; ++seed) truths.push_back(shares_of(caption, seed, grey));
  return check_colours(named_colours(toybox::parse_caption(caption)), truths, shares_of(shown, 3, grey));
}

TEST(ColourShares, LitAndShadedSurfacesKeepTheirColourWord) {
  T3D_NEED_EMBREE();
  for (const auto& colour : toybox::palette())
    for (const float grey : {0.6f, 0.8f}) {
      const auto shares = shares_of(toybox::with_article(colour.name + " sphere"), 1, grey);
      EXPECT_GT(shares[word(colour.name)].share, 0.85) << colour.name << " on " << grey;
    }
}

TEST(ColourShares, OfAnEmptyPictureAreZero) {
  io::Image8 flat(8, 8, 3);
  std::fill(flat.pixels.begin(), flat.pixels.end(), uint8_t{200});
  for (const ColourShare& s : colour_shares({flat, flat}, {backdrop_of(flat), backdrop_of(flat)}))
    EXPECT_EQ(s.share, 0);
}

TEST(ColourShares, ANoisyBackdropIsNoObject) {
  io::Image8 picture(40, 40, 3);
  Rng rng(1);
  for (int i = 0; i < 40 * 40; ++i) {
    const int noise = static_cast<int>(rng.below(49)) - 24;
    const bool is_object = i % 40 >= 10 && i % 40 < 30 && i / 40 >= 10 && i / 40 < 30;
    for (int k = 0; k < 3; ++k)
      picture.at(i % 40, i / 40)[k] = static_cast<uint8_t>((is_object ? (k == 0 ? 205 : 40) : 150) + noise);
  }
  const auto backdrop = backdrop_of(picture);
  EXPECT_GT(backdrop.reach, 7);
  EXPECT_NEAR(backdrop.srgb.x(), 150.0f / 255, 0.03f);
  EXPECT_GT(colour_shares({picture}, {backdrop})[word("red")].share, 0.97);
}

TEST(ColourShares, HeightsAreWhereTheColourLies) {
  io::Image8 picture(20, 20, 3);
  std::fill(picture.pixels.begin(), picture.pixels.end(), uint8_t{180});
  for (int y = 4; y < 16; ++y)
    for (int x = 6; x < 14; ++x) {
      uint8_t* p = picture.at(x, y);
      p[0] = y < 10 ? 210 : 30, p[1] = 30, p[2] = y < 10 ? 30 : 210;
    }
  const auto shares = colour_shares({picture}, {backdrop_of(picture)});
  EXPECT_NEAR(shares[word("red")].share, 0.5, 1e-9);
  EXPECT_NEAR(shares[word("red")].height, 0.77, 0.02);
  EXPECT_NEAR(shares[word("blue")].height, 0.23, 0.02);
}

TEST(ColourCheck, TrueObjectsAreRight) {
  T3D_NEED_EMBREE();
  for (const char* caption :
       {"a blue chair with brown legs", "a red mushroom with a white stem",
        "a yellow star on top of a black cube", "a striped orange cat with a white tail",
        "a metallic green teapot", "two pink ducks with orange beaks"}) {
    const auto v = verdict(caption, caption, 0.55f);
    EXPECT_EQ(v.n_right(), v.n_parts()) << caption;
    EXPECT_GT(v.n_parts(), 0) << caption;
  }
}

TEST(ColourCheck, WrongMissingAndSwappedColoursAreFound) {
  T3D_NEED_EMBREE();
  const std::string chair = "a blue chair with brown legs";
  EXPECT_EQ(verdict(chair, "a brown chair with blue legs", 0.7f).n_right(), 0);
  EXPECT_EQ(verdict(chair, "a blue chair with blue legs", 0.7f).n_right(), 1);
  const auto green = verdict(chair, "a green chair with brown legs", 0.7f);
  ASSERT_EQ(green.strangers.size(), 1u);
  EXPECT_EQ(green.strangers[0].colour, "green");
  EXPECT_EQ(green.n_parts(), 3);
  EXPECT_EQ(green.n_right(), 1);
  // About as much of each colour, but upside down.
  EXPECT_LT(
      verdict("a red sphere on top of a white cube", "a white cube on top of a red sphere", 0.6f).n_right(),
      2);
}

TEST(ColourCheck, NamesOnlyWhatTheCaptionNames) {
  const auto named = named_colours(toybox::parse_caption("a green cactus next to a house"));
  ASSERT_EQ(named.size(), 1u);
  EXPECT_EQ(named[0].part, "cactus");
  EXPECT_EQ(named[0].colour, "green");
  EXPECT_TRUE(named_colours(toybox::parse_caption("a cat")).empty());
}

}  // namespace
}  // namespace t3d::evaluate
