#include "t3d/io/video.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "t3d/core/error.h"
#include "t3d/core/remove_tree.h"

namespace t3d::io {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class VideoTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_video()) GTEST_SKIP() << "this build has no FFmpeg";
    folder_ = fs::path(testing::TempDir()) / "t3d_video_test";
    remove_tree(folder_);
    fs::create_directories(folder_);
  }
  std::string path(const std::string& name) { return (folder_ / name).string(); }
  size_t n_files() {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  fs::path folder_;
};

/// A smooth picture that changes with the frame.
Image8 frame(int i, int width, int height, int channels = 3) {
  Image8 image(width, height, channels);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < channels; ++c)
        image.at(x, y)[c] = static_cast<uint8_t>(c == 0   ? 40 + 12 * i
                                                 : c == 1 ? 50 + 2 * x
                                                 : c == 2 ? 60 + 2 * y
                                                          : 255);
  return image;
}

TEST_F(VideoTest, Mp4HoldsItsFramesAndColours) {
  VideoOptions options;
  options.fps = 25;
  VideoWriter writer(path("a.mp4"), options);
  for (int i = 0; i < 12; ++i) writer.add(frame(i, 63, 41));
  EXPECT_FALSE(fs::exists(path("a.mp4")));
  writer.finish();
  EXPECT_EQ(n_files(), 1u);
  const VideoInfo info = read_video_info(path("a.mp4"));
  EXPECT_EQ(info.n_frames, 12);
  EXPECT_EQ(info.width, 64);
  EXPECT_EQ(info.height, 42);
  EXPECT_NEAR(info.fps, 25, 0.01);
  EXPECT_EQ(info.codec, "h264");
  const Image8 seventh = read_video_frame(path("a.mp4"), 7), truth = frame(7, 63, 41);
  for (const int x : {5, 30, 60})
    for (int c = 0; c < 3; ++c) EXPECT_NEAR(seventh.at(x, 20)[c], truth.at(x, 20)[c], 6) << x << " " << c;
}

TEST_F(VideoTest, SizeIsRoundedUpToAMultiple) {
  VideoOptions options;
  options.size_multiple = 16;
  VideoWriter writer(path("b.mp4"), options);
  writer.add(frame(0, 33, 48, 4));
  writer.finish();
  EXPECT_EQ(read_video_info(path("b.mp4")).width, 48);
  EXPECT_EQ(read_video_info(path("b.mp4")).height, 48);
}

TEST_F(VideoTest, GifHoldsItsFramesAndColours) {
  VideoOptions options;
  options.fps = 20;
  VideoWriter writer(path("c.gif"), options);
  for (int i = 0; i < 9; ++i) writer.add(frame(i, 40, 30));
  writer.finish();
  EXPECT_EQ(n_files(), 1u);
  const VideoInfo info = read_video_info(path("c.gif"));
  EXPECT_EQ(info.n_frames, 9);
  EXPECT_EQ(info.width, 40);
  EXPECT_NEAR(info.fps, 20, 0.5);
  const Image8 third = read_video_frame(path("c.gif"), 3), truth = frame(3, 40, 30);
  double error = 0;
  for (size_t i = 0; i < truth.pixels.size(); ++i)
    error += std::abs(int{third.pixels[i]} - int{truth.pixels[i]});
  EXPECT_LT(error / static_cast<double>(truth.pixels.size()), 8);
}

TEST_F(VideoTest, FailureLeavesTheOldFileAndNoOther) {
  std::ofstream(path("d.mp4")) << "old";
  {
    VideoWriter writer(path("d.mp4"));
    writer.add(frame(0, 32, 32));
    try {
      writer.add(frame(0, 16, 32));
      FAIL();
    } catch (const UserError& e) {
      EXPECT_THAT(e.what(), HasSubstr("frame 1 is 16x32"));
    }
  }
  EXPECT_EQ(fs::file_size(path("d.mp4")), 3u);
  EXPECT_EQ(n_files(), 1u);
}

TEST_F(VideoTest, ProblemsAreExplained) {
  EXPECT_THROW(VideoWriter(path("a.avi")), UserError);
  EXPECT_THROW(VideoWriter(path("a.mp4")).finish(), UserError);
  std::ofstream(path("text.mp4")) << "no video";
  EXPECT_THROW(read_video_info(path("text.mp4")), UserError);
  EXPECT_THROW(read_video_info(path("absent.mp4")), UserError);
}

}  // namespace
}  // namespace t3d::io
