#include "t3d/io/triangulate.h"

#include <gtest/gtest.h>

#include <cmath>

namespace t3d::io {
namespace {

using Triangles = std::vector<std::array<uint32_t, 3>>;

/// Twice the area of the triangles in the plane z = 0; with `absolute`, without their senses.
double area(const std::vector<Vec3f>& p, const Triangles& triangles, bool absolute) {
  double sum = 0;
  for (const auto& t : triangles) {
    const double a = (p[t[1]] - p[t[0]]).cross(p[t[2]] - p[t[0]]).cast<double>().z();
    sum += absolute ? std::abs(a) : a;
  }
  return sum;
}

void expect_covered(const std::vector<Vec3f>& polygon, double twice_area) {
  Triangles triangles;
  triangulate(polygon, triangles);
  EXPECT_EQ(triangles.size(), polygon.size() - 2);
  EXPECT_NEAR(area(polygon, triangles, false), twice_area, 1e-4);
  EXPECT_NEAR(area(polygon, triangles, true), std::abs(twice_area), 1e-4);  // none lies over another
}

TEST(Triangulate, CoversConvexAndConcavePolygonsOnce) {
  expect_covered({{0, 0, 0}, {1, 0, 0}, {1, 1, 0}, {0, 1, 0}}, 2);
  expect_covered({{0, 0, 0}, {0, 1, 0}, {1, 1, 0}, {1, 0, 0}}, -2);  // clockwise
  expect_covered({{0, 0, 0}, {2, 1, 0}, {0, 2, 0}, {1, 1, 0}}, 2);   // an arrow's head
  expect_covered({{1, 1, 0}, {0, 0, 0}, {2, 1, 0}, {0, 2, 0}}, 2);   // the same from its notch
  expect_covered({{0, 0, 0}, {2, 0, 0}, {2, 2, 0}, {1, .5, 0}, {0, 2, 0}}, 5);
  // A comb, and an L with corners along its edges.
  expect_covered({{0, 0, 0},
                  {5, 0, 0},
                  {5, 2, 0},
                  {4, 2, 0},
                  {4, 1, 0},
                  {3, 1, 0},
                  {3, 2, 0},
                  {2, 2, 0},
                  {2, 1, 0},
                  {1, 1, 0},
                  {1, 2, 0},
                  {0, 2, 0}},
                 16);
  expect_covered({{0, 0, 0}, {1, 0, 0}, {2, 0, 0}, {2, 1, 0}, {1, 1, 0}, {1, 2, 0}, {0, 2, 0}, {0, 1, 0}}, 6);
}

TEST(Triangulate, LeavesAHoleThatIsCutIn) {
  // A square of side 4 whose hole of side 2 is reached by the edge (0,0)-(1,1), there and back.
  expect_covered({{0, 0, 0},
                  {4, 0, 0},
                  {4, 4, 0},
                  {0, 4, 0},
                  {0, 0, 0},
                  {1, 1, 0},
                  {1, 3, 0},
                  {3, 3, 0},
                  {3, 1, 0},
                  {1, 1, 0}},
                 24);
}

TEST(Triangulate, EndsForPolygonsWithoutAreaAndSuchThatCrossThemselves) {
  Triangles triangles;
  triangulate({{0, 0, 0}, {1, 0, 0}, {2, 0, 0}, {3, 0, 0}}, triangles);
  EXPECT_EQ(triangles.size(), 2u);
  triangulate({{0, 0, 0}, {1, 1, 0}, {1, 0, 0}, {0, 1, 0}, {2, 5, 0}}, triangles);
  EXPECT_EQ(triangles.size(), 3u);
  std::vector<Vec3f> star;  // winds about its centre twice
  for (int i = 0; i < 5; ++i) star.emplace_back(std::cos(i * 2.5132741f), std::sin(i * 2.5132741f), 0.0f);
  triangulate(star, triangles);
  EXPECT_EQ(triangles.size(), 3u);
  triangulate({{0, 0, 0}, {1, 0, 0}}, triangles);
  EXPECT_TRUE(triangles.empty());
}

TEST(Triangulate, CoversALargeConcavePolygon) {
  std::vector<Vec3f> gear;
  double twice_area = 0;
  for (int i = 0; i < 2000; ++i) {
    const float a = static_cast<float>(i) * 0.0031415927f, r = i % 2 == 0 ? 1.0f : 0.9f;
    gear.emplace_back(r * std::cos(a), r * std::sin(a), 0.0f);
  }
  for (size_t i = 0; i < gear.size(); ++i)
    twice_area += gear[i].cross(gear[(i + 1) % gear.size()]).cast<double>().z();
  expect_covered(gear, twice_area);
}

}  // namespace
}  // namespace t3d::io
