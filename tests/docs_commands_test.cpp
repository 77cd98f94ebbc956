#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/run_program.h"

/// The commands of README and docs that run on a clone alone: blocks that begin with ```sh run. They are run
/// as they stand, a page's blocks in their order in one folder, by tests/support/small_t3d.sh, which replaces
/// sizes.
namespace t3d {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryFolder;

const fs::path kRoot = T3D_SOURCE_DIR;

/// The lines between ```sh run and ```.
std::string runnable_blocks(const fs::path& page) {
  std::istringstream lines(testing::read_text(page.string()));
  std::string text;
  bool is_inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("```", 0) == 0)
      is_inside = line == "```sh run";
    else if (is_inside)
      text += line + "\n";
  }
  return text;
}

struct DocsCommands : ::testing::TestWithParam<const char*> {
  const TemporaryFolder folder;

  void SetUp() override {
    // What a clone has, and the program under both of its names.
    for (const char* name : {"configs", "models", "docs"})
      fs::create_directory_symlink(kRoot / name, folder / name);
    fs::create_symlink(kRoot / "tests/support/small_t3d.sh", folder / "t3d");
  }
};

TEST_P(DocsCommands, Run) {
  const std::string blocks = runnable_blocks(kRoot / GetParam());
  ASSERT_NE(blocks, "") << GetParam() << " has no block that begins with ```sh run";
  testing::write_text(folder / "blocks.sh", blocks);
  const std::string command = "cd '" + folder.string() +
                              "' && PATH=\"$PWD:$PATH\" T3D_REAL='" T3D_PROGRAM
                              "' sh -eux blocks.sh > log 2>&1 < /dev/null";
  const int status = std::system(command.c_str());
  EXPECT_EQ(status, 0) << GetParam() << ":\n" << testing::read_text(folder / "log");
}

#ifdef T3D_HAS_EMBREE
#define T3D_TRACED_PAGES                                                                     \
  , "README.md", "docs/render.md", "docs/reconstruct.md", "docs/toybox.md", "docs/prior.md", \
      "docs/evaluate.md"
#else
#define T3D_TRACED_PAGES
#endif

INSTANTIATE_TEST_SUITE_P(Pages, DocsCommands,
                         ::testing::Values("docs/generate.md", "docs/train.md", "docs/sample.md",
                                           "docs/distill2d.md", "docs/model_files.md" T3D_TRACED_PAGES),
                         [](const auto& page) {
                           std::string name = fs::path(page.param).stem().string();
                           return name;
                         });

}  // namespace
}  // namespace t3d
