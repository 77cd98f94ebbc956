// What cmake --install writes, moved to another folder and used without the source tree: the program, a
// program of somebody else's, and a shared object of own types.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "t3d/core/shell_line.h"
#include "tests/support/run_command.h"
#include "tests/support/temporary_folder.h"

namespace t3d {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::ProgramResult;
using testing::run_command;

const std::string kSmall =
    " data.width=8 data.height=8 system.renderer.num_samples_per_ray=16 "
    "system.geometry.pos_encoding_config.log2_hashmap_size=8";

class Installed : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<testing::TemporaryFolder>();
    const auto made = run_command("cmake --install " + shell_word(T3D_BINARY_DIR) + " --prefix " +
                                  shell_word(*folder_ / "first"));
    if (made.exit_code != 0) failure_ = made.output;
    std::error_code failed;
    fs::rename(*folder_ / "first", *folder_ / "moved", failed);
    fs::copy(T3D_SOURCE_DIR "/examples", *folder_ / "examples", fs::copy_options::recursive, failed);
    fs::create_directory(*folder_ / "empty", failed);
    // With a user's own namespace where that is allowed; else as root.
    for (const char* way : {"unshare -rm", "unshare -m"})
      if (way_to_hide_.empty() && run_command(way + hidden_by("true")).exit_code == 0) way_to_hide_ = way;
  }
  static void TearDownTestSuite() { folder_.reset(); }

  void SetUp() override {
    ASSERT_EQ(failure_, "");
    if (way_to_hide_.empty())
      GTEST_SKIP() << "this machine allows no mount namespaces, so that the source tree cannot be hidden";
  }

  /// Runs a shell command line where T3D_SOURCE_DIR is an empty folder.
  static ProgramResult run(const std::string& command) {
    return run_command(way_to_hide_ + hidden_by(command));
  }
  static std::string hidden_by(const std::string& command) {
    return " sh -c " +
           shell_word("mount --bind " + shell_word(*folder_ / "empty") + " " + shell_word(T3D_SOURCE_DIR) +
                      " && cd " + shell_word(folder_->string()) + " && " + command);
  }
  /// Configures and builds an example in the folder b-NAME.
  static ProgramResult build(const std::string& name) {
    return run("cmake -G Ninja -S examples/" + name + " -B b-" + name +
               " -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH=$PWD/moved && cmake --build b-" + name);
  }

  static inline std::unique_ptr<testing::TemporaryFolder> folder_;
  static inline std::string way_to_hide_, failure_;
};

TEST_F(Installed, ProgramFindsItsRecipesAndModels) {
  const auto source = run("ls " + shell_word(T3D_SOURCE_DIR));
  ASSERT_EQ(source.output, "") << "the source tree is not hidden";
  const auto check = run("moved/bin/t3d check toybox 'system.prompt_processor.prompt=a cube'");
  EXPECT_EQ(check.exit_code, 0) << check.output;
  EXPECT_THAT(check.output, HasSubstr(folder_->string() + "/moved/share/t3d/models/toybox"));
  const auto tests = run("moved/bin/t3d test");
  EXPECT_EQ(tests.exit_code, 2);
  EXPECT_THAT(tests.output, HasSubstr("is no build folder of one"));
}

TEST_F(Installed, NamesNoFolderOfTheMachineThatBuiltIt) {
  const auto found = run("grep -rlF -e " + shell_word(T3D_SOURCE_DIR) + " -e " + shell_word(T3D_BINARY_DIR) +
                         " moved/bin moved/lib* moved/include");
  EXPECT_EQ(found.output, "");
}

TEST_F(Installed, AProgramOfSomebodyElsesFitsAndExports) {
  const auto built = build("fit_from_cpp");
  ASSERT_EQ(built.exit_code, 0) << built.output;
  const auto ran = run("b-fit_from_cpp/fit_from_cpp 'a red mushroom' out trainer.max_steps=1" + kSmall);
  EXPECT_EQ(ran.exit_code, 0) << ran.output;
  EXPECT_TRUE(fs::exists(*folder_ / "out/mesh.glb"));
  const auto wrong = run("b-fit_from_cpp/fit_from_cpp 'a red mushroom' other trainer.max_step=1");
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.output, HasSubstr("did you mean trainer.max_steps?"));
}

TEST_F(Installed, TypesOfOnesOwnAreBuiltAndLoaded) {
  const auto built = build("own_guidance");
  ASSERT_EQ(built.exit_code, 0) << built.output;
  const auto ran = run(
      "moved/bin/t3d train --config examples/own_guidance/recipe.yaml --load b-own_guidance/own_guidance.so"
      " --device cpu trial_dir=own trainer.max_steps=1 data.n_test_views=1 data.eval_width=8"
      " data.eval_height=8" +
      kSmall);
  EXPECT_EQ(ran.exit_code, 0) << ran.output;
  EXPECT_TRUE(fs::exists(*folder_ / "own/save/it1-test/0.png"));
}

/// Last, since it takes something away.
TEST_F(Installed, SaysThatItsShareFolderIsGone) {
  fs::rename(*folder_ / "moved/share/t3d", *folder_ / "moved/share/elsewhere");
  const auto made = run("moved/bin/t3d generate 'a cube' -o cube");
  const auto doctor = run("moved/bin/t3d doctor");
  fs::rename(*folder_ / "moved/share/elsewhere", *folder_ / "moved/share/t3d");
  EXPECT_EQ(made.exit_code, 3);
  EXPECT_THAT(made.output, HasSubstr("t3d's own files, share/t3d, are in no folder above"));
  EXPECT_THAT(made.output, HasSubstr("install it again"));
  EXPECT_FALSE(fs::exists(*folder_ / "cube"));
  EXPECT_EQ(doctor.exit_code, 0) << doctor.output;
  EXPECT_THAT(doctor.output, HasSubstr("share/t3d, are in no folder above"));
}

}  // namespace
}  // namespace t3d
