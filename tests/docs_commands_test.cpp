#include <gtest/gtest.h>

#include <sys/wait.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/run_program.h"

/// The commands of README and docs. Blocks that begin with ```sh run need nothing but a clone: they are run
/// as they stand, a page's blocks in their order in one folder, by tests/support/small_t3d.sh, which replaces
/// sizes. The t3d commands of other blocks name models and data that are not here: they have to stop at that.
namespace t3d {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryFolder;

const fs::path kRoot = T3D_SOURCE_DIR;

/// A page's fenced blocks whose head `is_meant`, one after another.
template <class F>
std::string fenced_lines(const fs::path& page, const F& is_meant) {
  std::istringstream lines(testing::read_text(page.string()));
  std::string text;
  bool is_inside = false, is_taken = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("```", 0) == 0) {
      is_inside = !is_inside;
      is_taken = is_inside && is_meant(line);
    } else if (is_taken) {
      text += line + "\n";
    }
  }
  return text;
}

const char* const kRuns = "```sh run";

/// What a clone has, and the program under both of its names.
void make_clone(const TemporaryFolder& folder) {
  for (const char* name : {"configs", "models", "docs"})
    fs::create_directory_symlink(kRoot / name, folder / name);
  fs::create_symlink(kRoot / "tests/support/small_t3d.sh", folder / "t3d");
}

/// The exit code of a shell script there; what it prints goes to `log`.
int run_script(const TemporaryFolder& folder, const std::string& text) {
  testing::write_text(folder / "blocks.sh", text);
  const std::string command = "cd '" + folder.string() +
                              "' && PATH=\"$PWD:$PATH\" T3D_REAL='" T3D_PROGRAM
                              "' sh -eux blocks.sh > log 2>&1 < /dev/null";
  const int status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class DocsCommands : public ::testing::TestWithParam<const char*> {};

TEST_P(DocsCommands, Run) {
  const std::string blocks =
      fenced_lines(kRoot / GetParam(), [](const std::string& head) { return head == kRuns; });
  ASSERT_NE(blocks, "") << GetParam() << " has no block that begins with " << kRuns;
  const TemporaryFolder folder;
  make_clone(folder);
  EXPECT_EQ(run_script(folder, blocks), 0) << GetParam() << ":\n" << testing::read_text(folder / "log");
}

const std::vector<const char*> kPages = {
#ifdef T3D_HAS_EMBREE
    "README.md",         "docs/render.md",     "docs/reconstruct.md", "docs/toybox.md",
    "docs/prior.md",     "docs/evaluate.md",   "docs/checkpoints.md",
#endif
    "docs/mesh.md",      "docs/generate.md",   "docs/train.md",       "docs/sample.md",
    "docs/distill2d.md", "docs/model_files.md"};

INSTANTIATE_TEST_SUITE_P(Pages, DocsCommands, ::testing::ValuesIn(kPages),
                         [](const auto& page) { return fs::path(page.param).stem().string(); });

std::vector<fs::path> all_pages() {
  std::vector<fs::path> pages = {kRoot / "README.md", kRoot / "CONTRIBUTING.md"};
  for (const auto& entry : fs::directory_iterator(kRoot / "docs"))
    if (entry.path().extension() == ".md") pages.push_back(entry.path());
  return pages;
}

TEST(DocsCommandsOfOtherBlocks, StopAtWhatIsNotHere) {
  const TemporaryFolder folder;
  make_clone(folder);
  int n_commands = 0;
  for (const fs::path& page : all_pages()) {
    std::istringstream lines(
        fenced_lines(page, [](const std::string& head) { return head == "```" || head == "```sh"; }));
    for (std::string line; std::getline(lines, line);) {
      if (line.rfind("t3d ", 0) != 0 && line.rfind("./t3d ", 0) != 0) continue;
      if (line.find(" models synthesize ") != std::string::npos) continue;  // writes gigabytes
      if (line.rfind("t3d checkpoint ", 0) == 0) continue;                  // a file's first line
      ++n_commands;
      // 3: something that is named is not there. 2 would be a wrong option or word.
      const int code = run_script(folder, line + "\n");
      EXPECT_TRUE(code == 0 || code == 3) << page << ": " << line << "\n"
                                          << code << "\n"
                                          << testing::read_text(folder / "log");
    }
  }
  EXPECT_GT(n_commands, 15);
}

#ifdef T3D_HAS_EMBREE
TEST(DocsCommandsOfPages, AreAllRun) {
  for (const fs::path& page : all_pages()) {
    const std::string name = fs::relative(page, kRoot).string();
    const bool runs = !fenced_lines(page, [](const std::string& head) { return head == kRuns; }).empty();
    const bool is_run =
        std::any_of(kPages.begin(), kPages.end(), [&](const char* each) { return each == name; });
    EXPECT_EQ(runs, is_run) << name;
  }
}
#endif

}  // namespace
}  // namespace t3d
