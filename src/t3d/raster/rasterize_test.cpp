#include "t3d/raster/rasterize.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "t3d/core/error.h"
#include "t3d/raster/arguments.h"
#include "t3d/raster/interpolate.h"
#include "t3d/raster/reference.h"
#include "tests/support/every_simd.h"
#include "tests/support/message_of.h"
#include "tests/support/sphere_mesh.h"

namespace t3d::raster {
namespace {

using testing::message_of;
using testing::seen_from_around;
using testing::sphere_mesh;

at::Tensor triangles(std::vector<int32_t> indices) {
  return at::tensor(indices, at::kInt).reshape({-1, 3});
}
at::Tensor positions(std::vector<double> values) {
  return at::tensor(values, at::kDouble).to(at::kFloat).reshape({1, -1, 4});
}
at::Tensor ids(const Rasterized& image) {
  return image.rast.select(3, 3);
}

/// Random triangles [1,3F,4], some of which cross the plane of the camera or the edges of the image.
at::Tensor random_positions(int64_t n_triangles, double least_w) {
  const at::Tensor w = at::rand({1, 3 * n_triangles, 1}) * (2 - least_w) + least_w;
  const at::Tensor center = (at::rand({1, n_triangles, 1, 3}) * 2 - 1).expand({1, n_triangles, 3, 3});
  const at::Tensor p = (center.reshape({1, -1, 3}) + at::rand({1, 3 * n_triangles, 3}) - 0.5);
  return at::cat({p * at::where(w.abs() > 0.2, w, at::ones_like(w)), w}, 2);
}
at::Tensor separate_triangles(int64_t n) {
  return at::arange(3 * n, at::kInt).reshape({n, 3});
}

TEST(Rasterize, SeesTheTrianglesOfTheDefinition) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    const at::Tensor pos = random_positions(40, 0.5).to(type), tri = separate_triangles(40);
    const Rasterized fast = rasterize(pos, tri, 37, 70), slow = rasterize_reference(pos, tri, 37, 70);
    EXPECT_GT((ids(fast) > 0).sum().item<int64_t>(), 1000);
    EXPECT_TRUE(ids(fast).equal(ids(slow)));
    EXPECT_TRUE(at::allclose(fast.rast, slow.rast, 1e-4, 1e-4));
    EXPECT_TRUE(at::allclose(fast.rast_db, slow.rast_db, 1e-3, 1e-4));
  }
}

class RasterizeSimd : public testing::EverySimd {};

TEST_P(RasterizeSimd, ImagesAreThoseOfPlainCode) {
  const at::Tensor pos = random_positions(60, -0.5), tri = separate_triangles(60);
  const auto layers = [&] {
    DepthPeeler peeler(pos, tri, 150, 130);
    const at::Tensor first = peeler.next_layer().rast;
    return at::cat({first, peeler.next_layer().rast});
  };
  const at::Tensor ours = layers();
  ops::set_simd(ops::Simd::Portable);
  EXPECT_TRUE(ours.equal(layers()));
}

INSTANTIATE_TEST_SUITE_P(Each, RasterizeSimd, ::testing::Values(ops::Simd::Avx2, ops::Simd::Avx512));

TEST(Rasterize, CutsTrianglesAtTheCamera) {
  int64_t n_behind = 0;
  for (int n = 0; n < 10; ++n) {
    const at::Tensor pos = random_positions(12, -2).to(at::kDouble), tri = separate_triangles(12);
    const at::Tensor w = pos.select(2, 3).reshape({-1, 3});
    n_behind += ((std::get<0>(w.min(1)) < 0) & (std::get<0>(w.max(1)) > 0)).sum().item<int64_t>();
    const Rasterized fast = rasterize(pos, tri, 48, 40), slow = rasterize_reference(pos, tri, 48, 40);
    const at::Tensor same = ids(fast) == ids(slow);
    // The definition does not snap them: pixels at their edges may differ.
    EXPECT_LT(1 - same.to(at::kDouble).mean().item<double>(), 0.005);
    EXPECT_TRUE(at::allclose(fast.rast.index({same}), slow.rast.index({same}), 1e-6, 1e-6));
  }
  EXPECT_GT(n_behind, 30);
}

