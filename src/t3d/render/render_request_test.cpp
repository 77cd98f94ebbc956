#include "t3d/render/render_request.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "t3d/core/error.h"
#include "t3d/field/geometry.h"

namespace t3d::render {
namespace {

constexpr int64_t kHeight = 5, kWidth = 6;

struct Counted {
  int n_made = 0;
  at::Tensor origins = at::rand({2, kHeight, kWidth, 3}), directions = at::rand({2, kHeight, kWidth, 3}) - 2;
  RenderRequest request{2, {kHeight, kWidth}, [this] {
                          ++n_made;
                          return Rays{origins, directions};
                        }};
};

TEST(RenderRequest, RaysAreMadeOnceWhenTheyAreAskedFor) {
  Counted counted;
  const RenderRequest copy = counted.request;
  const RenderRequest part = counted.request.image(1).part({1, 0, 2, kWidth});
  EXPECT_EQ(part.height(), 2);
  EXPECT_EQ(counted.n_made, 0);
  EXPECT_TRUE(part.rays().origins.equal(counted.origins.narrow(0, 1, 1).narrow(1, 1, 2)));
  EXPECT_TRUE(part.rays().directions.equal(counted.directions.narrow(0, 1, 1).narrow(1, 1, 2)));
  EXPECT_TRUE(copy.rays().origins.equal(counted.origins));
  EXPECT_EQ(counted.n_made, 1);
}

TEST(RenderRequest, PartsKnowTheirPlaceAndTakeWhatGoesWithTheirImages) {
  Counted counted;
  RenderRequest& request = counted.request;
  request.c2w = at::rand({2, 4, 4}), request.mvp = at::rand({2, 4, 4});
  request.light_positions = at::rand({2, 3}), request.background = at::rand({2, kHeight, kWidth, 3});
  const RenderRequest part = request.part({1, 1, 4, 4}).part({2, 1, 2, 3}).image(1);
  EXPECT_EQ(part.whole().height, kHeight);
  EXPECT_EQ(part.whole().width, kWidth);
  EXPECT_EQ(part.window().y, 3);
  EXPECT_EQ(part.window().x, 2);
  EXPECT_EQ(part.n_images(), 1);
  const auto cut = [](const at::Tensor& t) { return t.narrow(0, 1, 1).narrow(1, 3, 2).narrow(2, 2, 3); };
  EXPECT_TRUE(part.rays().directions.equal(cut(counted.directions)));
  EXPECT_TRUE(part.background.equal(cut(request.background)));
  EXPECT_TRUE(part.c2w.equal(request.c2w.narrow(0, 1, 1)));
  EXPECT_TRUE(part.mvp.equal(request.mvp.narrow(0, 1, 1)));
  EXPECT_TRUE(part.light_positions.equal(request.light_positions.narrow(0, 1, 1)));
  EXPECT_THROW(request.part({2, 0, kHeight, kWidth}), BugError);
}

TEST(RenderRequest, OtherSizesSeeTheSameAlongUnitRaysWhereThatIsWanted) {
  Counted counted;
  const RenderRequest small = counted.request.resized({2, 3});
  EXPECT_EQ(small.whole().width, 3);
  EXPECT_TRUE(small.rays().origins.equal(resized_images(counted.origins, {2, 3})));
  const RenderRequest unit = small.with_unit_rays();
  EXPECT_TRUE(unit.rays().directions.equal(field::unit_rows(small.rays().directions)));
  EXPECT_TRUE(unit.rays().origins.equal(small.rays().origins));
  EXPECT_THROW(counted.request.part({0, 0, 2, 2}).resized({1, 1}), BugError);
}

TEST(RenderRequest, RaysOfAnotherSizeAreABug) {
  const RenderRequest request(1, {2, 2}, [] {
    return Rays{at::zeros({1, 2, 3, 3}), at::zeros({1, 2, 3, 3})};
  });
  EXPECT_THROW(request.rays(), BugError);
}

}  // namespace
}  // namespace t3d::render
