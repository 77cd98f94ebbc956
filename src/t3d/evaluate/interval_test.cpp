#include "t3d/evaluate/interval.h"

#include <gtest/gtest.h>

namespace t3d::evaluate {
namespace {

TEST(Interval, WilsonHasTheTextbooksValues) {
  const Estimate e = share_of(81, 263);  // Newcombe 1998, table I
  EXPECT_NEAR(e.value, 0.3080, 5e-5);
  EXPECT_NEAR(e.low, 0.2553, 5e-5);
  EXPECT_NEAR(e.high, 0.3662, 5e-5);
  const Estimate none = share_of(0, 20);
  EXPECT_DOUBLE_EQ(none.low, 0);
  EXPECT_NEAR(none.high, 0.1611, 5e-5);
  const Estimate all = share_of(20, 20);
  EXPECT_NEAR(all.low, 1 - 0.1611, 5e-5);
  EXPECT_DOUBLE_EQ(all.high, 1);
}

TEST(Interval, NothingMeasuredIsTheWholeRange) {
  const Estimate e = share_of(0, 0);
  EXPECT_EQ(e.n, 0);
  EXPECT_DOUBLE_EQ(e.low, 0);
  EXPECT_DOUBLE_EQ(e.high, 1);
}

TEST(Interval, ThingsThatGoRightTogetherCountForTheIntervalOnce) {
  const Estimate e = share_of(3 * 81, 3 * 263, 263), single = share_of(81, 263);
  EXPECT_DOUBLE_EQ(e.value, single.value);
  EXPECT_DOUBLE_EQ(e.low, single.low);
  EXPECT_DOUBLE_EQ(e.high, single.high);
  EXPECT_EQ(e.n, 3 * 263);
}

TEST(Interval, CaptionsCountAlikeHoweverManyValuesTheyHave) {
  const Estimate e = mean_by_caption({1, 3, 6, 2}, {"a", "b", "a", "a"});
  EXPECT_DOUBLE_EQ(e.value, 3);
  EXPECT_EQ(e.n, 2);
  const Estimate same = mean_of({3, 3});
  EXPECT_DOUBLE_EQ(e.low, same.low);
  EXPECT_EQ(mean_by_caption({}, {}).n, 0);
  EXPECT_DOUBLE_EQ(mean_by_caption({1, 4}, {"a", "b"}).low, mean_of({1, 4}).low);
}

TEST(Interval, BootstrapOfAMeanIsAboutTwoStandardErrors) {
  std::vector<double> values;
  for (int i = 0; i < 400; ++i) values.push_back(i % 2);  // mean 0.5, deviation 0.5
  const Estimate e = mean_of(values, 3);
  EXPECT_DOUBLE_EQ(e.value, 0.5);
  EXPECT_NEAR(e.low, 0.5 - 1.96 * 0.025, 0.006);
  EXPECT_NEAR(e.high, 0.5 + 1.96 * 0.025, 0.006);
  EXPECT_EQ(mean_of(values, 3).low, e.low);
  const Estimate same = mean_of({2, 2, 2});
  EXPECT_DOUBLE_EQ(same.low, 2);
  EXPECT_DOUBLE_EQ(same.high, 2);
}

}  // namespace
}  // namespace t3d::evaluate
