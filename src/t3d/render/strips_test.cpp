#include "t3d/render/strips.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/support/request_along.h"

namespace t3d::render {
namespace {

constexpr int64_t kImages = 2, kHeight = 5, kWidth = 4, kSamplesOfARay = 2;

/// Every field of the output, each another function of the rays and of one parameter.
class EveryField : public Renderer {
 public:
  at::Tensor parameter = field::learned(at::full({}, 0.7f));

  bool makes(const std::string&) const override { return true; }
  RenderOutput operator()(const RenderRequest& request, bool, Rng&) override {
    const auto of_rays = request.rays().directions.sum(-1, true);                                // [B,H,W,1]
    const auto of_samples = of_rays.reshape({-1, 1}).repeat_interleave(kSamplesOfARay, 0);       // [N,1]
    const auto rays = at::arange(of_rays.numel(), at::kLong).repeat_interleave(kSamplesOfARay);  // [N]
    RenderOutput out;
    double k = 1;
    for (const OutputField& field : output_fields()) {
      const auto factor = (parameter * k).sin();
      if (field.of == FieldOf::Pixels) field.in(out) = of_rays * factor + request.background * k;
      if (field.of == FieldOf::Samples) field.in(out) = (of_samples * k).cos() * factor;
      if (field.of == FieldOf::Rays) field.in(out) = rays;
      if (field.of == FieldOf::All) field.in(out) = factor;
      ++k;
    }
    return out;
  }
};

at::Tensor loss_of(const at::Tensor& value) {
  return (value * at::arange(1, value.numel() + 1, value.options()).reshape(value.sizes())).sum();
}

RenderRequest views() {
  at::manual_seed(3);
  return testing::request_along(at::rand({kImages, kHeight, kWidth, 3}),
                                at::rand({kImages, kHeight, kWidth, 3}));
}

TEST(OutputFields, AreAllDifferent) {
  RenderOutput out;
  std::set<const at::Tensor*> places;
  std::set<std::string> names;
  for (const OutputField& field : output_fields()) places.insert(&field.in(out)), names.insert(field.name);
  EXPECT_EQ(places.size(), sizeof(RenderOutput) / sizeof(at::Tensor));
  EXPECT_EQ(names.size(), places.size());
}

TEST(Strips, JoinAndHandOnTheGradientOfEveryField) {
  const auto background = [] { return at::full({kImages, kHeight, kWidth, 1}, 0.5f).requires_grad_(true); };
  for (const OutputField& field : output_fields()) {
    SCOPED_TRACE(field.name);
    Rng rng(1);
    EveryField at_once, in_strips;
    RenderRequest request = views();
    const at::Tensor behind = background(), behind_strips = background();
    request.background = behind;
    RenderOutput whole = at_once(request, true, rng);
    const StripRenderer strips(in_strips, views(), behind_strips, /*max_rays=*/2 * kWidth, rng);
    Strips joined = strips.without_graph();
    EXPECT_EQ(joined.n_samples, (std::vector<int64_t>{16, 16, 8, 16, 16, 8}));
    ASSERT_TRUE(field.in(joined.joined).defined());
    EXPECT_TRUE(at::allclose(field.in(joined.joined), field.in(whole)));
    if (field.of == FieldOf::Rays) continue;  // numbers
    loss_of(field.in(whole)).backward();
    loss_of(field.in(joined.joined)).backward();
    strips.backward(joined);
    EXPECT_GT(at_once.parameter.grad().abs().item<float>(), 1e-3f);
    ASSERT_TRUE(in_strips.parameter.grad().defined());
    EXPECT_NEAR(in_strips.parameter.grad().item<float>() / at_once.parameter.grad().item<float>(), 1, 1e-4);
    if (field.of != FieldOf::Pixels) continue;
    EXPECT_TRUE(at::allclose(behind_strips.grad(), behind.grad()));
  }
}

}  // namespace
}  // namespace t3d::render
