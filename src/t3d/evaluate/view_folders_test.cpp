#include "t3d/evaluate/view_folders.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/remove_tree.h"
#include "tests/support/random_judge.h"

namespace t3d::evaluate {
namespace {

namespace fs = std::filesystem;

/// A judge of random weights, and two prompts with two pictures each: strips of three panels.
struct ViewFolders : ::testing::Test {
  std::string folder = ::testing::TempDir() + "view_folders", judge = folder + "/judge",
              views = folder + "/views";

  void SetUp() override {
    remove_tree(folder);
    testing::write_random_judge(judge, {"a red ball", "a blue box"});
    write_views("a_red_ball", 220, 30);
    write_views("a_blue_box", 30, 220);
  }
  void TearDown() override { remove_tree(folder); }

  /// The other panels are of another colour: they must not be looked at.
  void write_views(const std::string& prompt, uint8_t red, uint8_t blue) const {
    make_folders(views + "/" + prompt);
    for (int i = 0; i < 2; ++i) {
      io::Image8 strip(3 * 24, 24, 3);
      for (int y = 0; y < 24; ++y)
        for (int x = 0; x < 72; ++x) {
          strip.at(x, y)[0] = x < 24 ? red : blue;
          strip.at(x, y)[2] = x < 24 ? blue : red;
          strip.at(x, y)[1] = static_cast<uint8_t>(x < 24 ? 40 * i : 250);
        }
      io::write_png(cat(views, "/", prompt, "/", i, ".png"), strip);
    }
  }
  std::string message(const std::string& path) const {
    try {
      evaluate_view_folders(path, Judge(judge, c10::kCPU));
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }
};

TEST_F(ViewFolders, FiguresAreThoseOfTheFirstPanels) {
  const Judge j(judge, c10::kCPU);
  const auto report = evaluate_view_folders(views, j);
  ASSERT_EQ(report.prompts.size(), 2u);
  EXPECT_EQ(report.prompts[0].prompt, "a blue box");
  const auto words = j.texts({"a blue box", "a red ball"});
  for (int64_t p = 0; p < 2; ++p) {
    std::vector<io::Image8> panels;
    for (int i = 0; i < 2; ++i) {
      io::Image8 panel(24, 24, 3);
      for (int k = 0; k < 24 * 24; ++k) {
        uint8_t* to = panel.at(k % 24, k / 24);
        to[0] = p == 0 ? 30 : 220, to[1] = static_cast<uint8_t>(40 * i), to[2] = p == 0 ? 220 : 30;
      }
      panels.push_back(panel);
    }
    const auto cosines = j.pictures(panels).matmul(words.t());
    const auto& found = report.prompts[static_cast<size_t>(p)];
    EXPECT_EQ(found.n_images, 2);
    EXPECT_NEAR(found.similarity, cosines.select(1, p).mean().item<double>(), 1e-6);
    EXPECT_NEAR(found.recall, cosines.argmax(1).eq(p).to(at::kDouble).mean().item<double>(), 1e-9);
  }
  EXPECT_NEAR(report.recall.value, 0.5 * (report.prompts[0].recall + report.prompts[1].recall), 1e-9);
}

TEST_F(ViewFolders, TextReportsHaveALineForEachPromptAndTheMean) {
  const auto report = evaluate_view_folders(views, Judge(judge, c10::kCPU));
  write_text_reports(folder + "/out", report);
  std::ifstream file(folder + "/out/recall.txt");
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[1], cat("a red ball: ", report.prompts[1].recall));
  EXPECT_EQ(lines[2], cat("average: ", report.recall.value));
  EXPECT_TRUE(fs::exists(folder + "/out/similarity.txt"));
}

TEST_F(ViewFolders, FoldersWithoutPicturesAreExplained) {
  EXPECT_NE(message(folder + "/nowhere").find("no such folder"), std::string::npos);
  EXPECT_NE(message(views + "/a_red_ball").find("holds no sub-folders"), std::string::npos);
  make_folders(views + "/a_cat");
  EXPECT_NE(message(views).find("a_cat: holds no pictures"), std::string::npos);
  io::write_png(views + "/a_cat/0.png", io::Image8(8, 12, 3));
  EXPECT_NE(message(views).find("expected a square"), std::string::npos);
}

}  // namespace
}  // namespace t3d::evaluate
