#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/dataset_folder.h"
#include "tests/support/format_table.h"

/// What is read of LLFF and NSVF sets: the section of docs/formats.md.
namespace t3d::data {
namespace {

using testing::DatasetFolder;
using ::testing::HasSubstr;

/// Rows of poses_bounds.npy, 17 numbers each.
std::string npy(const std::vector<double>& values, size_t columns = 17, const char* type = "<f8") {
  const std::string header = cat("{'descr': '", type, "', 'fortran_order': False, 'shape': (",
                                 values.size() / columns, ", ", columns, "), }\n");
  std::string out = std::string("\x93NUMPY\x01\0", 8);
  out += static_cast<char>(header.size() & 255);
  out += static_cast<char>(header.size() >> 8);
  out += header;
  out.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double));
  return out;
}

/// A camera at `position` that looks along `forward`, z being up, in LLFF's axes down, right, backward.
void add_row(std::vector<double>& rows, const Vec3d& position, const Vec3d& forward, double near = 2,
             double far = 20) {
  const Vec3d right = forward.cross(Vec3d::UnitZ()).normalized(), up = right.cross(forward).normalized();
  const double sizes[3] = {60, 80, 100};  // height, width, focal length
  for (int r = 0; r < 3; ++r)
    rows.insert(rows.end(), {-up[r], right[r], -forward.normalized()[r], position[r], sizes[r]});
  rows.insert(rows.end(), {near, far});
}

/// Five cameras side by side that look along +y.
std::vector<double> forward_facing() {
  std::vector<double> rows;
  for (int i = 0; i < 5; ++i) add_row(rows, {0.2 * i, -1, 0}, Vec3d::UnitY());
  return rows;
}

void write(const DatasetFolder& set, const std::vector<double>& rows, const std::string& folder = "images",
           int width = 80, int height = 60, int n = 5) {
  set.file("poses_bounds.npy", npy(rows));
  for (int i = 0; i < n; ++i) set.image(cat(folder, "/IMG_", i, ".png"), width, height);
}

void forward_facing_scene() {
  const DatasetFolder set;
  write(set, forward_facing());
  const PosedImages images = set.read();
  EXPECT_EQ(images.kind, "llff");
  ASSERT_EQ(images.train.size(), 5u);
  const Camera& camera = images.train[2].camera;
  EXPECT_FLOAT_EQ(camera.lens.fx, 100);
  EXPECT_FLOAT_EQ(camera.lens.cy, 30);
  // z stays up, the right of the image lies towards +x, and the camera looks along +y at the scene's middle.
  EXPECT_NEAR((camera.ray(40, 30).direction - Vec3f(0, 1, 0)).norm(), 0, 1e-5);
  EXPECT_GT(camera.ray(80, 30).direction.x(), 0.3f);
  EXPECT_GT(camera.ray(40, 0).direction.z(), 0.2f);
  EXPECT_NEAR(camera.position().x(), 0, 1e-4);
  EXPECT_NEAR(camera.position().y(), -1, 0.02);
  EXPECT_GE(images.aabb_scale, 4);  // as far as the depths reach
}

void around_an_object() {
  std::vector<double> rows;
  for (int i = 0; i < 6; ++i) {
    const double a = 1.05 * i;
    const Vec3d from(3 * std::cos(a), 3 * std::sin(a), 1);
    add_row(rows, from + Vec3d(7, 8, 9), -from, 2, 4);
  }
  const DatasetFolder set;
  write(set, rows, "images", 80, 60, 6);
  const PosedImages images = set.read();
  for (const View& view : images.train) EXPECT_NEAR(view.camera.position().norm(), 1, 1e-3);
  const Vec4f centre = images.scene_from_world * Vec4f(7, 8, 9, 1);
  EXPECT_LT(centre.head<3>().norm(), 1e-3f);
}