TEST(Rasterize, AGroundPlaneReachesTheHorizon) {
  // Four corners of a plane below the camera, two of them behind it: all pixels below the horizon see it.
  const double f = 1.5, near = 0.1, far = 1000;
  std::vector<double> values;
  for (const auto& [x, depth] :
       std::vector<std::pair<double, double>>{{-1e5, -1e5}, {1e5, -1e5}, {1e5, 900}, {-1e5, 900}})
    values.insert(values.end(),
                  {x * f, -1.0 * f, (depth * (far + near) - 2 * far * near) / (far - near), depth});
  const at::Tensor id = ids(rasterize(positions(values), triangles({0, 1, 2, 0, 2, 3}), 64, 64));
  EXPECT_TRUE((id.slice(1, 0, 31) > 0).all().item<bool>());
  EXPECT_TRUE((id.slice(1, 33, 64) == 0).all().item<bool>());
}

TEST(Rasterize, TrianglesOfAnAreaCoverEachOfItsPixelsOnce) {
  // A quadrilateral with corners on pixel centres, so that edges pass through centres, and points inside it
  // at random, some of them on centres as well; each triangle is drawn alone.
  for (int n = 0; n < 20; ++n) {
    const int64_t side = 24;
    const auto clip = [&](double pixel) { return 2 * pixel / side - 1; };
    std::vector<double> values;
    for (const auto& [x, y] :
         std::vector<std::pair<double, double>>{{3.5, 2.5}, {20.5, 4.5}, {19.5, 21.5}, {2.5, 18.5}})
      values.insert(values.end(), {clip(x), clip(y), 0, 1});
    const auto uniform = [] { return at::rand({1}).item<double>(); };
    const double x = 6 + 10 * uniform(), y = 6 + 10 * uniform();
    const bool on_centre = n % 2 == 0;
    values.insert(values.end(), {clip(on_centre ? std::floor(x) + 0.5 : x),
                                 clip(on_centre ? std::floor(y) + 0.5 : y), 0, 1});
    const at::Tensor pos = positions(values);
    const auto count = [&](const at::Tensor& tri) {
      at::Tensor total = at::zeros({side, side});
      for (int64_t f = 0; f < tri.size(0); ++f)
        total += (ids(rasterize(pos, tri.slice(0, f, f + 1), side, side))[0] > 0).to(at::kFloat);
      return total;
    };
    const at::Tensor fan = count(triangles({0, 1, 4, 1, 2, 4, 4, 2, 3, 0, 4, 3}));  // orientations mixed
    EXPECT_LE(fan.max().item<float>(), 1);
    EXPECT_TRUE(fan.equal(count(triangles({0, 1, 2, 3, 0, 2}))));
    EXPECT_GT(fan.sum().item<float>(), 200);
  }
}

TEST(Rasterize, TrianglesBehindAndBeforeTheCameraShareEdges) {
  // A floor of 5 x 5 squares from behind the camera to far in front of it, its inner corners moved at random.
  for (int n = 0; n < 5; ++n) {
    std::vector<double> values;
    std::vector<int32_t> indices;
    for (int z = 0; z < 6; ++z)
      for (int x = 0; x < 6; ++x) {
        const bool is_inner = x % 5 != 0 && z % 5 != 0;
        const auto jitter = [&] { return is_inner ? at::rand({1}).item<double>() * 3 - 1.5 : 0.0; };
        const double side = (x - 2.5) * 400 + jitter() * 100,
                     depth = z % 5 == 0 ? (z == 0 ? -50 : 900) : z * 4 - 8 + jitter();
        values.insert(values.end(), {side, -1, 0, depth});
        if (x < 5 && z < 5)
          for (const int corner : {0, 1, 7, 0, 7, 6}) indices.push_back(6 * z + x + corner);
      }
    const at::Tensor pos = positions(values), tri = triangles(indices);
    at::Tensor total = at::zeros({40, 40});
    for (int64_t f = 0; f < tri.size(0); ++f)
      total += (ids(rasterize(pos, tri.slice(0, f, f + 1), 40, 40))[0] > 0).to(at::kFloat);
    EXPECT_TRUE((total.slice(0, 0, 19) == 1).all().item<bool>());
    EXPECT_TRUE((total.slice(0, 21, 40) == 0).all().item<bool>());
  }
}

