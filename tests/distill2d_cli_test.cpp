#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "t3d/io/image.h"
#include "t3d/io/json_file.h"
#include "t3d/io/safetensors.h"
#include "tests/support/golden_report.h"
#include "tests/support/run_program.h"

namespace t3d {
namespace {

using ::testing::HasSubstr;
using testing::run_t3d;
using testing::TemporaryFolder;

TEST(Distill2dCommand, LeavesASheetTheParticlesAndHowTheyWereMade) {
  const std::string model = testing::golden_folder() + "/sd1-tiny";
  T3D_NEED_FILE(model + "/unet/config.json");
  const TemporaryFolder folder;
  const std::string out = folder / "out";
  const auto run =
      run_t3d("distill2d 'a \"corgi\"' --particles 2 --batch 1 --steps 1 --model " + model + " -o " + out);
  ASSERT_EQ(run.exit_code, 0) << run.output;
  const auto sheet = io::read_image_info(out + "/particles.png");
  EXPECT_EQ(sheet.height, 2 * sheet.width);  // one view each, below each other
  EXPECT_EQ(io::SafetensorsFile(out + "/particles.safetensors").names(),
            (std::vector<std::string>{"particle_0", "particle_1"}));
  const auto report = io::read_json_file(out + "/run.json");
  EXPECT_EQ(report["method"], "vsd");
  EXPECT_EQ(report["prompt"], "a \"corgi\"");
  EXPECT_EQ(run_t3d("distill2d x --model " + model + " -o " + out).exit_code, 2);  // not empty
}

TEST(Distill2dCommand, SaysWhatIsWrong) {
  const std::string model = testing::golden_folder() + "/sd1-tiny";
  T3D_NEED_FILE(model + "/unet/config.json");
  const TemporaryFolder folder;
  const auto views = run_t3d("distill2d x --views 4 --model " + model + " -o " + (folder / "out"));
  EXPECT_EQ(views.exit_code, 2);
  EXPECT_THAT(views.output, HasSubstr("takes one picture at a time"));
  const auto nowhere = run_t3d("distill2d x --model nothing/of-that-name -o " + (folder / "out"));
  EXPECT_EQ(nowhere.exit_code, 3);
  EXPECT_THAT(nowhere.output, HasSubstr("nothing/of-that-name"));
}

}  // namespace
}  // namespace t3d
