#include "t3d/toybox/caption.h"

#include <gtest/gtest.h>

#include <set>

#include "t3d/core/error.h"
#include "t3d/toybox/palette.h"

namespace t3d::toybox {
namespace {

std::string complaint(const std::string& text) {
  try {
    parse_caption(text);
  } catch (const UserError& e) {
    return e.what();
  }
  return "";
}

TEST(Vocabulary, IsLargeAndUnambiguous) {
  EXPECT_GE(kinds().size(), 60u);
  EXPECT_GE(palette().size(), 12u);
  EXPECT_GT(count_single_descriptions(), 100000u);
  std::set<std::string> names;
  for (const Kind& kind : kinds()) {
    EXPECT_TRUE(names.insert(kind.name).second) << kind.name;
    for (const std::string& other : kind.also) EXPECT_TRUE(names.insert(other).second) << other;
    for (const auto* list : {&kind.usual, &kind.usual_second})
      for (const std::string& colour : *list)
        EXPECT_NE(find_colour(colour), nullptr) << kind.name << ": " << colour;
  }
}

TEST(Caption, HasItsArticles) {
  EXPECT_EQ(caption(parse_caption("Orange cat, white tail")), "an orange cat with a white tail");
  EXPECT_EQ(caption(parse_caption("the ufo")), "a ufo");
  EXPECT_EQ(caption(parse_caption("umbrella")), "an umbrella");
  EXPECT_EQ(caption(parse_caption("two blue chairs with brown legs")), "two blue chairs with brown legs");
}

TEST(Caption, EveryPhrasingReadsBack) {
  Rng rng(3);
  for (int i = 0; i < 5000; ++i) {
    const Description d = draw_description(rng);
    const std::string text = phrase(d, rng);
    ASSERT_EQ(caption(parse_caption(text)), caption(d)) << text;
  }
}

TEST(Caption, UnderstandsHowPeopleSayIt) {
  EXPECT_EQ(caption(parse_caption("A DSLR photo of a RED toadstool that has a white stem, 3d asset")),
            "a red mushroom with a white stem");
  EXPECT_EQ(caption(parse_caption("a red and white mushroom")), "a red mushroom with a white stem");
  EXPECT_EQ(caption(parse_caption("a yellow star on a blue box")), "a yellow star on top of a blue cube");
  EXPECT_EQ(caption(parse_caption("a green ice cream with a brown cone")),
            "a green ice cream with a brown cone");
  EXPECT_EQ(caption(parse_caption("polka dot grey ball")), "a dotted gray sphere");
}

TEST(Caption, SaysWhatItDoesNotKnow) {
  EXPECT_NE(complaint("a red dragon with whte wings").find("unknown words: dragon, whte"), std::string::npos);
  EXPECT_NE(complaint("a red mushrom with a white stem").find("\"a red mushroom with a white stem\""),
            std::string::npos);
  EXPECT_NE(complaint("a red blue cube").find("two colours, red and blue"), std::string::npos);
  EXPECT_NE(complaint("a red cube with blue legs").find("no legs"), std::string::npos);
  EXPECT_NE(complaint("a chair with a red stem").find("no stem, but legs"), std::string::npos);
  EXPECT_NE(complaint("").find("is empty"), std::string::npos);
  EXPECT_NE(complaint("red").find("names no object"), std::string::npos);
  EXPECT_NE(complaint("a red cube blue sphere").find("two things"), std::string::npos);
  EXPECT_NE(complaint("a cube on a cube on a cube").find("more than two"), std::string::npos);
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "cube ";
  EXPECT_NE(complaint(many).find("1000 words"), std::string::npos);
  EXPECT_NE(complaint("\xff\xfe cube").find("unknown"), std::string::npos);
}

TEST(HeldOut, IsATenthOfTheCombinationsAndIgnoresTheRest) {
  int n = 0, held = 0;
  for (const Kind& kind : kinds())
    for (const auto& colour : palette()) {
      Description d;
      d.item.kind = &kind;
      d.item.colour = colour.name;
      ++n;
      held += is_held_out(d);
      const bool before = is_held_out(d);
      d.item.size = "small";
      d.item.finish = "shiny";
      EXPECT_EQ(is_held_out(d), before);
    }
  EXPECT_NEAR(static_cast<double>(held) / n, 0.1, 0.03);
}

TEST(Palette, WordsNameTheirOwnShades) {
  Rng rng(1);
  for (const auto& colour : palette())
    for (int i = 0; i < 50; ++i) EXPECT_EQ(nearest_colour(draw_colour(colour, rng)).name, colour.name);
}

}  // namespace
}  // namespace t3d::toybox
