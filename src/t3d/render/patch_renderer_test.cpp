#include "t3d/render/patch_renderer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "t3d/core/config/read_yaml.h"
#include "t3d/core/error.h"
#include "tests/support/request_along.h"

namespace t3d::render {
namespace {

config::Node parse(const std::string& text) {
  return config::read_yaml(text, "test.yaml");
}

const char* const kBase = "{num_samples_per_ray: 48, randomized: false}";
constexpr int64_t kPatch = 7, kHeight = 16, kWidth = 20;

/// A blob with a point light, whose kind of shading is drawn, before a background whose colour is.
struct LitScene {
  field::BuildContext context{7};
  std::unique_ptr<field::Geometry> geometry =
      field::geometries().make("volume-grid", parse("{grid_size: [12, 12, 12]}"), "test", context);
  std::unique_ptr<shading::Material> material =
      shading::materials().make("diffuse-with-point-light-material",
                                parse("{ambient_only_steps: 0, soft_shading: true}"), "test", context);
  std::unique_ptr<shading::Background> background =
      shading::backgrounds().make("solid-color-background", parse("{random_aug: true}"), "test", context);

  LitScene() { material->update_step(1); }
  std::unique_ptr<Renderer> renderer(const std::string& type, const std::string& yaml) {
    const Scene scene{geometry.get(), material.get(), background.get()};
    auto made = renderers().make(type, parse(yaml), "system.renderer", scene, context);
    made->update_grid(0);
    return made;
  }
  std::unique_ptr<Renderer> patches(const std::string& more = "") {
    return renderer("patch-renderer", cat("{base_renderer_type: nerf-volume-renderer, base_renderer: ", kBase,
                                          ", patch_size: ", kPatch, more, "}"));
  }
};

/// Two views from x = 3.
RenderRequest camera() {
  auto origins = at::zeros({2, kHeight, kWidth, 3});
  origins.select(3, 0).fill_(3);
  auto towards = at::full({2, kHeight, kWidth, 3}, -3.f);
  towards.select(3, 1).copy_(at::linspace(-1, 1, kWidth).view({1, 1, kWidth}));
  towards.select(3, 2).copy_(at::linspace(-1, 1, kHeight).view({1, kHeight, 1}));
  auto request = testing::request_along(origins, field::unit_rows(towards));
  request.light_positions = at::tensor({3.f, 0.f, 1.f, 0.f, 3.f, 1.f}).reshape({2, 3});
  return request;
}

/// The place that the renderer draws, first of all.
std::pair<int64_t, int64_t> place(Rng rng) {
  const auto y = rng.below(kHeight - kPatch + 1), x = rng.below(kWidth - kPatch + 1);
  return {y, x};
}

TEST(PatchRenderer, ThePatchIsTheBaseRenderersAndTheRestIsTheSmallPictureMadeLarge) {
  LitScene scene;
  for (uint64_t seed = 0; seed < 6; ++seed) {  // several kinds of shading and background
    Rng rng(seed);
    const auto [y, x] = place(rng);
    const auto out = (*scene.patches(", global_downsample: 2"))(camera(), true, rng);
    EXPECT_EQ(out.comp_rgb.sizes(), (std::vector<int64_t>{2, kHeight, kWidth, 3}));

    auto request = camera();
    request.image_draws = Rng(seed, uint64_t{1} << 40);
    Rng unused(0);
    auto base = scene.renderer("nerf-volume-renderer", kBase);
    const auto whole = (*base)(request, true, unused);
    const auto patch_of = [y = y, x = x](const at::Tensor& t) {
      return t.narrow(1, y, kPatch).narrow(2, x, kPatch);
    };
    for (const auto& [ours, theirs] : {std::pair{out.comp_rgb, whole.comp_rgb},
                                       {out.opacity, whole.opacity},
                                       {out.depth, whole.depth},
                                       {out.comp_rgb_bg, whole.comp_rgb_bg}})
      EXPECT_TRUE(at::allclose(patch_of(ours), patch_of(theirs), 1e-4, 1e-5));
    // Away from the patch it is blurred, but the same picture.
    const auto error = (out.opacity - whole.opacity).abs();
    EXPECT_LT(error.mean().item<float>(), 0.05f);
    EXPECT_GT(error.max().item<float>(), 1e-4f);
    EXPECT_TRUE(at::allclose(out.comp_rgb_bg, whole.comp_rgb_bg));  // one colour for both parts
    // Samples are the small picture's.
    EXPECT_LT(out.ray_indices.max().item<int64_t>(), 2 * (kHeight / 2) * (kWidth / 2));
  }
}

TEST(PatchRenderer, DetachedPixelsGiveNoGradient) {
  const auto gradient = [](const std::string& more, bool of_patch) {
    LitScene scene;
    Rng rng(3);
    const auto [y, x] = place(rng);
    const auto out = (*scene.patches(more))(camera(), true, rng);
    const auto patch = out.opacity.narrow(1, y, kPatch).narrow(2, x, kPatch).sum();
    (of_patch ? patch : out.opacity.sum() - patch).backward();
    return scene.geometry->parameters().at("grid").grad().abs().sum().item<float>();
  };
  EXPECT_GT(gradient("", true), 1e-3f);
  EXPECT_GT(gradient("", false), 1e-3f);
  EXPECT_GT(gradient(", global_detach: true", true), 1e-3f);
  EXPECT_NEAR(gradient(", global_detach: true", false), 0, 1e-5f);
}

TEST(PatchRenderer, EvaluationIsTheBaseRenderers) {
  LitScene scene;
  Rng a(1), b(1);
  const auto out = (*scene.patches())(camera(), false, a);
  const auto base = (*scene.renderer("nerf-volume-renderer", kBase))(camera(), false, b);
  EXPECT_TRUE(out.comp_rgb.equal(base.comp_rgb));
}

TEST(PatchRenderer, PicturesSmallerThanThePatchAreRenderedWhole) {
  LitScene scene;
  Rng rng(1);
  const auto out = (*scene.renderer(
      "patch-renderer", cat("{base_renderer_type: nerf-volume-renderer, base_renderer: ", kBase, "}")))(
      camera(), true, rng);
  auto request = camera();
  request.image_draws = Rng(1, uint64_t{1} << 40);
  const auto whole = (*scene.renderer("nerf-volume-renderer", kBase))(request, true, rng);
  EXPECT_TRUE(at::allclose(out.comp_rgb, whole.comp_rgb, 1e-4, 1e-5));
}

TEST(PatchRenderer, NamesTensorsBelowItsBaseAndRefusesToHoldItself) {
  LitScene scene;
  field::NamedTensors parameters, buffers;
  scene.patches()->collect("renderer.", parameters, buffers);
  EXPECT_EQ(buffers.count("renderer.base_renderer.estimator.occs"), 1u);
  EXPECT_THROW(scene.renderer("patch-renderer", "{base_renderer_type: patch-renderer}"), UserError);
  EXPECT_THROW(scene.renderer("patch-renderer", "{}"), UserError);
}

}  // namespace
}  // namespace t3d::render