TEST(Rasterize, AClosedMeshHasNoHoles) {
  const auto mesh = sphere_mesh(12);
  const at::Tensor pos = seen_from_around(mesh.vertices, 4, 2.5);
  DepthPeeler peeler(pos, mesh.triangles, 80, 96);
  const at::Tensor front = peeler.next_layer().rast, back = peeler.next_layer().rast;
  // Each line of sight goes in and out once. At the outline both may happen in one triangle's snapped sliver.
  const at::Tensor seen = front.select(3, 3) > 0, seen_twice = back.select(3, 3) > 0;
  EXPECT_GT(seen.sum().item<int64_t>(), 4 * 1500);
  EXPECT_TRUE(seen.equal(seen_twice));
  EXPECT_EQ(peeler.next_layer().rast.abs().max().item<float>(), 0);
  EXPECT_TRUE((back.select(3, 2) >= front.select(3, 2)).all().item<bool>());
  // Rows of seen pixels have no gaps.
  const at::Tensor starts = (seen.slice(2, 1) & ~seen.slice(2, 0, -1)).sum(2);
  EXPECT_LE(starts.max().item<int64_t>(), 1);
}

TEST(Rasterize, TheLowerIndexWinsAtEqualDepth) {
  const at::Tensor pos = positions({-1, -1, 0.5, 1, 1, -1, 0.5, 1, 0, 1, 0.5, 1, 0, 0, 0.25, 1});
  const at::Tensor tri = triangles({0, 1, 2, 0, 1, 2, 0, 1, 3});
  const at::Tensor id = ids(rasterize(pos, tri, 32, 32));
  EXPECT_EQ((id == 2).sum().item<int64_t>(), 0);
  EXPECT_GT((id == 1).sum().item<int64_t>(), 0);
  EXPECT_GT((id == 3).sum().item<int64_t>(), 0);  // nearer
  DepthPeeler peeler(pos, triangles({0, 1, 2, 0, 1, 2}), 32, 32);
  const at::Tensor first = ids(peeler.next_layer()), second = ids(peeler.next_layer());
  EXPECT_TRUE(((first == 1) == (second == 2)).all().item<bool>());
  EXPECT_EQ(ids(peeler.next_layer()).max().item<float>(), 0);
}

TEST(Rasterize, LayersComeInTheOrderOfDepth) {
  const at::Tensor pos = random_positions(30, 0.5), tri = separate_triangles(30);
  DepthPeeler peeler(pos, tri, 40, 40);
  at::Tensor before = peeler.next_layer().rast;
  at::Tensor covered = (before.select(3, 3) > 0).to(at::kFloat);
  for (int layer = 1; layer < 31; ++layer) {
    const at::Tensor rast = peeler.next_layer().rast, has = rast.select(3, 3) > 0;
    EXPECT_TRUE((~has | (before.select(3, 3) > 0)).all().item<bool>());
    EXPECT_TRUE((~has | (rast.select(3, 2) >= before.select(3, 2))).all().item<bool>());
    covered += has.to(at::kFloat);
    before = rast;
  }
  at::Tensor alone = at::zeros_like(covered);
  for (int64_t f = 0; f < 30; ++f)
    alone += (ids(rasterize(pos, tri.slice(0, f, f + 1), 40, 40)) > 0).to(at::kFloat);
  EXPECT_TRUE(covered.equal(alone));
  EXPECT_GE(alone.max().item<float>(), 3);
}

