#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "t3d/core/error.h"
#include "t3d/core/remove_tree.h"
#include "t3d/data/posed_images.h"
#include "tests/support/temporary_folder.h"

namespace t3d::testing {

/// Writes small data sets of posed images and reads them.
class DatasetFolder {
 public:
  std::string path() const { return folder_.string(); }
  std::string path(const std::string& name) const { return (std::filesystem::path(path()) / name).string(); }

  void image(const std::string& name, const io::Image8& pixels) const {
    make_parent(name);
    io::write_png(path(name), pixels);
  }
  /// A picture with a colour of its own in every pixel.
  void image(const std::string& name, int width = 8, int height = 6, uint8_t alpha = 255) const {
    io::Image8 rgba(width, height, 4);
    for (size_t i = 0; i < rgba.pixels.size(); ++i)
      rgba.pixels[i] = i % 4 == 3 ? alpha : static_cast<uint8_t>(i);
    image(name, rgba);
  }
  /// A JPEG whose EXIF data have the orientation.
  void photograph(const std::string& name, int width, int height, int orientation) const {
    io::Image8 rgb(width, height, 3);
    for (size_t i = 0; i < rgb.pixels.size(); ++i) rgb.pixels[i] = static_cast<uint8_t>(i);
    const std::vector<uint8_t> jpeg = io::encode_jpeg(rgb);
    // A segment of 34 bytes: "Exif", a TIFF header, one directory with the one entry 0x0112.
    const std::string exif = std::string(
                                 "\xff\xe1\x00\x22"
                                 "Exif\0\0"
                                 "II*\0\x08\0\0\0"
                                 "\x01\0\x12\x01\x03\0\x01\0\0\0",
                                 28) +
                             static_cast<char>(orientation) + std::string(7, '\0');
    make_parent(name);
    std::ofstream(path(name), std::ios::binary)
        << std::string(jpeg.begin(), jpeg.begin() + 2) << exif << std::string(jpeg.begin() + 2, jpeg.end());
  }
  /// A mask, or another picture of one channel, by its value in each pixel.
  void grey(const std::string& name, int width, int height, const std::function<int(int, int)>& value) const {
    io::Image8 mask(width, height, 1);
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x) *mask.at(x, y) = static_cast<uint8_t>(value(x, y));
    image(name, mask);
  }
  void file(const std::string& name, const std::string& text) const {
    make_parent(name);
    std::ofstream(path(name), std::ios::binary) << text;
  }
  /// A camera on +x at `distance` that looks at the origin; `more`: keys that end in a comma.
  static std::string frame(const std::string& file, double distance = 4, const std::string& more = "") {
    return cat(R"({"file_path": ")", file, R"(", )", more, R"("transform_matrix": [[0,0,1,)", distance,
               "],[1,0,0,0],[0,1,0,0],[0,0,0,1]]}");
  }
  /// transforms.json of 8x6 images with these frames; `keys`: of the file, ending in a comma.
  void transforms(const std::string& frames, const std::string& keys = R"("fl_x": 10, )") const {
    file("transforms.json", cat("{", keys, "\"frames\": [", frames, "]}"));
  }

  data::PosedImages read(const data::PosedImagesOptions& options) const {
    return data::read_posed_images(path(), options);
  }
  /// All images for training.
  data::PosedImages read() const {
    data::PosedImagesOptions options;
    options.holdout = 0;
    return read(options);
  }
  /// The error's sentence, or what is to be logged.
  std::string message() const {
    try {
      return notes(read());
    } catch (const Error& error) {
      return cat("error: ", error.what());
    }
  }
  static std::string notes(const data::PosedImages& images) {
    std::string text;
    for (const std::string& note : images.notes) text += note + "\n";
    return text;
  }

 private:
  void make_parent(const std::string& name) const {
    std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
  }
  TemporaryFolder folder_;
};

}  // namespace t3d::testing
