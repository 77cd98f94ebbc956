#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <utility>

#include "t3d/data/transforms_keys.h"
#include "tests/support/dataset_folder.h"
#include "tests/support/format_table.h"

/// What is read of transforms JSON files: the section of docs/formats.md.
namespace t3d::data {
namespace {

using ::testing::AllOf;
using testing::DatasetFolder;
using testing::FormatCase;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string good_frame(const std::string& more = "") {
  return DatasetFolder::frame("a.png", 4, more);
}

/// What is said about a data set of one image whose file has the key.
std::string said_about(const TransformsKey& key, const char* value) {
  const DatasetFolder set;
  set.image("a.png");
  set.file("sky.exr", "");
  const std::string name = key.name, entry = cat("\"", name, "\": ", value, ", ");
  if (name == "frames" || name == "file_path" || name.rfind("transform_matrix", 0) == 0) {
    set.transforms(
        good_frame(name == "transform_matrix_end" || name == "transform_matrix_start" ? entry : ""));
  } else if (name == "val_filenames" || name == "test_filenames") {
    set.image("b.png");
    set.transforms(good_frame() + "," + DatasetFolder::frame("b.png"),
                   cat(R"("fl_x": 10, "train_filenames": ["b.png"], )", entry));
  } else {
    set.transforms(good_frame(), cat(name == "fl_x" ? "" : R"("fl_x": 10, )", entry,
                                     name == "w"   ? R"("h": 6, )"
                                     : name == "h" ? R"("w": 8, )"
                                                   : ""));
  }
  return set.message();
}

template <size_t I>
void check_key() {
  const TransformsKey& key = transforms_keys().at(I);
  const std::string said = said_about(key, key.example);
  EXPECT_THAT(said, Not(HasSubstr("not known"))) << key.name;
  if (key.use == KeyUse::Refused) {
    EXPECT_THAT(said, AllOf(StartsWith("error: "), HasSubstr(key.name))) << key.name;
  } else {
    EXPECT_THAT(said, Not(StartsWith("error: "))) << key.name;
    const bool is_said = said.find(cat(key.name, " is ignored")) != std::string::npos;
    EXPECT_EQ(is_said, key.use == KeyUse::Noted && std::string(key.name) != "time")
        << key.name << ": " << said;
  }
}

constexpr size_t kMostKeys = 100;

template <size_t... I>
void add_keys(std::vector<FormatCase>& cases, std::index_sequence<I...>) {
  constexpr void (*kChecks[])() = {check_key<I>...};
  const auto& keys = transforms_keys();
  for (size_t i = 0; i < keys.size(); ++i)
    cases.push_back({cat("`", keys[i].name, "` (", keys[i].writers, ")"), keys[i].what, kChecks[i]});
}

/// A transforms file of one image a.png (8x6), which may be changed.
std::string said(const std::string& keys, const std::string& frame = good_frame()) {
  const DatasetFolder set;
  set.image("a.png");
  set.transforms(frame, keys);
  return set.message();
}

void unknown_keys() {
  EXPECT_THAT(said(R"("fl_x": 10, "colour": 1, "flavour": [2], )"),
              HasSubstr("transforms.json: the keys colour, flavour are not known and ignored"));
  EXPECT_THAT(said(R"("fl_x": 10, )", good_frame(R"("smell": "good", )")),
              HasSubstr("the key smell is not known"));
}

void numbers_that_json_lacks() {
  EXPECT_EQ(said(R"("fl_x": 10, "sharpness": NaN, "near": -Infinity, "far": Infinity, )"), "");
  EXPECT_EQ(said(R"("fl_x": 10, "k1": null, "scale": null, "mask_path": null, )"), "");
  EXPECT_THAT(said(R"("fl_x": NaN, )"), HasSubstr("fl_x is \"NaN\" where a number was expected"));
  EXPECT_THAT(said(R"("fl_x": 10, "aabb_scale": Infinity, )"), HasSubstr("aabb_scale is \"Infinity\""));
  EXPECT_THAT(
      said(R"("fl_x": 10, )",
           R"({"file_path": "a.png", "transform_matrix": [[0,0,1,NaN],[1,0,0,0],[0,1,0,0],[0,0,0,1]]})"),
      HasSubstr("transform_matrix[0][3] is \"NaN\""));
}

void lens_models() {
  for (const char* name : {"PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "opencv",
                           "FULL_OPENCV", "OPENCV_FISHEYE", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE"})
    EXPECT_EQ(said(cat(R"("fl_x": 10, "k1": 0.01, "camera_model": ")", name, R"(", )")), "") << name;
  for (const char* name : {"EQUIRECTANGULAR", "FISHEYE624", "ORTHOPHOTO", "VR180_L", "FOV"})
    EXPECT_THAT(said(cat(R"("fl_x": 10, "camera_model": ")", name, R"(", )")), HasSubstr(name)) << name;
  const auto lens = [](const std::string& keys) {
    const DatasetFolder set;
    set.image("a.png");
    set.transforms(good_frame(), keys);
    return set.read().train[0].camera.lens;
  };
  const Lens fisheye = lens(R"("fl_x": 10, "k1": 0.1, "k4": 0.4, "camera_model": "OPENCV_FISHEYE", )");
  EXPECT_TRUE(fisheye.is_fisheye);
  EXPECT_EQ(fisheye.k4, 0.4f);
  EXPECT_TRUE(lens(R"("fl_x": 10, "is_fisheye": true, "camera_angle_x": 3.5, )").is_fisheye);
  EXPECT_EQ(lens(R"("fl_x": 10, "k4": 0.4, )").k4, 0.4f);
  EXPECT_EQ(lens(R"("fl_x": 10, "k4": 0.4, "k5": 0.5, "k6": 0.6, )").d3, 0.6f);
  EXPECT_EQ(lens(R"("fl_x": 10, "distortion_params": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], )").p2, 0.6f);
  EXPECT_THAT(said(R"("fl_x": 10, "distortion_params": [0.1, 0.2], )"), HasSubstr("k1, k2, k3, k4, p1, p2"));
  EXPECT_THAT(said(R"("fl_x": 10, "is_fisheye": true, "p1": 0.1, )"), HasSubstr("fisheye lens with p1"));
}

void resized_images() {
  const auto read = [](int width, int height, const char* keys) {
    const DatasetFolder set;
    set.image("a.png", width, height);
    set.transforms(good_frame(), keys);
    return set.message();
  };
  const char* keys = R"("fl_x": 100, "fl_y": 100, "cx": 50, "cy": 30, "w": 100, "h": 60, )";
  EXPECT_THAT(read(50, 30, keys),
              HasSubstr("lenses scaled to the size of their images: the first is for 100x60"));
  EXPECT_THAT(read(200, 120, keys), HasSubstr("lenses scaled"));
  EXPECT_THAT(read(33, 20, keys), HasSubstr("lenses scaled"));  // 33.3 by 20
  EXPECT_THAT(read(60, 60, keys), HasSubstr("the image a.png is 60x60 pixels and its lens is for 100x60"));
  EXPECT_THAT(read(60, 100, keys), HasSubstr("It lies on its side"));
  EXPECT_THAT(read(100, 64, keys), HasSubstr("of that size or aspect"));
  const DatasetFolder set;
  set.image("a.png", 50, 30);
  set.transforms(good_frame(), keys);
  const Lens lens = set.read().train[0].camera.lens;
  EXPECT_FLOAT_EQ(lens.fx, 50);
  EXPECT_FLOAT_EQ(lens.cy, 15);
  EXPECT_EQ(lens.width, 50);
}

void photographs_on_their_side() {
  const auto read = [](int width, int height, int orientation, const char* keys) {
    const DatasetFolder set;
    set.photograph("a.jpg", width, height, orientation);
    set.transforms(DatasetFolder::frame("a.jpg"), keys);
    return std::pair(set.message(), set.read().train[0].rgba.width);
  };
  const char* upright = R"("fl_x": 60, "w": 60, "h": 80, )";
  const char* on_its_side = R"("fl_x": 60, "w": 80, "h": 60, )";
  for (const int orientation : {6, 8}) {
    const auto turned = read(80, 60, orientation, upright);
    EXPECT_EQ(turned.second, 60);
    EXPECT_THAT(turned.first, HasSubstr("1 image turned as EXIF says"));
    const auto stored = read(80, 60, orientation, on_its_side);
    EXPECT_EQ(stored.second, 80);
    EXPECT_THAT(stored.first, HasSubstr("stays as stored though EXIF"));
  }
  EXPECT_EQ(read(40, 30, 6, upright).second, 30);  // and reduced
  EXPECT_EQ(read(80, 60, 6, R"("fl_x": 60, )").second, 80);
  EXPECT_EQ(read(60, 80, 1, upright).first, "");
}

void one_colour_behind_an_object() {
  const auto read = [](uint8_t backdrop, double distance, bool has_alpha) {
    const DatasetFolder set;
    io::Image8 image(20, 20, has_alpha ? 4 : 3);
    for (int y = 0; y < 20; ++y)
      for (int x = 0; x < 20; ++x)
        for (int c = 0; c < image.channels; ++c) {
          const bool is_object = x > 4 && x < 15 && y > 4 && y < 15;
          image.at(x, y)[c] = is_object ? static_cast<uint8_t>(c == 3 ? 255 : 10 * x) : c == 3 ? 0 : backdrop;
        }
    set.image("a.png", image);
    set.transforms(DatasetFolder::frame("a.png", distance), R"("fl_x": 25, "scale": 0.33, )");
    return set.read().backdrop;
  };
  ASSERT_TRUE(read(255, 4, false));
  EXPECT_EQ(read(255, 4, false)->x(), 1);
  EXPECT_EQ(read(0, 4, false)->y(), 0);
  EXPECT_FALSE(read(0, 4, true));
  EXPECT_FALSE(read(0, 1, false));  // the camera stands in the box, whose walls can show it
}

void paths() {
  const auto read = [](const std::string& written, const std::string& image) {
    const DatasetFolder set;
    set.image("data/" + image);
    set.file("data/transforms.json", cat(R"({"fl_x": 10, "frames": [)", DatasetFolder::frame(written), "]}"));
    return data::read_posed_images(set.path("data"), {0}).train.size();
  };
  EXPECT_EQ(read("images/a.png", "images/a.png"), 1u);
  EXPECT_EQ(read("./images/a", "images/a.png"), 1u);
  EXPECT_EQ(read(".\\\\images\\\\a.png", "images/a.png"), 1u);
  EXPECT_EQ(read("../images/a.png", "../images/a.png"), 1u);
  EXPECT_EQ(read("images/A.PNG", "images/a.png"), 1u);
  EXPECT_EQ(read("images/my%20a.png", "images/my a.png"), 1u);
  EXPECT_EQ(read("C:\\\\data\\\\images\\\\a.png", "images/a.png"), 1u);
  EXPECT_EQ(read("/home/of/another/images/a.png", "images/a.png"), 1u);
  const DatasetFolder set;
  set.image("elsewhere/a.png");
  set.file("data/transforms.json",
           cat(R"({"fl_x": 10, "frames": [)", DatasetFolder::frame(set.path("elsewhere/a.png")), "]}"));
  EXPECT_EQ(data::read_posed_images(set.path("data"), {0}).train.size(), 1u);
}

void other_folders() {
  for (const char* folder : {"images_4", "input", "rgb", "photos of tuesday"}) {
    const DatasetFolder set;
    set.image(cat(folder, "/a.png"));
    set.transforms(DatasetFolder::frame("images/a.png"));
    EXPECT_THAT(set.message(), HasSubstr(cat("1 of 1 were found in ", folder, "/"))) << folder;
  }
}

void one_image_for_two_frames() {
  const DatasetFolder set;
  set.image("a.png");
  set.transforms(DatasetFolder::frame("left/a.png") + "," + DatasetFolder::frame("right/a.png"));
  EXPECT_THAT(set.message(), HasSubstr("both lead to the image"));
}

/// A mask of the left half.
void left_half(const DatasetFolder& set, const std::string& name, int width, int height, int black,
               int white) {
  set.grey(name, width, height, [=](int x, int) { return x < width / 2 ? black : white; });
}

void masks() {
  const auto counting = [](const std::string& keys, const std::string& more, int black, int white, int width,
                           int height) {
    const DatasetFolder set;
    set.image("a.png", 8, 6);
    left_half(set, "masks/a.png", width, height, black, white);
    set.transforms(good_frame(more), keys);
    const PosedImages images = set.read();
    EXPECT_THAT(DatasetFolder::notes(images), HasSubstr("masks hide pixels of 1 image"));
    const io::Image8& mask = images.train[0].mask;
    EXPECT_EQ(mask.width, 8);
    return std::count(mask.pixels.begin(), mask.pixels.end(), 255);
  };
  const char* lens = R"("fl_x": 10, )";
  EXPECT_EQ(counting(lens, R"("mask_path": "masks/a.png", )", 0, 255, 8, 6), 24);
  EXPECT_EQ(counting(lens, R"("mask_path": "masks/a.png", )", 0, 1, 8, 6), 24);        // of numbers
  EXPECT_EQ(counting(lens, R"("mask_path": "masks/a.png", )", 5, 250, 8, 6), 24);      // of shades
  EXPECT_EQ(counting(lens, R"("mask_path": "masks/a.png", )", 0, 255, 16, 12), 24);    // of another size
  EXPECT_EQ(counting(lens, R"("mask_path": ".\\masks\\a.png", )", 0, 255, 8, 6), 24);  // of Windows
  EXPECT_EQ(counting(R"("fl_x": 10, "mask_path": "masks/a.png", )", "", 0, 255, 8, 6), 24);  // for all frames
}

void masks_of_instant_ngp() {
  const DatasetFolder set;
  set.image("images/a.jpg.png");
  set.image("images/b.png");
  left_half(set, "images/dynamic_mask_b.png", 8, 6, 0, 255);
  set.transforms(DatasetFolder::frame("images/b.png"));
  const io::Image8 mask = set.read().train[0].mask;
  EXPECT_EQ(*mask.at(0, 0), 255);
  EXPECT_EQ(*mask.at(7, 0), 0);
}

void masks_that_hide_nothing() {
  // The outline of an object on transparent ground, as t3d render --mask writes it.
  const auto read = [](bool is_object) {
    const DatasetFolder set;
    io::Image8 rgba(8, 8, 4);
    for (int y = 0; y < 8; ++y)
      for (int x = 0; x < 8; ++x) {
        const bool is_inside = x >= 2 && x < 6 && y >= 2 && y < 6;
        rgba.at(x, y)[3] = is_inside == is_object ? 255 : 0;
      }
    set.image("a.png", rgba);
    set.grey("m.png", 8, 8, [&](int x, int y) { return rgba.at(x, y)[3]; });
    set.transforms(good_frame(R"("mask_path": "m.png", )"));
    return set.message();
  };
  EXPECT_THAT(read(true), HasSubstr("hide nothing"));
  EXPECT_THAT(read(false), HasSubstr("masks hide pixels"));  // a hole in photographs
}

void masks_that_fail() {
  EXPECT_THAT(said(R"("fl_x": 10, )", good_frame(R"("mask_path": "masks/none.png", )")),
              AllOf(HasSubstr("mask_path"), HasSubstr("none.png")));
  const auto with_mask = [](int width, int height, int value) {
    const DatasetFolder set;
    set.image("a.png");
    set.grey("m.png", width, height, [=](int, int) { return value; });
    set.transforms(good_frame(R"("mask_path": "m.png", )"));
    return set.message();
  };
  EXPECT_THAT(with_mask(6, 8, 255), HasSubstr("the mask is 6x8 pixels and its image 8x6"));
  EXPECT_THAT(with_mask(8, 6, 0), HasSubstr("the masks leave no pixel of a.png"));
}

void fisheye_circle() {
  const DatasetFolder set;
  set.image("a.png", 40, 40);
  set.transforms(good_frame(), R"("fl_x": 6, "is_fisheye": true, )");  // the corner is 4.7 rad from the axis
  EXPECT_EQ(*set.read().train[0].mask.at(0, 0), 0);
  EXPECT_EQ(*set.read().train[0].mask.at(20, 20), 255);
  set.transforms(good_frame(), R"("fl_x": 60, "is_fisheye": true, )");
  EXPECT_TRUE(set.read().train[0].mask.empty());
  set.transforms(good_frame(), R"("fl_x": 60, "is_fisheye": true, "fisheye_crop_radius": 10, )");
  EXPECT_EQ(*set.read().train[0].mask.at(20, 5), 0);
  EXPECT_EQ(*set.read().train[0].mask.at(20, 15), 255);
}

void splits_by_names() {
  const DatasetFolder set;
  std::string frames;
  for (const char* name : {"a", "b", "c", "d"}) {
    set.image(cat("images/", name, ".png"));
    frames += cat(frames.empty() ? "" : ",", DatasetFolder::frame(cat("images/", name, ".png")));
  }
  set.transforms(frames, R"("fl_x": 10, "train_filenames": ["images/a.png", "./images/b.png"],
                 "val_filenames": ["images/c.png"], "test_filenames": [], )");
  const PosedImages images = set.read();
  EXPECT_EQ(images.train.size(), 2u);
  ASSERT_EQ(images.test.size(), 1u);
  EXPECT_EQ(images.test[0].name, "images/c.png");
  EXPECT_THAT(DatasetFolder::notes(images), HasSubstr("1 in none of them are left out"));
  set.transforms(frames, R"("fl_x": 10, "train_filenames": ["x.png"], )");
  EXPECT_THAT(set.message(), HasSubstr("train_filenames names none of the 4 images"));
}

void images_left_out() {
  const auto read = [](const std::string& keys) {
    const DatasetFolder set;
    std::string frames;
    for (int i = 0; i < 8; ++i) {
      set.image(cat(i, ".png"));
      frames += cat(i > 0 ? "," : "",
                    DatasetFolder::frame(cat(i, ".png"), 4, cat(R"("sharpness": )", i == 3 ? 1 : 100, ", ")));
    }
    set.transforms(frames, R"("fl_x": 10, )" + keys);
    return set.read();
  };
  EXPECT_EQ(read("").train.size(), 8u);
  EXPECT_EQ(read(R"("n_frames": 5, )").train.size(), 5u);
  const PosedImages sharp = read(R"("sharpness_discard_threshold": 0.5, )");
  EXPECT_EQ(sharp.train.size(), 7u);
  EXPECT_THAT(DatasetFolder::notes(sharp), HasSubstr("leaves out 1 of 8 images"));
}

void transparent_colours() {
  const DatasetFolder set;
  io::Image8 rgb(8, 6, 3);
  rgb.pixels.assign(rgb.pixels.size(), 255);
  rgb.at(4, 3)[0] = 10;
  set.image("a.png", rgb);
  set.transforms(good_frame(), R"("fl_x": 10, "white_transparent": true, )");
  const PosedImages images = set.read();
  EXPECT_TRUE(images.has_alpha);
  EXPECT_EQ(images.train[0].rgba.at(0, 0)[3], 0);
  EXPECT_EQ(images.train[0].rgba.at(4, 3)[3], 255);
}

void moving_things() {
  const DatasetFolder set;
  set.image("a.png");
  set.image("b.png");
  const auto frames = [](int other) {
    return DatasetFolder::frame("a.png", 4, R"("time": 0, )") + "," +
           DatasetFolder::frame("b.png", 4, cat(R"("time": )", other, ", "));
  };
  set.transforms(frames(1));
  EXPECT_THAT(set.message(), HasSubstr("time is ignored: the scene is taken to stand still"));
  set.transforms(frames(0));
  EXPECT_EQ(set.message(), "");
}

void rays_of_instant_ngp() {
  const DatasetFolder set;
  set.image("a.png");
  set.file("rays_a.dat", "x");
  set.transforms(good_frame());
  EXPECT_THAT(set.message(), AllOf(StartsWith("error: "), HasSubstr("rays_a.dat")));
  set.transforms(good_frame(), R"("fl_x": 10, "enable_ray_loading": false, )");
  EXPECT_EQ(set.message(), "");
}

void mitsuba() {
  const DatasetFolder set;
  set.image("a.png");
  // Mitsuba's axes (left, up, forward) at (0, 0, -4) that looks along +z, in a world whose y is up.
  const std::string frame =
      R"({"file_path": "a.png", "transform_matrix": [[1,0,0,0],[0,1,0,0],[0,0,1,-4],[0,0,0,1]]})";
  set.transforms(frame, R"("fl_x": 10, "from_mitsuba": true, "scale": 0.5, )");
  const Camera camera = set.read().train[0].camera;
  EXPECT_NEAR((camera.position() - Vec3f(-2, 0, 0)).norm(), 0, 1e-5);
  EXPECT_NEAR((camera.ray(4, 3).direction - Vec3f(1, 0, 0)).norm(), 0, 1e-5);
  EXPECT_GT(camera.ray(4, 0.5f).direction.z(), 0.1f);  // upwards
  EXPECT_GT(camera.ray(0.5f, 3).direction.y(), 0.1f);  // Mitsuba's left is +x, which becomes +y
  set.transforms(frame, R"("fl_x": 10, "scale": 0.5, )");
  EXPECT_THAT(set.message(), HasSubstr("nothing could be learned"));  // looks the other way
}

TEST(TransformsFormat, DoesWhatTheTableSays) {
  std::vector<FormatCase> cases = {
      {"NaN, Infinity, -Infinity, null",
       "read in keys that nothing needs; refused by name in others; null is absent", numbers_that_json_lacks},
      {"a key that no known program writes", "named once and ignored", unknown_keys},
      {"lenses", "perspective with OpenCV's k1 to k6, p1, p2; OpenCV's fisheye; all others refused by name",
       lens_models},
      {"images of another size than w, h", "same aspect: the lens is scaled, said; another: refused",
       resized_images},
      {"photographs that EXIF turns",
       "sizes decide: as stored where that fits the lens, otherwise turned; said", photographs_on_their_side},
      {"opaque images of an object before one colour",
       "the colour is taken for what lies behind the box, said", one_colour_behind_an_object},
      {"paths with backslashes, `..`, percent signs, other letter case, of another machine, absolute",
       "found", paths},
      {"images in another folder than the file says", "found by their names, the folder is said",
       other_folders},
      {"two frames that lead to one image", "refused", one_image_for_two_frames},
      {"masks (`mask_path`)",
       "black pixels neither train nor score; 0 and 1, greys, other sizes of the same aspect", masks},
      {"`dynamic_mask_NAME.png` beside NAME", "white pixels neither train nor score, as instant-ngp",
       masks_of_instant_ngp},
      {"masks that repeat an image's transparency around an object", "hide nothing, said",
       masks_that_hide_nothing},
      {"masks that are missing, of another aspect, or all black", "refused", masks_that_fail},
      {"fisheye images wider than their lens", "what lies outside of the lens's circle does not count",
       fisheye_circle},
      {"lists of names for train, val, test", "the splits", splits_by_names},
      {"`n_frames`, `sharpness_discard_threshold`", "leave images out, said", images_left_out},
      {"`white_transparent`, `black_transparent`", "these colours become transparent", transparent_colours},
      {"frames of different `time`", "read as a scene that stands still, said", moving_things},
      {"`rays_NAME.dat` beside an image", "refused unless `enable_ray_loading` is false",
       rays_of_instant_ngp},
      {"cameras of Mitsuba", "converted", mitsuba},
  };
  ASSERT_LE(transforms_keys().size(), kMostKeys);
  add_keys(cases, std::make_index_sequence<kMostKeys>());
  testing::run_format_cases("transforms", cases);
}

}  // namespace
}  // namespace t3d::data
