#include "t3d/toybox/object.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <map>

#include "t3d/toybox/palette.h"
#include "t3d/toybox/pattern.h"
#include "t3d/toybox/render_objects.h"
#include "tests/support/optional_libraries.h"

namespace t3d::toybox {
namespace {

float farthest(const io::Mesh& mesh) {
  float r = 0;
  for (const Vec3f& p : mesh.positions) r = std::max(r, p.norm());
  return r;
}

/// Points at one place being one, each directed edge is there as often as its reverse.
void expect_closed(const Surface& s, const std::string& what) {
  std::map<std::array<int64_t, 3>, int> places;
  std::vector<int> place(s.points.size());
  for (size_t i = 0; i < place.size(); ++i) {
    std::array<int64_t, 3> key;
    for (int k = 0; k < 3; ++k) key[static_cast<size_t>(k)] = std::llround(1e4 * s.points[i][k]);
    place[i] = places.emplace(key, static_cast<int>(places.size())).first->second;
  }
  std::map<std::pair<int, int>, int> edges;
  for (const auto& f : s.faces)
    for (int k = 0; k < 3; ++k) ++edges[{place[f[k]], place[f[(k + 1) % 3]]}];
  for (const auto& [edge, n] : edges)
    if (edge.first != edge.second) {
      const auto back = edges.find({edge.second, edge.first});
      ASSERT_TRUE(back != edges.end() && back->second == n) << what;
    }
}

TEST(Kinds, ManySeedsGiveWholeMeshesWithEveryNamedPart) {
  for (const Kind& kind : kinds())
    for (uint64_t seed = 0; seed < 5; ++seed) {
      SCOPED_TRACE(kind.name);
      Description d;
      d.item.kind = &kind;
      d.item.colour = "red";
      if (!kind.second.empty()) d.item.second = "blue";
      const ToyObject object = make_object(d, seed);
      EXPECT_LE(farthest(object.mesh), kObjectRadius * 1.001f);
      EXPECT_GE(farthest(object.mesh), kObjectRadius * 0.9f);
      EXPECT_EQ(object.mesh.positions.size(), object.mesh.normals.size());
      EXPECT_LT(object.mesh.faces.size(), 60000u);
      for (const Vec3f& n : object.mesh.normals) ASSERT_NEAR(n.norm(), 1, 1e-3);
      bool has_main = false, has_second = kind.second.empty();
      for (const NamedPart& part : object.parts) {
        has_main |= part.name == kind.name && nearest_colour(part.srgb).name == "red";
        has_second |= part.name == kind.second && nearest_colour(part.srgb).name == "blue";
      }
      EXPECT_TRUE(has_main);
      EXPECT_TRUE(has_second);
    }
}

TEST(Kinds, PartsAreClosedAndLookOutwards) {
  for (const Kind& kind : kinds()) {
    Rng rng(5);
    Maker maker(rng);
    kind.build(maker);
    for (const MadePart& part : maker.take()) {
      expect_closed(part.surface, kind.name + " " + part.name);
      EXPECT_GT(part.surface.signed_volume(), 0) << kind.name << " " << part.name;
    }
  }
}

TEST(Object, IsAFunctionOfCaptionAndSeed) {
  const auto d = parse_caption("a striped red mushroom with a white stem");
  const auto a = make_object(d, 1), same = make_object(d, 1), other = make_object(d, 2);
  EXPECT_EQ(a.mesh.positions, same.mesh.positions);
  EXPECT_NE(a.mesh.positions, other.mesh.positions);
}

TEST(Object, OnTopOfIsAbove) {
  const auto object = make_object(parse_caption("a red sphere on top of a blue cube"), 3);
  ASSERT_EQ(object.parts.size(), 2u);
  const Box3f &top = object.parts[0].bounds, &bottom = object.parts[1].bounds;
  EXPECT_EQ(object.parts[0].colour, "red");
  EXPECT_NEAR(top.min.z(), bottom.max.z(), 0.02);
  EXPECT_LT(top.max.z() - top.min.z(), bottom.max.z() - bottom.min.z());
}

TEST(Object, NextToAndCountsDoNotTouch) {
  const auto pair = make_object(parse_caption("a red sphere next to a blue cube"), 3);
  EXPECT_LT(pair.parts[0].bounds.max.y(), pair.parts[1].bounds.min.y());
  const auto three = make_object(parse_caption("three green cones"), 3);
  ASSERT_EQ(three.parts.size(), 3u);
  EXPECT_LT(three.parts[0].bounds.max.y(), three.parts[1].bounds.min.y());
}

TEST(Object, PatternsKeepTheSurfaceAndItsArea) {
  const auto area = [](const Surface& s) {
    double sum = 0;
    for (const auto& f : s.faces)
      sum += 0.5 * (s.points[f[1]] - s.points[f[0]]).cross(s.points[f[2]] - s.points[f[0]]).norm();
    return sum;
  };
  const Surface cube = box(Vec3f::Zero(), Vec3f(2, 2, 2));
  for (const std::string pattern : {"striped", "dotted", "checkered", "wooden"}) {
    Rng rng(1);
    const auto [ground, marks] = apply_pattern(cube, pattern, 2, rng);
    EXPECT_NEAR(area(ground) + area(marks), 24, 1e-2) << pattern;
    EXPECT_GT(area(marks), 2) << pattern;
    EXPECT_GT(area(ground), 5) << pattern;
  }
  expect_closed(split_long_edges(cube, 0.3f), "split");
}

TEST(Render, ObjectsDoNotDependOnThreadsOrShards) {
  T3D_NEED_EMBREE();
  RenderPlan plan;
  plan.resolution = 16;
  plan.samples = 2;
  const auto together = render_objects(plan, 0, 3, 2, nullptr),
             alone = render_objects(plan, 2, 1, 1, nullptr);
  EXPECT_TRUE(together.rgba[2].equal(alone.rgba[0]));
  EXPECT_TRUE(together.camera_to_world[2].equal(alone.camera_to_world[0]));
  EXPECT_EQ(together.captions[2], alone.captions[0]);
}

TEST(Render, ObjectsStayInTheirPictures) {
  T3D_NEED_EMBREE();
  RenderPlan plan;
  plan.resolution = 32;
  plan.samples = 4;
  const auto views = render_objects(plan, 0, 24, 2, nullptr);
  const auto alpha = views.rgba.select(4, 3).to(at::kFloat);
  EXPECT_GT(alpha.mean().item<float>(), 0.1f * 255);
  // Along the border next to nothing is covered.
  EXPECT_LT(alpha.select(2, 0).mean().item<float>(), 0.03f * 255);
  EXPECT_LT(alpha.select(3, 31).mean().item<float>(), 0.03f * 255);
}

TEST(Render, SplitsDoNotShareCaptions) {
  RenderPlan train, held;
  held.held_out = true;
  for (int64_t i = 0; i < 200; ++i) {
    EXPECT_FALSE(is_held_out(described(train, i)));
    EXPECT_TRUE(is_held_out(described(held, i)));
  }
}

}  // namespace
}  // namespace t3d::toybox
