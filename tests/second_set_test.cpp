#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <sstream>
#include <string>

#include "tests/support/golden_options.h"
#include "tests/support/temporary_folder.h"

namespace t3d::testing {
namespace {

struct Ended {
  int status;
  std::string output;
};

Ended run(const std::string& command) {
  Ended ended{-1, ""};
  FILE* pipe = popen((command + " 2>&1 < /dev/null").c_str(), "r");
  if (pipe == nullptr) return ended;
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) ended.output.append(buffer, n);
  const int status = pclose(pipe);
  ended.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ended;
}

std::string in_quotes(const std::string& path) {
  return "'" + path + "'";
}

/// The parity tests take every option, size and name from the set that they are given.
TEST(SecondSet, EveryParityTestPassesOnIt) {
  T3D_NEED_CASES("sd1-tiny/cases_unet.safetensors");
  const TemporaryFolder folder;
  const Ended made = run(in_quotes(T3D_MAKE_SECOND_SET) + " " + in_quotes(golden_folder()) + " " +
                         in_quotes(folder.string()));
  ASSERT_EQ(made.status, 0) << made.output;
  std::stringstream programs(T3D_PARITY_PROGRAMS);
  for (std::string program; std::getline(programs, program, ':');) {
    const Ended ended = run("T3D_GOLDEN=" + in_quotes(folder.string()) + " T3D_GOLDEN_STRICT=1 " +
                            in_quotes(program) + " --gtest_filter='*Golden*:PerpNeg.RowsOfABatch*'");
    EXPECT_EQ(ended.status, 0) << ended.output;
    EXPECT_NE(ended.output.find("[  PASSED  ]"), std::string::npos) << program;
  }
}

}  // namespace
}  // namespace t3d::testing