void factor_folders() {
  const DatasetFolder set;
  write(set, forward_facing(), "images_3", 27, 20);  // 26.7 columns
  set.image("images_16/IMG_0.png");
  EXPECT_THAT(set.message(), HasSubstr("the images are in images_3/"));
  EXPECT_FLOAT_EQ(set.read().train[0].camera.lens.fx, 100 * 27 / 80.0f);
  const DatasetFolder cropped;
  write(cropped, forward_facing(), "images_8", 10, 10);
  EXPECT_THAT(cropped.message(), HasSubstr("is 10x10 pixels and its lens is for 80x60"));
}

void broken_files() {
  const auto said = [](const std::string& bytes, int n = 5) {
    const DatasetFolder set;
    set.file("poses_bounds.npy", bytes);
    for (int i = 0; i < n; ++i) set.image(cat("images/", i, ".png"), 80, 60);
    return set.message();
  };
  const std::string good = npy(forward_facing());
  EXPECT_THAT(said(good, 4), HasSubstr("holds 5 cameras and images/ 4 images"));
  EXPECT_THAT(said(good, 0), HasSubstr("has no images beside it"));
  EXPECT_THAT(said(good.substr(0, good.size() - 1)), HasSubstr("cut short"));
  EXPECT_THAT(said(npy(forward_facing(), 5)), HasSubstr("rows of 17 were expected"));
  EXPECT_THAT(said("not numpy"), HasSubstr("this is no .npy file"));
  std::vector<double> rows = forward_facing();
  rows[15] = NAN;
  EXPECT_THAT(said(npy(rows)), HasSubstr("row 0: the depths are"));
  rows = forward_facing();
  rows[14] = -1;
  EXPECT_THAT(said(npy(rows)), HasSubstr("focal length are"));
  rows = forward_facing();
  rows[17] = 7;
  EXPECT_THAT(said(npy(rows)), HasSubstr("row 1: the camera matrix"));
}

void colmap_beside() {
  const DatasetFolder set;
  write(set, forward_facing());
  set.file("sparse/0/cameras.txt", "1 PINHOLE 80 60 100 100 40 30\n");
  std::string images;
  for (int i = 0; i < 5; ++i) images += cat(i, " 1 0 0 0 ", 0.1 * i, " 0 5 1 IMG_", i, ".png\n\n");
  set.file("sparse/0/images.txt", images);
  EXPECT_EQ(set.read().kind, "colmap");
  EXPECT_EQ(read_posed_images(set.path("poses_bounds.npy"), {0}).kind, "llff");
}

void nsvf() {
  const DatasetFolder set;
  set.file("intrinsics.txt", "10.0 4. 3. 0.\n0. 0. 0.\n0.\n1.\n8 6\n");
  set.file("bbox.txt", "-1 -1 -2 1 1 2 0.1\n");
  for (const char* name : {"0_0", "1_0", "2_0"}) {
    set.image(cat("rgb/", name, ".png"));
    set.file(cat("pose/", name, ".txt"), "1 0 0 0\n0 1 0 0\n0 0 1 -5\n0 0 0 1\n");
  }
  const PosedImages images = set.read();
  EXPECT_EQ(images.kind, "nsvf");
  EXPECT_EQ(images.test.size(), 1u);
}

TEST(LlffNsvfFormat, DoesWhatTheTableSays) {
  testing::run_format_cases(
      "llff-nsvf", {{"`poses_bounds.npy`, cameras side by side",
                     "read; the middle of the depths goes to the origin", forward_facing_scene},
                    {"`poses_bounds.npy`, cameras around an object",
                     "read; what they look at goes to the origin", around_an_object},
                    {"images in `images_4/`, `images_8/`, ... alone",
                     "the least reduced is read, the lens scaled, said", factor_folders},
                    {"other numbers of images than rows, broken arrays, no depths", "refused", broken_files},
                    {"a COLMAP model beside `poses_bounds.npy`",
                     "the model is read, unless the array is named", colmap_beside},
                    {"NSVF: `intrinsics.txt`, `bbox.txt`, `pose/`, `rgb/`", "read", nsvf}});
}

}  // namespace
}  // namespace t3d::data
