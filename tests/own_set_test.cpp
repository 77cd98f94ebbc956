#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "t3d/core/shell_line.h"
#include "t3d/core/text_ends.h"
#include "t3d/io/safetensors.h"
#include "tests/support/golden_cases.h"
#include "tests/support/run_command.h"
#include "tests/support/temporary_folder.h"

namespace t3d::testing {
namespace {

namespace fs = std::filesystem;

/// The files below a folder, by their paths in it.
std::set<std::string> files_in(const std::string& folder) {
  std::set<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) files.insert(fs::relative(entry.path(), folder).string());
  return files;
}

std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream all;
  all << in.rdbuf();
  return all.str();
}

void make_set(const std::string& folder) {
  const ProgramResult made = run_command(shell_word(T3D_MAKE_OWN_SET) + " " + shell_word(folder));
  ASSERT_EQ(made.exit_code, 0) << made.output;
}

/// Another machine's sums and logarithms differ in their last bits; nothing else may.
void expect_same_tensors(const std::string& made, const std::string& kept) {
  const io::SafetensorsFile a(made), b(kept);
  ASSERT_EQ(a.names(), b.names()) << kept;
  for (const auto& name : b.names()) {
    const auto x = a.tensor(name), y = b.tensor(name);
    ASSERT_EQ(x.scalar_type(), y.scalar_type()) << kept << " " << name;
    ASSERT_EQ(x.sizes(), y.sizes()) << kept << " " << name;
    if (y.is_floating_point())
      EXPECT_LE(max_relative_error(x, y), 1e-5) << kept << " " << name;
    else
      EXPECT_TRUE(x.equal(y)) << kept << " " << name;
  }
}

TEST(OwnSet, IsWhatItsProgramMakes) {
  const TemporaryFolder made;
  make_set(made.string());
  auto kept = files_in(own_golden_folder());
  EXPECT_EQ(kept.erase("README.md"), 1u);
  ASSERT_EQ(files_in(made.string()), kept) << "make it again, as its README.md says";
  for (const auto& file : kept) {
    const std::string a = made / file, b = own_golden_folder() + "/" + file;
    if (ends_with(file, ".safetensors"))
      expect_same_tensors(a, b);
    else
      EXPECT_EQ(bytes_of(a), bytes_of(b)) << file;
  }
}

TEST(OwnSet, HasTheSameBytesEachTime) {
  const TemporaryFolder first, second;
  make_set(first.string());
  make_set(second.string());
  for (const auto& file : files_in(first.string()))
    EXPECT_EQ(bytes_of(first / file), bytes_of(second / file)) << file;
}

TEST(OwnSet, IsSmallEnoughToLieInTheRepository) {
  uintmax_t n_bytes = 0;
  for (const auto& file : files_in(own_golden_folder()))
    n_bytes += fs::file_size(own_golden_folder() + "/" + file);
  EXPECT_LT(n_bytes, 3'600'000u);
}

/// Parity tests take every option, size and name from the set that they are given. None may be left out, but
/// those that read other files of ../shared, and pictures that the set does not have.
TEST(OwnSet, EveryParityTestPassesOnIt) {
  std::stringstream programs(T3D_PARITY_PROGRAMS);
  for (std::string program; std::getline(programs, program, ':');) {
    const ProgramResult ended = run_command(
        "T3D_GOLDEN=" + shell_word(own_golden_folder()) + " T3D_GOLDEN_STRICT=1 " + shell_word(program) +
        " --gtest_filter='*Golden*:PerpNeg.RowsOfABatch*-*OfTheField*:GoldenHdrPicture.*'");
    EXPECT_EQ(ended.exit_code, 0) << ended.output;
    EXPECT_NE(ended.output.find("[  PASSED  ]"), std::string::npos) << program;
  }
}

}  // namespace
}  // namespace t3d::testing
