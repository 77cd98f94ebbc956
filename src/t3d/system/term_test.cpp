#include "t3d/system/term.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "t3d/core/atomic_file.h"
#include "t3d/core/config/read_yaml.h"
#include "t3d/core/error.h"
#include "t3d/system/loss_names.h"
#include "tests/support/small_run.h"

namespace t3d::system {
namespace {

using testing::context;
using ::testing::HasSubstr;
using testing::RunTest;
using testing::with;

TEST(Terms, NeedFieldsThatThereAreAndHaveAWeightThatIsKnown) {
  std::set<std::string> names;
  for (const Term& each : terms()) {
    SCOPED_TRACE(each.name);
    EXPECT_TRUE(names.insert(each.name).second);
    EXPECT_FALSE(each.needs.empty());
    for (const std::string& field : each.needs) EXPECT_NO_THROW(render::output_field(field));
    EXPECT_NO_THROW(check_loss_names(config::read_yaml("lambda_" + each.name + ": 1.0", "test.yaml")));
    EXPECT_FALSE(each.equation.empty());
    EXPECT_EQ(&term(each.name), &each);
  }
  EXPECT_THROW(term("no such term"), BugError);
  EXPECT_THROW(render::output_field("no such field"), BugError);
}

TEST(Terms, AreAllInTheTableOfThePage) {
  const std::string page = read_whole_file(std::string(T3D_SOURCE_DIR) + "/docs/systems.md", 1 << 20);
  for (const Term& each : terms()) EXPECT_THAT(page, HasSubstr("| " + each.name + " | "));
}

class PlanTest : public RunTest {
 protected:
  /// What stops training before its first step; empty: nothing.
  std::string before_the_first_step(const std::vector<std::string>& overrides,
                                    const std::string& recipe = testing::kRecipe) {
    try {
      system::Run(experiment(overrides, "a", recipe), context()).prepare_fit();
    } catch (const UserError& e) {
      return e.what();
    }
    return "";
  }
};

TEST_F(PlanTest, ATermThatNeedsWhatNobodyRendersIsAnErrorBeforeTheFirstStep) {
  EXPECT_EQ(before_the_first_step({}), "");
  EXPECT_EQ(before_the_first_step({"system.loss.lambda_eikonal=0.0"}), "");
  EXPECT_EQ(before_the_first_step({"system.loss.lambda_eikonal=1.0"}),
            "system.loss.lambda_eikonal needs geometry.sdf_grad, which nerf-volume-renderer does not render "
            "here. Use geometry_type=implicit-sdf, or set system.loss.lambda_eikonal=0.");
  // Also where the weight is 0 at first.
  const std::string plain =
      with("material_type: diffuse-with-point-light-material\n  material: {ambient_only_steps: 2}",
           "material_type: no-material");
  EXPECT_THAT(before_the_first_step({}, plain), HasSubstr("lambda_orient needs geometry.normal"));
  EXPECT_THAT(before_the_first_step({}, plain), HasSubstr("requires_normal: true"));
  EXPECT_EQ(before_the_first_step({"system.loss.lambda_orient=0.0"}, plain), "");
  EXPECT_EQ(before_the_first_step({}, with("system_type: dreamfusion-system", "system_type: sjc-system")),
            "");  // lambda_orient is of no term of this system
}

TEST_F(PlanTest, AnImageForTheGuidanceThatNobodyRendersIsAnErrorBeforeTheFirstStep) {
  const std::string recipe = with("system_type: dreamfusion-system\nsystem:",
                                  "system_type: scaledreamer-system\nsystem:\n  stage: coarse+geometry");
  EXPECT_EQ(
      before_the_first_step({}, recipe),
      "the guidance needs comp_normal, which nerf-volume-renderer does not render here. Use "
      "renderer_type=nvdiff-rasterizer, or set renderer.return_comp_normal=true with a material that needs "
      "normals.");
  EXPECT_EQ(before_the_first_step({"system.renderer.return_comp_normal=true"}, recipe), "");
}

}  // namespace
}  // namespace t3d::system
