#include "t3d/data/posed_images.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "t3d/core/error.h"
#include "t3d/core/remove_tree.h"
#include "t3d/data/dataset.h"

namespace t3d::data {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

/// A folder of its own for each test, empty at the start.
class PosedImagesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(testing::TempDir()) / "t3d_posed_images_test" / info->name();
    remove_tree(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { remove_tree(folder_); }

  void image(const std::string& name, int width = 8, int height = 6, uint8_t alpha = 255) {
    io::Image8 rgba(width, height, 4);
    for (size_t i = 0; i < rgba.pixels.size(); ++i)
      rgba.pixels[i] = i % 4 == 3 ? alpha : static_cast<uint8_t>(i);
    fs::create_directories((folder_ / name).parent_path());
    io::write_png((folder_ / name).string(), rgba);
  }
  void file(const std::string& name, const std::string& text) {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  /// A camera on +x at `distance` that looks at the origin.
  static std::string frame(const std::string& path, double distance = 4, const std::string& more = "") {
    return cat(R"({"file_path": ")", path, R"(", )", more, R"("transform_matrix": [[0,0,1,)", distance,
               "],[1,0,0,0],[0,1,0,0],[0,0,0,1]]}");
  }
  PosedImages read(PosedImagesOptions options = {}) { return read_posed_images(folder_.string(), options); }
  std::string message(PosedImagesOptions options = {}) {
    try {
      read(options);
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }
  fs::path folder_;
};

TEST_F(PosedImagesTest, NerfSyntheticIsRescaledToDistanceOneAndAHalf) {
  for (const char* split : {"train", "val", "test"}) {
    image(cat(split, "/r_0.png"), 8, 6, 100);
    file(cat("transforms_", split, ".json"),
         cat(R"({"camera_angle_x": 1.5707963267948966, "frames": [)", frame(cat("./", split, "/r_0")), "]}"));
  }
  const PosedImages images = read();
  EXPECT_EQ(images.kind, "nerf-synthetic");
  ASSERT_EQ(images.train.size(), 1u);
  ASSERT_EQ(images.val.size(), 1u);
  ASSERT_EQ(images.test.size(), 1u);
  const View& view = images.train[0];
  EXPECT_EQ(view.name, "train/r_0");
  EXPECT_NEAR(view.camera.lens.fx, 4.0f, 1e-5);  // 90 degrees
  EXPECT_NEAR(view.camera.lens.fy, 4.0f, 1e-5);
  EXPECT_NEAR(view.camera.lens.cy, 3.0f, 1e-6);
  EXPECT_NEAR(view.camera.position().x(), 1.5f, 1e-5);
  EXPECT_NEAR(view.camera.ray(4, 3).direction.x(), -1.0f, 1e-6);
  EXPECT_EQ(images.aabb_scale, 1.0f);
  EXPECT_TRUE(images.has_alpha);
  EXPECT_EQ(view.rgba.at(1, 0)[3], 100);
  EXPECT_THAT(describe(images), HasSubstr("8x6"));
}

TEST_F(PosedImagesTest, BoxOfTheFileFillsTheCubeWithAMargin) {
  image("train/000.png");
  file("train/transforms.json",
       cat(R"({"camera_angle_x": 0.8, "aabb": [[0,0,0],[2,1,1]], "frames": [)", frame("000.png"), "]}"));
  image("test/000.png");
  file("test/transforms.json", cat(R"({"camera_angle_x": 0.8, "frames": [)", frame("000.png"), "]}"));
  const PosedImages images = read();
  EXPECT_EQ(images.kind, "nerf-synthetic");
  const Vec4f corner = images.scene_from_world * Vec4f(2, 1, 1, 1);
  EXPECT_NEAR(corner.x(), 0.5f / 1.05f, 1e-5);
  EXPECT_NEAR(corner.y(), 0.25f / 1.05f, 1e-5);
  EXPECT_NEAR(images.scene_scale(), 0.5f / 1.05f, 1e-6);
  EXPECT_EQ(images.test[0].name, "test/000.png");
  EXPECT_NEAR(images.train[0].camera.position().x(), 3 * 0.5 / 1.05, 1e-5);
}

TEST_F(PosedImagesTest, InstantNgpLensScaleAndHoldout) {
  std::string frames;
  for (int i = 0; i < 10; ++i) {
    if (i != 5) image(cat("images/", i, ".png"));
    frames += cat(i ? "," : "", frame(cat("images/", i, ".png"), 3, i == 2 ? R"("fl_x": 20, )" : ""));
  }
  file("transforms.json",
       cat(R"({"fl_x": 10, "fl_y": 11, "cx": 4.5, "cy": 2.5, "w": 8.0, "h": 6.0, "k1": 0.1, "p2": 0.01,
      "aabb_scale": 4, "offset": [0.5, 0.6, 0.5], "frames": [)",
           frames, "]}"));
  PosedImagesOptions options;
  options.holdout = 4;
  const PosedImages images = read(options);
  EXPECT_EQ(images.kind, "instant-ngp");
  EXPECT_EQ(images.aabb_scale, 4.0f);
  ASSERT_EQ(images.missing.size(), 1u);
  EXPECT_EQ(images.missing[0], "images/5.png");
  ASSERT_EQ(images.test.size(), 3u);  // 0, 4, 9 of 0 1 2 3 4 6 7 8 9
  EXPECT_EQ(images.test[2].name, "images/9.png");
  ASSERT_EQ(images.train.size(), 6u);
  EXPECT_EQ(images.train[1].camera.lens.fx, 20.0f);
  EXPECT_EQ(images.train[0].camera.lens.fy, 11.0f);
  EXPECT_EQ(images.train[0].camera.lens.k1, 0.1f);
  EXPECT_NEAR(images.train[0].camera.position().x(), 0.99f, 1e-5);
  EXPECT_NEAR(images.train[0].camera.position().y(), 0.1f, 1e-5);
  EXPECT_FALSE(images.has_alpha);
  options.holdout = 0;
  EXPECT_EQ(read(options).train.size(), 9u);
}

TEST_F(PosedImagesTest, MaxSizeReducesImageAndLensAlike) {
  image("a.png", 80, 60);
  file("transforms.json", cat(R"({"fl_x": 100, "frames": [)", frame("a.png"), "]}"));
  PosedImagesOptions options;
  options.holdout = 0;
  options.max_size = 20;
  const PosedImages images = read(options);
  const View& view = images.train[0];
  EXPECT_EQ(view.rgba.width, 20);
  EXPECT_EQ(view.rgba.height, 15);
  EXPECT_FLOAT_EQ(view.camera.lens.fx, 25.0f);
  EXPECT_FLOAT_EQ(view.camera.lens.cy, 7.5f);
  options.max_bytes = 100;
  EXPECT_THAT(message(options), HasSubstr("decoded images need"));
}

TEST_F(PosedImagesTest, ProblemsAreExplained) {
  const auto with = [&](const std::string& text) {
    file("transforms.json", text);
    PosedImagesOptions options;
    options.holdout = 0;
    return message(options);
  };
  image("a.png");
  const std::string good = frame("a.png");
  const auto set = [&](const std::string& frames, const std::string& keys = R"("fl_x": 10)") {
    return cat("{", keys, ", \"frames\": [", frames, "]}");
  };
  EXPECT_EQ(with(set(good)), "no error");
  EXPECT_THAT(with(set(good).substr(0, 80)), HasSubstr("transforms.json:1:"));
  EXPECT_THAT(with(set("")), HasSubstr("frames is empty"));
  EXPECT_THAT(with(set(good + "," + good)), HasSubstr("is listed already as frames[0]"));
  EXPECT_THAT(with(set(frame(""))), HasSubstr("file name is empty"));
  EXPECT_THAT(with(set(frame("absent.png"))), HasSubstr("none of the 1 images"));
  EXPECT_THAT(with(set(good, R"("fl_x": 10, "w": 9, "h": 6)")),
              HasSubstr("is 8x6 pixels and its lens is for 9x6"));
  EXPECT_THAT(with(set(good, R"("fl_x": 10, "aabb_scale": 3)")), HasSubstr("power of two"));
  EXPECT_THAT(with(set(good, R"("fl_x": "ten")")), HasSubstr("fl_x is \"ten\""));
  EXPECT_THAT(with(set(good, R"("w": 8, "h": 6)")), HasSubstr("lens is missing"));
  const auto matrix = [&](const std::string& m) {
    return with(set(cat(R"({"file_path": "a.png", "transform_matrix": )", m, "}")));
  };
  EXPECT_THAT(matrix("[[1,0,0,0],[0,1,0,0],[0,0,0,0],[0,0,0,1]]"),
              HasSubstr("frames[0].transform_matrix: the camera matrix is singular"));
  EXPECT_THAT(matrix("[[1,0,0,0],[0,1,0,0],[0,0,-1,0],[0,0,0,1]]"), HasSubstr("mirrors"));
  EXPECT_THAT(matrix("[[1,0,0,0],[0,2,0,0],[0,0,1,0],[0,0,0,1]]"), HasSubstr("stretches"));
  EXPECT_THAT(matrix("[[1,0,0,0],[0,1,0,0],[0,0,1,0],[5,0,0,1]]"), HasSubstr("last row"));
  EXPECT_THAT(matrix("[[1,0,0,0],[0,1,0,0],[0,0,1],[0,0,0,1]]"), HasSubstr("four numbers"));
  EXPECT_EQ(matrix("[[2,0,0,0],[0,2,0,0],[0,0,2,0],[0,0,0,1]]"), "no error");
  image("b.png", 9, 6);
  EXPECT_THAT(with(set(good + "," + frame("b.png"))),
              HasSubstr("b.png: the image is 9x6 pixels and a.png is 8x6"));
  fs::remove(folder_ / "transforms.json");
  EXPECT_THAT(message(), HasSubstr("looked for transforms_train.json"));
  EXPECT_THROW(read_posed_images("/no/such/folder"), SystemError);
}

TEST_F(PosedImagesTest, TrainFileStandsForItsFolder) {
  image("a.png");
  for (const char* split : {"train", "test"})
    file(cat("transforms_", split, ".json"), cat(R"({"fl_x": 10, "frames": [)", frame("a.png"), "]}"));
  const PosedImages images = read_posed_images((folder_ / "transforms_train.json").string());
  EXPECT_EQ(images.kind, "nerf-synthetic");
  EXPECT_EQ(images.test.size(), 1u);
}

TEST_F(PosedImagesTest, EmptyTestSplitIsAnError) {
  image("a.png");
  file("transforms_train.json", cat(R"({"fl_x": 10, "frames": [)", frame("a.png"), "]}"));
  file("transforms_val.json", R"({"fl_x": 10, "frames": []})");
  EXPECT_THAT(message(), HasSubstr("no image is left for training"));
  file("transforms_test.json", R"({"fl_x": 10, "frames": []})");
  EXPECT_THAT(message(), HasSubstr("transforms_test.json: frames is empty"));
}

TEST_F(PosedImagesTest, NsvfFitsItsBoxAndFlipsTheCamera) {
  file("intrinsics.txt", "10.0 4. 3. 0.\n0. 0. 0.\n0.\n1.\n8 6\n");
  file("bbox.txt", "-1 -1 -2 1 1 2 0.1\n");
  for (const char* name : {"0_0", "1_0", "2_0"}) {
    image(cat("rgb/", name, ".png"));
    file(cat("pose/", name, ".txt"), "1 0 0 0\n0 1 0 0\n0 0 1 -5\n0 0 0 1\n");
  }
  const PosedImages images = read();
  EXPECT_EQ(images.kind, "nsvf");
  ASSERT_EQ(images.val.size(), 1u);
  const Camera& camera = images.test.at(0).camera;
  EXPECT_NEAR(camera.position().z(), -5 / (4 * 1.05), 1e-5);
  EXPECT_NEAR(camera.ray(4, 3).direction.z(), 1.0f, 1e-6);
  EXPECT_EQ(camera.lens.fx, 10.0f);
}

/// The same small COLMAP model as text and as binary.
class ColmapTest : public PosedImagesTest {
 protected:
  template <class T>
  static void put(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void write_text() {
    file("sparse/0/cameras.txt", "# remark\n7 OPENCV 8 6 10 11 4 3 0.1 0.2 0.01 0.02\n");
    std::string images = "# remark\n";
    for (int i = 0; i < 9; ++i) images += cat(i + 1, " 1 0 0 0 ", 0.1 * i, " 0 5 7 ", i, ".png\n1 2 3\n");
    file("sparse/0/images.txt", images);
  }
  void write_binary() {
    std::string cameras, images;
    put<uint64_t>(cameras, 1), put<uint32_t>(cameras, 7), put<int32_t>(cameras, 4);
    put<uint64_t>(cameras, 8), put<uint64_t>(cameras, 6);
    for (const double v : {10.0, 11.0, 4.0, 3.0, 0.1, 0.2, 0.01, 0.02}) put(cameras, v);
    put<uint64_t>(images, 9);
    for (uint32_t i = 0; i < 9; ++i) {
      put(images, i + 1);
      for (const double v : {1.0, 0.0, 0.0, 0.0, 0.1 * i, 0.0, 5.0}) put(images, v);
      put<uint32_t>(images, 7);
      images += cat(i, ".png");
      images.push_back('\0');
      put<uint64_t>(images, 1);
      put(images, 1.0), put(images, 2.0), put<int64_t>(images, 3);
    }
    file("sparse/0/cameras.bin", cameras);
    file("sparse/0/images.bin", images);
    std::string points;
    put<uint64_t>(points, 10);
    for (int i = 0; i < 10; ++i) {
      put<uint64_t>(points, 1);
      for (const double v : {-0.4, 0.0, 0.0}) put(points, v);
      points += "rgb";
      put(points, 0.5);
      put<uint64_t>(points, 1), put<uint64_t>(points, 0);
    }
    file("sparse/0/points3D.bin", points);
  }
};

TEST_F(ColmapTest, TextAndBinaryAgreeAndEveryEighthImageIsTest) {
  for (int i = 0; i < 9; ++i) image(cat("images/", i, ".png"));
  for (const bool is_text : {true, false}) {
    remove_tree(folder_ / "sparse");
    if (is_text)
      write_text();
    else
      write_binary();
    const PosedImages images = read();
    EXPECT_EQ(images.kind, "colmap");
    ASSERT_EQ(images.test.size(), 2u);
    ASSERT_EQ(images.train.size(), 7u);
    const Camera& camera = images.test[0].camera;
    EXPECT_EQ(camera.lens.k2, 0.2f);
    EXPECT_EQ(camera.lens.p2, 0.02f);
    // COLMAP's y points down: the scene is turned so that the cameras' up is +z.
    const Vec3f up = camera.camera_to_world.block<3, 1>(0, 1);
    EXPECT_NEAR(up.z(), 1.0f, 1e-5);
    EXPECT_NEAR((images.scene_from_world.block<3, 3>(0, 0) / images.scene_scale()).determinant(), 1.0f, 1e-4);
    if (!is_text) {
      float nearest = 1e9f;
      for (const auto& view : images.train) nearest = std::min(nearest, view.camera.position().norm());
      EXPECT_NEAR(nearest, 1.0f, 1e-4);
    }
  }
}

TEST_F(ColmapTest, BinaryCutAnywhereIsAnError) {
  for (int i = 0; i < 9; ++i) image(cat("images/", i, ".png"));
  for (const char* name : {"sparse/0/cameras.bin", "sparse/0/images.bin", "sparse/0/points3D.bin"}) {
    write_binary();
    const auto size = fs::file_size(folder_ / name);
    for (uintmax_t n = 0; n < size; n += 1 + size / 20) {
      write_binary();
      fs::resize_file(folder_ / name, n);
      EXPECT_THROW(read(), UserError) << name << " " << n;
    }
  }
}

TEST_F(ColmapTest, UnsupportedModelAndWildCountsAreExplained) {
  write_text();
  file("sparse/0/cameras.txt", "7 FOV 8 6 10 11 4 3 0.9\n");
  EXPECT_THAT(message(), HasSubstr("cameras.txt:1: the camera model FOV is not supported"));
  file("sparse/0/cameras.bin", std::string(8, '\xff'));
  EXPECT_THAT(message(), HasSubstr("longer than the file"));
}

TEST(NaturalLess, OrdersNumbersByValue) {
  EXPECT_TRUE(natural_less("r_2.png", "r_10.png"));
  EXPECT_FALSE(natural_less("r_10.png", "r_2.png"));
  EXPECT_TRUE(natural_less("a1b", "a01c"));
  EXPECT_FALSE(natural_less("x", "x"));
  EXPECT_TRUE(natural_less("x", "x1"));
}

TEST(Fox, ReadsWhatIsThereAndNamesWhatIsMissing) {
  const std::string folder = std::string(T3D_SOURCE_DIR) + "/../shared/data/fox";
  if (!fs::exists(folder)) GTEST_SKIP() << folder << " is not there";
  PosedImagesOptions options;
  options.max_size = 120;
  const PosedImages fox = read_posed_images(folder, options);
  EXPECT_EQ(fox.train.size(), 43u);
  EXPECT_EQ(fox.test.size(), 7u);
  EXPECT_EQ(fox.missing.size(), 17u);
  EXPECT_EQ(fox.aabb_scale, 4.0f);
  const Lens& lens = fox.train[0].camera.lens;
  EXPECT_EQ(lens.height, 120);
  EXPECT_NEAR(lens.fx, 1375.52f * 68 / 1080, 0.01);
  EXPECT_NEAR(lens.k2, -0.0805099f, 1e-7);
  for (const View& view : fox.train) {
    EXPECT_LT(view.camera.position().cwiseAbs().maxCoeff(), 2.0f) << view.name;
    EXPECT_GT(view.camera.position().norm(), 0.5f) << view.name;
    // Every camera looks at the inner cube.
    const Ray ray = view.camera.ray(lens.cx, lens.cy);
    const float t = -ray.origin.dot(ray.direction);
    EXPECT_LT((ray.origin + t * ray.direction).norm(), 0.5f) << view.name;
  }
}

TEST(CasesFromTheField, AreReadAndSayWhatWasDone) {
  const std::string cases = std::string(T3D_SOURCE_DIR) + "/../shared/cases/";
  if (!fs::exists(cases)) GTEST_SKIP() << cases << " is not there";
  for (const auto& [name, said] : std::vector<std::pair<std::string, std::string>>{
           {"41-backslash-paths", ""},
           {"42-parent-folder", ""},
           {"47-mask-path", "masks hide pixels of 30 images"},
           {"48-nerfstudio-unscaled", "the file gives no scale"},
           {"52b-json-nan", ""},
           {"54-from-mitsuba", "error: "},  // its cameras have OpenGL's axes: converted, they look away
           {"55-images-downscaled", "lenses scaled to the size of their images: the first is for 96x96"},
           {"62h-colmap-trailing-blank-only", ""},
           {"63d-colmap-images-resized",
            "lenses scaled to the size of their images: the first is for 96x96"}}) {
    std::string text;
    try {
      const PosedImages images = read_posed_images(cases + name + "/data");
      EXPECT_EQ(images.train.size() + images.test.size(), 30u) << name;
      for (const std::string& note : images.notes) text += note + "\n";
    } catch (const UserError& error) {
      text = cat("error: ", error.what());
    }
    EXPECT_THAT(text, HasSubstr(said)) << name;
    if (said.empty()) {
      EXPECT_THAT(text, ::testing::Not(HasSubstr("error"))) << name;
    }
  }
}

}  // namespace
}  // namespace t3d::data