TEST(Rasterize, ImagesOfABatchAreThoseOfSingleImages) {
  const auto mesh = sphere_mesh(6);
  const at::Tensor pos = seen_from_around(mesh.vertices, 3);
  const Rasterized all = rasterize(pos, mesh.triangles, 50, 70);
  for (int64_t b = 0; b < 3; ++b) {
    const Rasterized one = rasterize(pos.slice(0, b, b + 1), mesh.triangles, 50, 70);
    EXPECT_TRUE(all.rast.slice(0, b, b + 1).equal(one.rast));
    EXPECT_TRUE(all.rast_db.slice(0, b, b + 1).equal(one.rast_db));
  }
}

TEST(Rasterize, RangesDrawPartsOfTheMesh) {
  const auto mesh = sphere_mesh(4);
  const at::Tensor pos = seen_from_around(mesh.vertices, 1);
  RasterizeOptions options;
  options.ranges = at::tensor({0, 100, 60, 0, 60, 260}, at::kInt).reshape({3, 2});
  options.derivatives = false;
  const Rasterized parts = rasterize(pos[0], mesh.triangles, 40, 40, options);
  EXPECT_FALSE(parts.rast_db.defined());
  EXPECT_TRUE(parts.rast[0].equal(rasterize(pos, mesh.triangles.slice(0, 0, 100), 40, 40).rast[0]));
  EXPECT_EQ(parts.rast[1].abs().max().item<float>(), 0);
  const at::Tensor rest = rasterize(pos, mesh.triangles.slice(0, 60, 320), 40, 40).rast[0];
  EXPECT_TRUE(parts.rast[2].select(2, 3).equal(
      at::where(rest.select(2, 3) > 0, rest.select(2, 3) + 60, rest.select(2, 3))));
}

TEST(Rasterize, ThreadsDoNotChangeImagesNorGradients) {
  const auto mesh = sphere_mesh(20);
  const at::Tensor vertices = seen_from_around(mesh.vertices, 2);
  const auto results = [&] {
    const at::Tensor pos = vertices.clone().set_requires_grad(true),
                     attr = pos.detach().slice(2, 0, 3).clone().set_requires_grad(true);
    const Rasterized r = rasterize(pos, mesh.triangles, 200, 150);
    const Interpolated out = interpolate_with_derivatives(attr, r.rast, mesh.triangles, r.rast_db);
    (out.out.sin().sum() + out.out_da.square().sum()).backward();
    return std::vector<at::Tensor>{r.rast, r.rast_db, pos.grad(), attr.grad()};
  };
  const int n_threads = at::get_num_threads();
  at::set_num_threads(1);
  const auto one = results();
  at::set_num_threads(3);
  const auto three = results();
  at::set_num_threads(n_threads);
  for (size_t n = 0; n < one.size(); ++n) EXPECT_TRUE(one[n].equal(three[n])) << n;
}

TEST(Rasterize, SkipsWhatHasNoAreaOrIsNotANumber) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  const at::Tensor pos =
      positions({-0.5, -0.5, 0, 1, 0.5,   -0.5, 0,   1, 0,    0.5,   0,    1,    // 0 to 2: a triangle
                 nan,  0,    0, 1, 0,     inf,  0,   1, 0,    0,     0,    nan,  // 3 to 5
                 1e30, 1e30, 0, 1, -1e30, 1e30, 0,   1, 0,    -1e30, 0,    1,    // 6 to 8: beyond everything
                 0,    0,    0, 0, 0,     0,    0.5, 0, 3e38, 3e38,  3e38, -3e38});
  const at::Tensor alone = rasterize(pos, triangles({0, 1, 2}), 32, 32).rast;
  const at::Tensor with = rasterize(pos, triangles({0, 1, 2, 0, 0, 1,  0, 1, 1, 3, 1, 2, 4,  0,  1,
                                                    5, 1, 2, 0, 9, 10, 9, 1, 0, 3, 4, 5, 11, 11, 10}),
                                    32, 32)
                              .rast;
  EXPECT_TRUE(with.equal(alone));
  EXPECT_GT((alone.select(3, 3) > 0).sum().item<int64_t>(), 100);
  const at::Tensor all = rasterize(pos, triangles({6, 7, 8}), 32, 32).rast;
  EXPECT_TRUE((all.select(3, 3) == 1).all().item<bool>());
  // Gradients are numbers even so.
  at::Tensor leaf = pos.clone().set_requires_grad(true);
  rasterize(leaf, triangles({0, 1, 2, 6, 7, 8, 0, 9, 10}), 32, 32).rast.slice(3, 0, 2).sum().backward();
  EXPECT_TRUE(at::isfinite(leaf.grad()).all().item<bool>());
}

