#include "t3d/core/share_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/temporary_folder.h"

namespace t3d {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

TEST(ShareFolder, LiesInTheNearestFolderAboveThatHasOne) {
  const testing::TemporaryFolder tree;
  fs::create_directories(tree / "p/share/t3d/configs");
  fs::create_directories(tree / "p/opt/share/t3d/configs");
  const std::string root = fs::canonical(tree.string()).string();
  EXPECT_EQ(find_share_folder(tree / "p/bin/t3d"), root + "/p/share/t3d");
  EXPECT_EQ(find_share_folder(tree / "p/lib/x86_64-linux-gnu/libt3d.so"), root + "/p/share/t3d");
  EXPECT_EQ(find_share_folder(tree / "p/opt/lib/libt3d.so"), root + "/p/opt/share/t3d");
}

TEST(ShareFolder, IsFoundAgainInATreeThatWasMoved) {
  const testing::TemporaryFolder tree;
  fs::create_directories(tree / "p/share/t3d/configs");
  fs::rename(tree / "p", tree / "q");
  EXPECT_EQ(find_share_folder(tree / "q/bin/t3d"), fs::canonical(tree / "q/share/t3d").string());
}

TEST(ShareFolder, IsNotThereWithoutRecipes) {
  const testing::TemporaryFolder tree;
  fs::create_directories(tree / "p/share/t3d");
  EXPECT_EQ(find_share_folder(tree / "p/bin/t3d"), std::nullopt);
}

TEST(ShareFolder, OfABuildFolderLeadsToTheCheckout) {
  EXPECT_EQ(share_file("configs"), fs::canonical(T3D_SOURCE_DIR "/configs").string());
  EXPECT_EQ(share_file("models"), fs::canonical(T3D_SOURCE_DIR "/models").string());
  EXPECT_EQ(share_file("no such thing"), "");
  EXPECT_THAT(share_folder_remark(), HasSubstr("share/t3d."));
}

TEST(ShareFolder, StartsAtTheFileOfTheCode) {
  EXPECT_EQ(code_file(), program_file()) << "the tests have t3d's code in themselves";
  EXPECT_TRUE(fs::path(code_file()).is_absolute());
}

}  // namespace
}  // namespace t3d
