#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "t3d/core/shell_line.h"
#include "tests/support/golden_options.h"
#include "tests/support/run_command.h"
#include "tests/support/temporary_folder.h"

namespace t3d::testing {
namespace {

/// The parity tests take every option, size and name from the set that they are given.
TEST(SecondSet, EveryParityTestPassesOnIt) {
  T3D_NEED_CASES("sd1-tiny/cases_unet.safetensors");
  const TemporaryFolder folder;
  const ProgramResult made = run_command(shell_word(T3D_MAKE_SECOND_SET) + " " + shell_word(golden_folder()) +
                                         " " + shell_word(folder.string()));
  ASSERT_EQ(made.exit_code, 0) << made.output;
  std::stringstream programs(T3D_PARITY_PROGRAMS);
  for (std::string program; std::getline(programs, program, ':');) {
    const ProgramResult ended =
        run_command("T3D_GOLDEN=" + shell_word(folder.string()) + " T3D_GOLDEN_STRICT=1 " +
                    shell_word(program) + " --gtest_filter='*Golden*:PerpNeg.RowsOfABatch*'");
    EXPECT_EQ(ended.exit_code, 0) << ended.output;
    EXPECT_NE(ended.output.find("[  PASSED  ]"), std::string::npos) << program;
  }
}

}  // namespace
}  // namespace t3d::testing
