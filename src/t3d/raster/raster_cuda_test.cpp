#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <vector>

#include "t3d/raster/antialias.h"
#include "t3d/raster/interpolate.h"
#include "t3d/raster/rasterize.h"
#include "tests/support/sphere_mesh.h"

/// CUDA against the CPU.
namespace t3d::raster {
namespace {

#define T3D_NEED_CUDA() \
  if (!at::hasCUDA()) GTEST_SKIP() << "no CUDA device"

struct Results {
  std::vector<at::Tensor> images, gradients;
};

/// Two layers of all functions, and the gradients of the first by positions and attributes.
Results results(const at::Tensor& vertices, const at::Tensor& values, const at::Tensor& tri_cpu,
                c10::Device device) {
  const at::Tensor pos = vertices.to(device).detach().clone().set_requires_grad(true);
  const at::Tensor attr = values.to(device).detach().clone().set_requires_grad(true);
  const at::Tensor tri = tri_cpu.to(device);
  DepthPeeler peeler(pos, tri, 130, 170);
  const Rasterized r = peeler.next_layer(), behind = peeler.next_layer();
  const Interpolated out = interpolate_with_derivatives(attr, r.rast, tri, r.rast_db, {2, 0});
  const at::Tensor image = antialias(out.out, r.rast, pos, tri);
  const at::Tensor loss = image.sin().sum() + out.out_da.square().sum();
  Results all{{r.rast, r.rast_db, behind.rast, out.out, out.out_da, image},
              torch::autograd::grad({loss}, {pos, attr})};
  for (auto* list : {&all.images, &all.gradients})
    for (at::Tensor& t : *list) t = t.detach().cpu();
  return all;
}

void expect_same(const at::Tensor& vertices, const at::Tensor& values, const at::Tensor& tri,
                 double tolerance) {
  const Results cpu = results(vertices, values, tri, c10::kCPU),
                cuda = results(vertices, values, tri, c10::kCUDA);
  EXPECT_TRUE(cpu.images[0].select(3, 3).equal(cuda.images[0].select(3, 3)));
  EXPECT_TRUE(cpu.images[2].select(3, 3).equal(cuda.images[2].select(3, 3)));
  for (size_t n = 0; n < cpu.images.size(); ++n)
    EXPECT_TRUE(at::allclose(cpu.images[n], cuda.images[n], tolerance, tolerance)) << "image " << n;
  for (size_t n = 0; n < cpu.gradients.size(); ++n) {
    const at::Tensor error =
        (cpu.gradients[n] - cuda.gradients[n]).abs().max() / cpu.gradients[n].abs().max();
    EXPECT_LT(error.item<double>(), tolerance) << "gradient " << n;
  }
}

TEST(RasterCuda, SeesTheTrianglesOfTheCpu) {
  T3D_NEED_CUDA();
  const auto mesh = testing::sphere_mesh(16);
  const at::Tensor pos = testing::seen_from_around(mesh.vertices, 3), attr = at::rand({1, pos.size(1), 4});
  expect_same(pos, attr, mesh.triangles, 1e-4);
  expect_same(pos.to(at::kDouble), attr.to(at::kDouble), mesh.triangles, 1e-9);
}

TEST(RasterCuda, CutsLargeTrianglesAsTheCpu) {
  T3D_NEED_CUDA();
  // From inside, with triangles that reach behind the camera and fill the image.
  const auto mesh = testing::sphere_mesh(1);
  const at::Tensor pos = testing::seen_from_around(mesh.vertices, 3, 0.3).to(at::kDouble);
  expect_same(pos, at::rand({3, pos.size(1), 3}, at::kDouble), mesh.triangles, 1e-8);
}

}  // namespace
}  // namespace t3d::raster