TEST(Rasterize, DrawsNothingOfNothing) {
  const at::Tensor none = rasterize(at::zeros({2, 0, 4}), at::zeros({0, 3}, at::kInt), 5, 7).rast;
  EXPECT_EQ(none.sizes(), at::IntArrayRef({2, 5, 7, 4}));
  EXPECT_EQ(none.abs().sum().item<float>(), 0);
  EXPECT_EQ(rasterize(at::zeros({0, 3, 4}), triangles({0, 1, 2}), 5, 7).rast.size(0), 0);
}

TEST(Rasterize, NearAndFarPlanesCutPixels) {
  // From z/w = -2 on the left to 2 on the right.
  const at::Tensor pos = positions({-1, -1, -2, 1, 1, -1, 2, 1, 1, 1, 2, 1, -1, 1, -2, 1});
  const at::Tensor id = ids(rasterize(pos, triangles({0, 1, 2, 0, 2, 3}), 8, 40))[0];
  EXPECT_TRUE((id.slice(1, 10, 30) > 0).all().item<bool>());
  EXPECT_TRUE((id.slice(1, 0, 10) == 0).all().item<bool>());
  EXPECT_TRUE((id.slice(1, 30, 40) == 0).all().item<bool>());
}

TEST(Rasterize, SaysWhatIsBeyondTheLimits) {
  const at::Tensor pos = positions({0, 0, 0, 1, 1, 0, 0, 1, 0, 1, 0, 1}), tri = triangles({0, 1, 2});
  EXPECT_EQ(message_of<UserError>([&] { rasterize(pos, tri, 0, 5); }),
            "rasterize: an image of 5x0 pixels was asked for, and each side may have 1 to 16384. Render it "
            "in tiles, "
            "or smaller.");
  EXPECT_NE(message_of<UserError>([&] { rasterize(pos, tri, 5, 16385); }), "");
  EXPECT_EQ(message_of<UserError>([&] {
              rasterize(pos, triangles({0, 1, 2, 0, 3, 1}), 5, 5);
            }),
            "rasterize: triangle 1 refers to vertex 3, and there are 3, counted from 0. Check the mesh.");
  EXPECT_NE(message_of<UserError>([&] { rasterize(pos, triangles({0, 1, -1}), 5, 5); }), "");
  const at::Tensor too_many = at::empty({kMaxTriangles + 1, 3}, at::kInt);
  EXPECT_EQ(message_of<UserError>([&] {
              rasterize(pos, too_many, 5, 5);
            }).rfind("rasterize: the mesh has 16777217 triangles", 0),
            0u);
  RasterizeOptions options;
  options.ranges = at::tensor({0, 2}, at::kInt).reshape({1, 2});
  EXPECT_NE(message_of<UserError>([&] { rasterize(pos[0], tri, 5, 5, options); }), "");
  EXPECT_NE(message_of<BugError>([&] { rasterize(pos[0], tri, 5, 5); }), "");
  const at::Tensor rast = rasterize(pos, tri, 5, 5).rast;
  EXPECT_EQ(message_of<UserError>([&] {
              interpolate(pos, rast + 1, tri);
            }).rfind("interpolate: a pixel shows triangle", 0),
            0u);
}

}  // namespace
}  // namespace t3d::raster
