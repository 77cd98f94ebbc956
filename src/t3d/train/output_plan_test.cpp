#include "t3d/train/output_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace t3d::train {
namespace {

using ::testing::ElementsAre;

/// Seven test views of 5 seconds, a film of 48 frames of 0.25 seconds, a mesh of 6.
OutputCosts costs_of_fox() {
  OutputCosts costs;
  costs.n_views = 7;
  costs.view_render_s = 5;
  costs.view_score_s = 0.4;
  costs.frame_s = 0.25;
  costs.density_s = 4e-7;
  costs.n_cores = 2;
  return costs;
}

TEST(OutputPlan, WithoutABudgetEverythingIsMade) {
  const OutputCosts costs = costs_of_fox();
  OutputPlan plan;
  EXPECT_EQ(plan_mesh(costs, -1), 192);
  plan_views(costs, -1, plan);
  plan_film(costs, -1, plan);
  EXPECT_THAT(plan.views, ElementsAre(0, 1, 2, 3, 4, 5, 6));
  EXPECT_EQ(plan.view_scale, 1);
  EXPECT_EQ(plan.film_frames, 48);
  EXPECT_EQ(plan.film_side, 400);
}

TEST(OutputPlan, FewerViewsAreSpreadEvenly) {
  const OutputCosts costs = costs_of_fox();
  OutputPlan plan;
  plan_views(costs, 17, plan);
  EXPECT_THAT(plan.views, ElementsAre(1, 3, 5));
  EXPECT_EQ(plan.view_scale, 1);
  EXPECT_LE(costs.views(plan.views.size()), 17);
  plan_views(costs, 1.5, plan);
  EXPECT_THAT(plan.views, ElementsAre(3));
  EXPECT_NEAR(costs.views(1, plan.view_scale), 1.5, 1e-6);
  plan_views(costs, 0, plan);
  EXPECT_EQ(plan.views.size(), 1u);
  EXPECT_GT(plan.view_scale, 0);
  OutputCosts none = costs;
  none.n_views = 0;
  plan_views(none, 10, plan);
  EXPECT_TRUE(plan.views.empty());
}

TEST(OutputPlan, FilmsLoseFramesThenPixelsThenGo) {
  const OutputCosts costs = costs_of_fox();
  OutputPlan plan;
  plan_film(costs, 6, plan);
  EXPECT_EQ(plan.film_frames, 24);
  EXPECT_EQ(plan.film_side, 400);
  plan_film(costs, 1, plan);
  EXPECT_EQ(plan.film_frames, 12);
  EXPECT_LE(costs.film(plan.film_frames, plan.film_side), 1.01);
  plan_film(costs, 0.1, plan);
  EXPECT_EQ(plan.film_frames, 0);
  plan_film(costs, 0, plan);
  EXPECT_EQ(plan.film_frames, 0);
}

TEST(OutputPlan, MeshesAreCoarserDownToALeast) {
  OutputCosts costs = costs_of_fox();
  EXPECT_EQ(plan_mesh(costs, 100), 192);
  const int coarser = plan_mesh(costs, 8);
  EXPECT_LT(coarser, 192);
  EXPECT_GE(coarser, 64);
  EXPECT_EQ(plan_mesh(costs, 0), 64);
  costs.options.mesh = false;
  EXPECT_EQ(plan_mesh(costs, 100), 0);
}

TEST(OutputPlan, TheLeastIsLessThanAll) {
  const OutputCosts costs = costs_of_fox();
  EXPECT_LT(costs.least(), 0.2 * costs.all());
}

}  // namespace
}  // namespace t3d::train
