#include <gtest/gtest.h>

#include "t3d/core/error.h"
#include "t3d/core/rng.h"
#include "t3d/core/sentence.h"
#include "t3d/core/shell_line.h"
#include "t3d/core/text.h"

namespace t3d {
namespace {

TEST(Philox, GivesTheKnownAnswerOfThePublishedTestVectors) {
  // kat_vectors of Random123: philox4x32 10, all zero and all one bits.
  const auto zero = Philox::at(0, 0, 0);
  EXPECT_EQ(zero.v[0], 0x6627e8d5u);
  EXPECT_EQ(zero.v[1], 0xe169c58du);
  EXPECT_EQ(zero.v[2], 0xbc57ac4cu);
  EXPECT_EQ(zero.v[3], 0x9b00dbd8u);
  const auto ones = Philox::at(~0ull, ~0ull, ~0ull);
  EXPECT_EQ(ones.v[0], 0x408f276du);
  EXPECT_EQ(ones.v[1], 0x41c83b0eu);
  EXPECT_EQ(ones.v[2], 0xa20bc7c6u);
  EXPECT_EQ(ones.v[3], 0x6d5451fdu);
}

TEST(Rng, ContinuesExactlyFromASavedState) {
  Rng first(7, 3);
  for (int i = 0; i < 13; ++i) first.next_u32();
  Rng second;
  second.set_state(first.state());
  for (int i = 0; i < 20; ++i) EXPECT_EQ(first.normal(), second.normal());
}

TEST(Rng, UniformAndNormalHaveTheirMeanAndVariance) {
  Rng rng(1);
  double uniform = 0, normal = 0, square = 0;
  const int n = 100000;
  for (int i = 0; i < n; ++i) {
    uniform += rng.uniform();
    const double x = rng.normal();
    normal += x;
    square += x * x;
  }
  EXPECT_NEAR(uniform / n, 0.5, 0.005);
  EXPECT_NEAR(normal / n, 0.0, 0.015);
  EXPECT_NEAR(square / n, 1.0, 0.02);
}

TEST(Text, SuggestsTheNearestNameOnlyWhenItIsNear) {
  const std::vector<std::string> known = {"guidance_scale", "grad_clip", "weights"};
  EXPECT_EQ(did_you_mean("guidance_scale_", known), "; did you mean guidance_scale?");
  EXPECT_EQ(did_you_mean("zzzzzzzz", known), "");
}

TEST(Sentence, EndsWithOneMark) {
  EXPECT_EQ(with_full_stop("OBJ-file is too small.\n"), "OBJ-file is too small.");
  EXPECT_EQ(with_full_stop("add prompt=..."), "add prompt=...");
  EXPECT_EQ(with_full_stop("did you mean x?"), "did you mean x?");
  EXPECT_EQ(with_full_stop("it is empty"), "it is empty.");
  EXPECT_EQ(end_or_suggestion("implicit-volum", {"implicit-volume"}), "; did you mean implicit-volume?");
  EXPECT_EQ(end_or_suggestion("mesh", {"implicit-volume"}), ".");
}

TEST(Text, PrintsSizesAndDurationsAsPeopleReadThem) {
  EXPECT_EQ(human_bytes(1.5 * 1024 * 1024 * 1024), "1.5 GiB");
  EXPECT_EQ(human_bytes(312.0 * 1024 * 1024), "312 MiB");
  EXPECT_EQ(human_seconds(12.34), "12.3s");
  EXPECT_EQ(human_seconds(185), "3m05s");
  EXPECT_EQ(human_seconds(3725), "1h02m");
}

TEST(Check, ThrowsABugErrorThatNamesTheCondition) {
  try {
    T3D_CHECK(1 == 2, "one is ", 1);
    FAIL() << "T3D_CHECK passed a false condition";
  } catch (const BugError& bug) {
    EXPECT_NE(std::string(bug.what()).find("expected 1 == 2: one is 1"), std::string::npos) << bug.what();
    EXPECT_EQ(bug.exit_code(), 4);
  }
}

TEST(Sentence, CountsInTheSingularAndThePlural) {
  EXPECT_EQ(alternatives({"a"}), "a");
  EXPECT_EQ(alternatives({"a", "b", "c"}), "a, b or c");
  EXPECT_EQ(counted(1, "particle"), "1 particle");
  EXPECT_EQ(counted(0, "step"), "0 steps");
  EXPECT_EQ(counted(2, "face"), "2 faces");
  EXPECT_EQ(counted(1, "process", "processes"), "1 process");
  EXPECT_EQ(counted(3, "process", "processes"), "3 processes");
}

TEST(ShellLine, QuotesWhatAShellWouldRead) {
  EXPECT_EQ(shell_line({"t3d", "train", "--config", "a/b-1.yaml", "tag=x,y"}),
            "t3d train --config a/b-1.yaml tag=x,y");
  EXPECT_EQ(shell_word("a red cube"), "\"a red cube\"");
  EXPECT_EQ(shell_word("it's"), "\"it's\"");
  EXPECT_EQ(shell_word("say \"hi\""), "'say \"hi\"'");
  EXPECT_EQ(shell_word(""), "\"\"");
  EXPECT_EQ(shell_word("caf\u00e9"), "caf\u00e9");
  EXPECT_EQ(shell_word("data.width=[64,512]"), "\"data.width=[64,512]\"");
  EXPECT_EQ(shell_word("~/x"), "\"~/x\"");
}

TEST(ShellLine, AShellReadsTheSameWordsBack) {
  const std::vector<std::string> odd = {
      "a b",     "it's", "\"",        "$HOME",      "`id`", "a\\b",  "wow!",  "*",    "a;b",       "(x)",
      "'\"'\"'", "-n",   "tab\there", "two\nlines", "#x",   "a=b c", "{1,2}", "<>|&", "\U0001F344"};
  for (const std::string& word : odd) {
    FILE* pipe = popen(("printf %s " + shell_word(word)).c_str(), "r");
    ASSERT_NE(pipe, nullptr);
    char buffer[256];
    const size_t n = fread(buffer, 1, sizeof buffer, pipe);
    EXPECT_EQ(pclose(pipe), 0);
    EXPECT_EQ(std::string(buffer, n), word);
  }
}

}  // namespace
}  // namespace t3d
