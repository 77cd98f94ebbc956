#include "t3d/system/check_experiment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "t3d/core/config/paths.h"
#include "t3d/core/config/read_yaml.h"
#include "t3d/core/error.h"
#include "t3d/io/json_file.h"
#include "t3d/system/experiment.h"
#include "t3d/system/run.h"
#include "t3d/system/type_families.h"
#include "tests/support/format_table.h"

namespace t3d::system {
namespace {

using ::testing::HasSubstr;

std::string recipe(const std::string& name) {
  return std::string(T3D_SOURCE_DIR) + "/configs/" + name + ".yaml";
}

/// What check finds, one problem a line; empty: it can run.
std::string checked(const std::string& file, const std::vector<std::string>& overrides) {
  try {
    std::string all;
    for (const CheckLine& line : check_experiment(file, overrides))
      if (!line.problem.empty()) all += cat(line.what, " ", line.value, ": ", line.problem, "\n");
    return all;
  } catch (const Error& error) {
    return error.what();
  }
}

/// What training stops at before its first step; empty: nothing.
std::string trained(const std::string& file, const std::vector<std::string>& overrides) {
  try {
    Run run(read_experiment(file, overrides), {});
    run.prepare_fit();
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

const std::string kPrompt = "system.prompt_processor.prompt=a red chair";

struct Mutation {
  std::vector<std::string> overrides;
  const char* says;  ///< part of what both say; null: both are content
};

const std::vector<Mutation>& mutations() {
  static const std::vector<Mutation> all = {
      {{}, nullptr},
      {{"system.prompt_processor.prompt=a robot #1, 4k: red"}, nullptr},
      {{"trainer.max_epochs=3"}, nullptr},                     // Lightning's
      {{"system.loss.lambda_normal_consistency=0"}, nullptr},  // of threestudio's other systems
      {{"system.guidance_type=mvdream-multiview-diffusion-guidance"}, nullptr},
      {{"data_type=random-multiview-camera-datamodule"}, nullptr},
      {{"system.background_type=mvdream-neural-environment-map-background", "system.background=null"},
       nullptr},
      {{"sytem.loss.lambda_sds=1"}, "sytem"},
      {{"seeds=3"}, "seeds"},
      {{"data_type=null"}, ""},
      {{"data_type=co3d-datamodule"}, ""},
      {{"data.batchsize=4"}, "data.batchsize"},
      {{"data.width=wide"}, "data.width"},
      {{"data.n_view=0"}, "data.n_view"},
      {{"data.fovy_range=[35]"}, "data.fovy_range"},
      {{"system_type=mvdreams-system"}, "mvdreams-system"},
      {{"system.geometri_type=implicit-volume"}, "geometri_type"},
      {{"system.geometry_type=implicit-volumes"}, "implicit-volumes"},
      {{"system.material_type=pbr-material", "system.material=null",
        "system.material.environment_texture=no/such.hdr"},
       "no/such.hdr"},
      {{"system.geometry.radius=big"}, "system.geometry.radius"},
      {{"system.geometry.radus=1"}, "system.geometry.radus"},
      {{"system.geometry.density_bias=blobs"}, "density_bias"},
      {{"system.geometry.pos_encoding_config.otype=HashGird"}, "HashGird"},
      {{"system.geometry.pos_encoding_config.n_levels=99"}, "n_levels"},
      {{"system.geometry_type=implicit-sdf", "system.geometry=null"}, "needs a density"},
      {{"system.material.color_activation=sigmoidal"}, "color_activation"},
      {{"system.background.colour=[0, 0, 0]"}, "system.background.colour"},
      {{"system.renderer.num_samples_per_ray=-3"}, "num_samples_per_ray"},
      {{"system.renderer_type=nerf-volume-render"}, "nerf-volume-render"},
      {{"system.renderer_type=neus-volume-renderer", "system.renderer=null"}, "signed distance"},
      {{"system.guidance.guidance_scal=3"}, "guidance_scal"},
      {{"system.guidance.min_step_percent=often"}, "min_step_percent"},
      {{"system.guidance.n_view=four"}, "n_view"},
      {{"system.guidance_type=deep-floyd-guidances"}, "deep-floyd-guidances"},
      {{"system.prompt_processor.negativ_prompt=x"}, "negativ_prompt"},
      {{"system.prompt_processor.use_cache=perhaps"}, "use_cache"},
      {{"system.prompt_processor.prompt=null-less", "system.prompt_processor.prompt=lib:no_such_words"}, ""},
      {{"system.loss.lambda_sdss=1"}, "lambda_sds"},
      {{"system.loss.lamda_opaque=1"}, "lambda_opaque"},
      {{"system.loss.lambda_orient=[1, 2]"}, "system.loss"},
      {{"system.loss.lambda_sparsity=much"}, "much"},
      {{"system.loss=null", "system.loss={lambda_sparsity: 1.0}"}, "lambda_sds"},
      {{"system.loss=null", "system.loss={lambda_sds: 0.0, lambda_sds_img: 0.0}"}, "every weight is 0"},
      {{"system.optimizer.name=Adamm"}, "Adamm"},
      {{"system.optimizer.params={geometri: {lr: 0.1}}"}, "geometri"},
      {{"system.optimizer.args.beta=[0.9, 0.99]"}, "beta"},
      {{"system.scheduler.name=CosineAnealingLR"}, "CosineAnealingLR"},
      {{"system.exporter.fmt=fbx"}, "fmt"},
      {{"system.freq={guidance_evals: 3}"}, "guidance_evals"},
      {{"trainer.max_step=10"}, "max_step"},
      {{"trainer.max_steps=-1"}, ""},
      {{"trainer.log_every_n_steps=0"}, "log_every_n_steps"},
      {{"trainer.gradient_clip_val=strong"}, "gradient_clip_val"},
      {{"checkpoint.every_n_train_step=5"}, "every_n_train_step"},
      {{"checkpoint.save_last=maybe"}, "save_last"},
      {{"system.guidance.model_name=no-such-model"}, "no-such-model"},
      {{"system.weights=nowhere/last.ckpt"}, "nowhere"},
      {{"system.geometry_convert_from=nowhere/ckpts/last.ckpt"}, "nowhere"},
      {{"resume=nowhere"}, "nowhere"},
      {{"system.geometry.radius=${nothing.here}"}, "nothing.here"},
      {{"use_timestamp=false", "tag="}, "tag"},
      {{"system_type=scaledreamer-system", "system.stage=geometry+texture"}, "are not built"},
      {{"system_type=scaledreamer-system", "system.stage=geometry"}, "Use renderer_type=nvdiff-rasterizer"},
      {{"system_type=magic3d-system", "system.refinement=true", "system.loss.lambda_normal_consistency=1"},
       "Use renderer_type=nvdiff-rasterizer"},
      {{"system_type=scaledreamer-system", "system.stage=course"}, "system.stage"},
      {{"system_type=textmesh-system"}, "signed distance"},
  };
  return all;
}

TEST(CheckExperiment, AnswersAsTrainingDoes) {
  const testing::TemporaryFolder folder;
  for (const Mutation& mutation : mutations()) {
    std::vector<std::string> overrides = {kPrompt,
                                          "exp_root_dir=" + folder.string(),
                                          "data.width=8",
                                          "data.height=8",
                                          "data.resolution_milestones=[]",
                                          "system.geometry.pos_encoding_config.log2_hashmap_size=8"};
    overrides.insert(overrides.end(), mutation.overrides.begin(), mutation.overrides.end());
    const std::string text = mutation.overrides.empty() ? "(none)" : mutation.overrides.back();
    SCOPED_TRACE(text);
    const std::string check = checked(recipe("toybox"), overrides),
                      train = trained(recipe("toybox"), overrides);
    EXPECT_EQ(check.empty(), train.empty()) << "check: " << check << "\ntrain: " << train;
    EXPECT_EQ(check.empty(), mutation.says == nullptr);
    if (mutation.says == nullptr) continue;
    EXPECT_THAT(check, HasSubstr(mutation.says));
    EXPECT_THAT(train, HasSubstr(mutation.says));
  }
}

TEST(CheckExperiment, WithoutAPromptOnlyThePromptIsMissing) {
  const auto lines = check_experiment(recipe("toybox"), {});
  std::vector<std::string> missing;
  for (const CheckLine& line : lines)
    if (!line.problem.empty()) missing.push_back(line.what + ": " + line.problem);
  EXPECT_THAT(missing, ::testing::ElementsAre(::testing::AllOf(
                           ::testing::StartsWith("prompt: "),
                           HasSubstr("must be given: add system.prompt_processor.prompt="))));
}

TEST(CheckExperiment, EveryRecipeFitsItsStructs) {
  for (const auto& entry : std::filesystem::directory_iterator(std::string(T3D_SOURCE_DIR) + "/configs")) {
    const std::string name = entry.path().stem().string();
    if (entry.path().extension() != ".yaml" || name.rfind("ngp-", 0) == 0) continue;  // of t3d reconstruct
    std::vector<std::string> overrides = {kPrompt};
    const std::string text = testing::read_text(entry.path());
    for (const char* link : {"geometry_convert_from", "weights"})  // the run of the stage before
      if (text.find(cat(link, ": ???")) != std::string::npos)
        overrides.push_back(cat("system.", link, "=null"));
    for (const CheckLine& line : check_experiment(entry.path().string(), overrides)) {
      const bool is_model = line.what.find("pretrained_model") != std::string::npos ||
                            line.what.find("model_name") != std::string::npos;
      if (!is_model && line.problem.find("missing: add") == std::string::npos &&
          line.problem.find("is not there") == std::string::npos)
        EXPECT_EQ(line.problem, "") << name << ": " << line.what;
    }
  }
}

/// The toybox with another scheduler config, through links to the rest.
std::string toybox_with_scheduler(const std::string& folder, const std::string& class_name) {
  namespace fs = std::filesystem;
  const fs::path from = fs::path(T3D_SOURCE_DIR) / "models/toybox", to = fs::path(folder) / class_name;
  fs::create_directories(to / "scheduler");
  for (const char* part : {"unet", "vae", "text_encoder", "tokenizer", "model_index.json"})
    fs::create_symlink(from / part, to / part);
  auto config = io::read_json_file((from / "scheduler/scheduler_config.json").string());
  config["_class_name"] = class_name;
  io::write_json_file((to / "scheduler/scheduler_config.json").string(), config);
  return to.string();
}

TEST(CheckExperiment, AnyScheduleWithBetasIsTrainedWith) {
  const testing::TemporaryFolder folder;
  const auto both = [&](const std::string& class_name) {
    const std::vector<std::string> overrides = {
        kPrompt, "exp_root_dir=" + folder.string(), "system.geometry.pos_encoding_config.log2_hashmap_size=8",
        "system.guidance.model_name=" + toybox_with_scheduler(folder.string(), class_name)};
    return std::make_pair(checked(recipe("toybox"), overrides), trained(recipe("toybox"), overrides));
  };
  for (const char* name : {"LMSDiscreteScheduler", "UniPCMultistepScheduler"}) {
    const auto [check, train] = both(name);
    EXPECT_EQ(check, "") << name;
    EXPECT_EQ(train, "") << name;
  }
  const auto [check, train] = both("FlowMatchEulerDiscreteScheduler");
  EXPECT_THAT(check, HasSubstr("flow matching"));
  EXPECT_THAT(train, HasSubstr("flow matching"));
}

std::string prompt_of(const std::string& right) {
  const Experiment e = read_experiment(recipe("toybox"), {"system.prompt_processor.prompt=" + right});
  const config::Node* prompt = config::find_at(e.system, "prompt_processor.prompt");
  return prompt->is_string() ? std::get<std::string>(prompt->value) : std::string("(no text)");
}

void texts_as_written() {
  for (const char* prompt :
       {"a robot #1, 4k", "yes", "a robot: red", "[a cube]", "null", "1e3", "~", "{a}", "off", "*x"})
    EXPECT_EQ(prompt_of(prompt), prompt);
}
void texts_in_quotes() {
  EXPECT_EQ(prompt_of("\"a robot: red\""), "a robot: red");
  EXPECT_EQ(prompt_of("a \"big\" robot"), "a \"big\" robot");
}
void texts_with_interpolation() {
  EXPECT_EQ(prompt_of("a ${name}"), "a toybox");
  const Experiment e =
      read_experiment(recipe("toybox"), {"system.prompt_processor.prompt=yes", "use_timestamp=false"});
  EXPECT_EQ(e.tag, "yes");
}
void other_keys() {
  const Experiment e = read_experiment(
      recipe("toybox"),
      {kPrompt, "seed=0x10", "resume=null", "system.guidance.min_step_percent=[0, 0.5, 0.1, 10]", "tag=1e3"});
  EXPECT_EQ(e.seed, 16);
  EXPECT_FALSE(e.resume);
  EXPECT_EQ(e.tag, "1e3");
  EXPECT_TRUE(config::find_at(e.system, "guidance.min_step_percent")->is_list());
}
void mvdream_names() {
  for (const char* name :
       {"mvdream-random-multiview-camera-datamodule", "random-multiview-camera-datamodule"})
    EXPECT_EQ(typed_blocks()[0].own_name(name), "mvdream-random-multiview-camera-datamodule");
  const std::map<std::string, std::string> others = {
      {"mvdream-multiview-diffusion-guidance", "multiview-diffusion-guidance"},
      {"mvdream-neural-environment-map-background", "neural-environment-map-background"},
      {"asynchronous-score-distillation-guidance", "mvdream-asynchronous-score-distillation-guidance"}};
  for (const auto& [alias, own] : others) {
    std::string found;
    for (const TypedBlock& block : typed_blocks())
      if (!block.own_name(alias).empty()) found = block.own_name(alias);
    EXPECT_EQ(found, own) << alias;
  }
  for (const TypedBlock& block : typed_blocks())
    EXPECT_EQ(block.own_name("mvdream-nerf-volume-renderer"), "");
}
void foreign_files() {
  const testing::TemporaryFolder folder;
  testing::write_text(folder / "c.yaml",
                      "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n");
  EXPECT_THAT(checked(folder / "c.yaml", {}), HasSubstr("is a Git LFS pointer"));
  testing::write_text(folder / "c.yaml", "<!DOCTYPE html>\n<html>");
  EXPECT_THAT(checked(folder / "c.yaml", {}), HasSubstr("is a web page"));
}
void misspelt_losses() {
  EXPECT_THAT(checked(recipe("toybox"), {kPrompt, "system.loss.lambda_opaqe=1"}),
              HasSubstr("did you mean system.loss.lambda_opaque?"));
  EXPECT_THAT(checked(recipe("toybox"), {kPrompt, "system.loss.sds=1"}),
              HasSubstr("system.loss.lambda_sds?"));
  EXPECT_EQ(checked(recipe("toybox"), {kPrompt, "system.loss.lambda_normal_smooth=1"}), "");
}

TEST(ConfigurationFormats, AreReadOrNamed) {
  testing::run_format_cases(
      "configurations",
      {{"an override of a text key: `prompt=a robot #1, 4k`, `yes`, `a robot: red`, `[a cube]`, `null`, "
        "`1e3`, `~`",
        "taken as written", texts_as_written},
       {"the whole text in quotes: `prompt=\"a robot: red\"`", "without them, as in YAML", texts_in_quotes},
       {"`${...}` in a text", "resolved", texts_with_interpolation},
       {"overrides of other keys; `null` for a text that may be absent", "YAML", other_keys},
       {"types of MVDream with and without `mvdream-` in front", "the same type", mvdream_names},
       {"a misspelt or unknown weight in `system.loss`",
        "refused where it is near one of ours; threestudio's others pass", misspelt_losses},
       {"a Git LFS pointer or a web page for a YAML file", "refused: named for what it is", foreign_files}});
}

}  // namespace
}  // namespace t3d::system
