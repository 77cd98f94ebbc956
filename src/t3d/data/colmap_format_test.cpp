#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/dataset_folder.h"
#include "tests/support/format_table.h"

/// What is read of COLMAP models: the section of docs/formats.md.
namespace t3d::data {
namespace {

using ::testing::AllOf;
using testing::DatasetFolder;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// Three cameras that look along z at the origin from 5 units away, as lines of images.txt.
struct TextModel {
  std::string camera = "1 PINHOLE 8 6 10 11 4 3";
  std::string end = "\n";         // of every line
  std::string after = "";         // every name
  std::string points = "1 2 -1";  // the second line of each image
  std::vector<std::string> names = {"0.png", "1.png", "2.png"};

  void write(const DatasetFolder& set, const std::string& folder = "sparse/0") const {
    set.file(folder + "/cameras.txt", "# cameras" + end + camera + end);
    std::string images = "# images" + end;
    for (size_t i = 0; i < names.size(); ++i)
      images +=
          cat(i + 1, " 1 0 0 0 ", 0.1 * static_cast<double>(i), " 0 5 1 ", names[i], after, end, points, end);
    set.file(folder + "/images.txt", images);
  }
  void write_images(const DatasetFolder& set, const std::string& folder = "images", int width = 8,
                    int height = 6) const {
    for (const std::string& name : names) set.image(folder + "/" + name, width, height);
  }
};

/// The lens that is read, or the error.
std::string message_for(const std::string& camera) {
  const DatasetFolder set;
  TextModel model;
  model.camera = camera;
  model.write(set);
  model.write_images(set);
  return set.message();
}

Lens lens_for(const std::string& camera) {
  const DatasetFolder set;
  TextModel model;
  model.camera = camera;
  model.write(set);
  model.write_images(set);
  return set.read().train.at(0).camera.lens;
}

void camera_models() {
  EXPECT_EQ(lens_for("1 SIMPLE_PINHOLE 8 6 10 4 3").fy, 10);
  EXPECT_EQ(lens_for("1 SIMPLE_RADIAL 8 6 10 4 3 0.1").k1, 0.1f);
  EXPECT_EQ(lens_for("1 RADIAL 8 6 10 4 3 0.1 0.2").k2, 0.2f);
  EXPECT_EQ(lens_for("1 OPENCV 8 6 10 11 4 3 0.1 0.2 0.01 0.02").p2, 0.02f);
  const Lens full = lens_for("1 FULL_OPENCV 8 6 10 11 4 3 0.1 0.2 0.01 0.02 0.3 0.4 0.5 0.6");
  EXPECT_EQ(full.k3, 0.3f);
  EXPECT_EQ(full.d1, 0.4f);
  EXPECT_EQ(full.d3, 0.6f);
}

void fisheye_models() {
  const Lens opencv = lens_for("1 OPENCV_FISHEYE 8 6 10 11 4 3 0.1 0.2 0.3 0.4");
  EXPECT_TRUE(opencv.is_fisheye);
  EXPECT_EQ(opencv.fy, 11);
  EXPECT_EQ(opencv.k4, 0.4f);
  EXPECT_EQ(opencv.p1, 0);
  EXPECT_TRUE(lens_for("1 SIMPLE_RADIAL_FISHEYE 8 6 10 4 3 0.1").is_fisheye);
  EXPECT_EQ(lens_for("1 RADIAL_FISHEYE 8 6 10 4 3 0.1 0.2").k2, 0.2f);
  const Lens prism = lens_for("1 THIN_PRISM_FISHEYE 8 6 10 11 4 3 0.1 0.2 0.01 0.02 0.3 0.4 0 0");
  EXPECT_EQ(prism.p2, 0.02f);
  EXPECT_EQ(prism.k4, 0.4f);
}

void refused_models() {
  EXPECT_THAT(message_for("1 THIN_PRISM_FISHEYE 8 6 10 11 4 3 0.1 0.2 0.01 0.02 0.3 0.4 0.1 0"),
              HasSubstr("THIN_PRISM_FISHEYE with a thin prism"));
  EXPECT_THAT(message_for("1 FOV 8 6 10 11 4 3 0.9"), HasSubstr("the camera model FOV is not supported"));
  EXPECT_THAT(message_for("1 RAD_TAN_THIN_PRISM_FISHEYE 8 6 10 11 4 3"),
              HasSubstr("RAD_TAN_THIN_PRISM_FISHEYE is not known"));
}

size_t n_read(const TextModel& model) {
  const DatasetFolder set;
  model.write(set);
  model.write_images(set);
  return set.read().train.size();
}

void text_forms() {
  TextModel model;
  model.after = "  \t ";
  EXPECT_EQ(n_read(model), 3u);
  model.after = "";
  model.end = "\r\n";
  EXPECT_EQ(n_read(model), 3u);
  model.end = " \n";
  model.points = "   ";
  EXPECT_EQ(n_read(model), 3u);
  model = {};
  model.names = {"left eye/0 a.png", "1.png"};
  EXPECT_EQ(n_read(model), 2u);
  model.camera = "  1   PINHOLE\t8 6 10 11 4 3  ";
  EXPECT_EQ(n_read(model), 2u);
}

void text_without_points() {
  TextModel model;
  model.points = "";
  EXPECT_EQ(n_read(model), 3u);
  // The lines of points are not there at all.
  const DatasetFolder set;
  model.write(set);
  std::string text = testing::read_text(set.path("sparse/0/images.txt"));
  for (size_t at; (at = text.find("\n\n")) != std::string::npos;) text.erase(at, 1);
  set.file("sparse/0/images.txt", "\xef\xbb\xbf" + text);
  model.write_images(set);
  EXPECT_EQ(set.read().train.size(), 3u);
}

void several_models() {
  const DatasetFolder set;
  TextModel small, large;
  small.names = {"0.png"};
  small.write(set, "sparse/0");
  large.write(set, "sparse/2");
  small.write(set, "sparse/10");
  large.write_images(set);
  EXPECT_THAT(set.message(),
              AllOf(HasSubstr("COLMAP made 3 models"), HasSubstr("sparse/2, the largest with 3 images")));
  EXPECT_EQ(set.read().train.size(), 3u);
  // A model that is named is taken.
  EXPECT_EQ(read_posed_images(set.path("sparse/10"), {0}).train.size(), 1u);
}

void places_of_models() {
  for (const char* folder : {"sparse/0", "sparse", "colmap/sparse/0", "."}) {
    const DatasetFolder set;
    TextModel{}.write(set, folder);
    TextModel{}.write_images(set);
    EXPECT_EQ(set.read().train.size(), 3u) << folder;
  }
  const DatasetFolder dense;
  TextModel{}.write(dense, "dense/sparse");
  TextModel{}.write_images(dense, "dense/images");
  EXPECT_EQ(dense.read().train.size(), 3u);
}

void resized_images() {
  const DatasetFolder set;
  TextModel model;
  model.camera = "1 PINHOLE 80 60 100 110 40 30";
  model.write(set);
  model.write_images(set);
  EXPECT_THAT(set.message(), HasSubstr("lenses scaled to the size of their images: the first is for 80x60"));
  EXPECT_FLOAT_EQ(set.read().train[0].camera.lens.fy, 11);
  model.camera = "1 PINHOLE 80 80 100 110 40 30";
  model.write(set);
  EXPECT_THAT(set.message(),
              AllOf(StartsWith("error: "), HasSubstr("is 8x6 pixels and its lens is for 80x80")));
}

void folders_of_images() {
  for (const char* folder : {"images_2", "images_8", "input", "rgb", "photos"}) {
    const DatasetFolder set;
    TextModel{}.write(set);
    TextModel{}.write_images(set, folder);
    EXPECT_THAT(set.message(), HasSubstr(cat("3 of 3 were found in ", folder, "/"))) << folder;
  }
  const DatasetFolder beside;
  TextModel{}.write(beside);
  TextModel{}.write_images(beside, ".");
  EXPECT_EQ(beside.read().train.size(), 3u);
}

void names_of_other_machines() {
  TextModel model;
  model.names = {"C:\\photos\\0.png", "/home/of/another/1.png", "cam0\\2.png"};
  const DatasetFolder set;
  model.write(set);
  for (const char* name : {"images/0.png", "images/1.png", "images/cam0/2.png"}) set.image(name);
  EXPECT_EQ(set.read().train.size(), 3u);
}

void masks() {
  const DatasetFolder set;
  TextModel{}.write(set);
  TextModel{}.write_images(set);
  set.grey("masks/1.png.png", 8, 6, [](int x, int) { return x < 2 ? 0 : 255; });
  const PosedImages images = set.read();
  EXPECT_THAT(DatasetFolder::notes(images), HasSubstr("masks hide pixels of 1 image"));
  EXPECT_EQ(*images.train[1].mask.at(0, 0), 0);
  const DatasetFolder other;
  TextModel{}.write(other);
  TextModel{}.write_images(other);
  other.image("masks/people.png");
  EXPECT_THAT(other.message(), HasSubstr("masks is not used"));
}

TEST(ColmapFormat, DoesWhatTheTableSays) {
  testing::run_format_cases(
      "colmap",
      {{"SIMPLE_PINHOLE, PINHOLE, SIMPLE_RADIAL, RADIAL, OPENCV, FULL_OPENCV", "read", camera_models},
       {"OPENCV_FISHEYE, SIMPLE_RADIAL_FISHEYE, RADIAL_FISHEYE, THIN_PRISM_FISHEYE without its prism", "read",
        fisheye_models},
       {"FOV, a thin prism, newer models", "refused by name", refused_models},
       {"text with trailing blanks, CRLF, tabs, blanks inside names", "read", text_forms},
       {"text without points, without their lines, with a byte-order mark", "read", text_without_points},
       {"several models, `sparse/0`, `sparse/1`, ...", "the one with the most images, said", several_models},
       {"models in `sparse/`, `colmap/sparse/`, `dense/sparse/`, in the folder itself, or named", "read",
        places_of_models},
       {"images of another size than their cameras",
        "same aspect: the lens is scaled, said; another: refused", resized_images},
       {"images in another folder than `images/`", "found by their names, the folder is said",
        folders_of_images},
       {"names with folders of another machine", "found by their last names, said", names_of_other_machines},
       {"masks as COLMAP names them, `masks/NAME.png`",
        "black pixels neither train nor score; other masks are named", masks}});
}

}  // namespace
}  // namespace t3d::data
