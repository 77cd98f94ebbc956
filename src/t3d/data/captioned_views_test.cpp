#include "t3d/data/captioned_views.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "t3d/core/error.h"
#include "t3d/core/remove_tree.h"
#include "t3d/io/safetensors.h"

namespace t3d::data {
namespace {

struct CaptionedViewsFile : ::testing::Test {
  std::string folder = ::testing::TempDir() + "captioned_views";
  void SetUp() override { std::filesystem::create_directories(folder); }
  void TearDown() override { remove_tree(folder); }

  static CaptionedViews two() {
    CaptionedViews v;
    v.rgba = at::arange(2 * 3 * 4 * 4 * 4).to(at::kByte).view({2, 3, 4, 4, 4});
    v.camera_to_world = at::arange(2 * 3 * 16).to(at::kFloat).view({2, 3, 4, 4});
    v.fov_deg = at::full({2, 3}, 40.0f);
    v.captions = {"ein W\xc3\xbcrfel\na cube", ""};
    return v;
  }
};

TEST_F(CaptionedViewsFile, ReadsBackWhatWasWritten) {
  const auto path = shard_path(folder, 12);
  EXPECT_EQ(std::filesystem::path(path).filename(), "shard-00012.safetensors");
  const auto v = two();
  write_captioned_views(path, v);
  EXPECT_EQ(list_shards(folder), std::vector<std::string>{path});
  const auto read = read_captioned_views(path);
  EXPECT_TRUE(read.rgba.equal(v.rgba));
  EXPECT_TRUE(read.camera_to_world.equal(v.camera_to_world));
  EXPECT_TRUE(read.fov_deg.equal(v.fov_deg));
  EXPECT_EQ(read.captions, v.captions);
}

TEST_F(CaptionedViewsFile, RefusesOtherFiles) {
  EXPECT_THROW(list_shards(folder), UserError);
  const auto path = shard_path(folder, 0);
  io::write_safetensors(path, {{"x", at::ones({2})}});
  EXPECT_THROW(read_captioned_views(path), UserError);
  const auto v = two();
  const auto parts = [&](const at::Tensor& start, const at::Tensor& poses) {
    io::write_safetensors(path,
                          {{"rgba", v.rgba},
                           {"camera_to_world", poses},
                           {"fov_deg", v.fov_deg},
                           {"caption_bytes", at::zeros({4}, at::kByte)},
                           {"caption_start", start}},
                          {{"format", "captioned-views-1"}});
  };
  const auto start = [](int64_t b, int64_t c) {
    auto t = at::zeros({3}, at::kLong);
    t[1] = b, t[2] = c;
    return t;
  };
  parts(start(2, 4), v.camera_to_world);
  EXPECT_EQ(read_captioned_views(path).n_objects(), 2);
  parts(start(2, 5), v.camera_to_world);  // behind the text
  EXPECT_THROW(read_captioned_views(path), UserError);
  parts(start(3, 2), v.camera_to_world);  // backwards
  EXPECT_THROW(read_captioned_views(path), UserError);
  parts(start(2, 4), v.camera_to_world.slice(1, 0, 2));
  EXPECT_THROW(read_captioned_views(path), UserError);
}

}  // namespace
}  // namespace t3d::data
