#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "t3d/core/config/load_config.h"
#include "t3d/core/error.h"
#include "t3d/core/rng.h"
#include "t3d/system/check_experiment.h"
#include "t3d/system/prepare_training.h"
#include "t3d/system/type_families.h"
#include "tests/support/temporary_folder.h"

/// t3d check says what t3d train says before its first step: held on configurations that are broken at
/// random.
namespace t3d::system {
namespace {

using config::Node;
using Overrides = std::vector<std::string>;

constexpr int kPerRecipe = 36;

struct Recipe {
  std::string file;
  Overrides small;  ///< with the model that comes with t3d, and at sizes that are built at once
};

const std::string kToybox = "toybox";

std::vector<Recipe> recipes() {
  const std::string hash = "system.geometry.pos_encoding_config.log2_hashmap_size=8",
                    prompts = "system.prompt_processor.pretrained_model_name_or_path=toybox",
                    guidance = "system.guidance.pretrained_model_name_or_path=toybox";
  return {{"toybox", {hash}},
          {"toybox-asd", {hash}},
          {"toybox-sdf", {hash}},
          {"toybox-vsd", {hash}},
          {"scaledreamer-mvdream",
           {hash, prompts, "system.guidance.model_name=toybox",
            "system.background.dir_encoding_config.log2_hashmap_size=8"}},
          {"prolificdreamer-patch",
           {hash, prompts, guidance, "system.guidance.pretrained_model_name_or_path_lora=toybox"}},
          {"dreamfusion", {hash, prompts, guidance}}};
}

/// Every key below a node, "system.geometry.radius", that is no block itself.
void collect_keys(const Node& node, const std::string& path, std::vector<std::string>& keys) {
  if (!node.is_map()) return keys.push_back(path);
  for (const auto& [key, value] : node.map())
    collect_keys(value, path.empty() ? key : path + "." + key, keys);
}

/// Breaks a configuration in one way of seven.
class Breaker {
 public:
  Breaker(uint64_t seed, const Node& root) : rng_(seed) {
    collect_keys(root, "", keys_);
    for (const TypedBlock& block : typed_blocks())
      for (const config::FieldInfo& field : fields_of(root, block))
        if (field.type != "block" && field.type != "any") keys_.push_back(block.path + "." + field.name);
    for (const char* key : {"trainer.max_steps", "trainer.log_every_n_steps", "trainer.gradient_clip_val",
                            "trainer.accumulate_grad_batches", "checkpoint.save_last",
                            "checkpoint.every_n_train_steps", "seed", "use_timestamp"})
      keys_.emplace_back(key);
  }

  Overrides next() {
    const int kind = n_++ % 7;
    if (kind == 6) {  // two at once: which one is said first counts
      Overrides two = one(pick(6)), second = one(pick(6));
      two.insert(two.end(), second.begin(), second.end());
      return two;
    }
    return one(kind);
  }

 private:
  Overrides one(int kind) {
    switch (kind) {
      case 0:
        return {misspelt(any_key()) + "=1"};
      case 1:
        return {any_key() + "=" + of({"word", "[1, 2, 3]", "{a: 1}", "null", "1.5", "true", "[]", "???"})};
      case 2:
        return {any_key() + "=" + of({"-1", "-7.5", "1000000000000000", "0", "[-1, -1]", "nan"})};
      case 3:
        return missing_file();
      case 4:
        return unsupported();
      default:  // nothing wrong, or nothing that shows before the first step
        return {of({"seed=7", "trainer.max_steps=10", "data.eval_width=32", "trainer.max_epochs=3",
                    "system.loggers={wandb: {enable: false}}", "system.loss.lambda_rgb=0.0",
                    "system.geometry.isosurface_resolution=64", "system.exporter.fmt=obj",
                    "checkpoint.every_n_seconds=0", "system.loss.lambda_sparsity=[0, 1.0, 2.0, 100]"})};
    }
  }

  Overrides missing_file() {
    return of(std::vector<Overrides>{
        {"resume=/nowhere/run"},
        {"resume=/nowhere/run/ckpts/last.ckpt"},
        {"system.weights=/nowhere/last.ckpt"},
        {"system.geometry_convert_from=/nowhere/ckpts/last.ckpt"},
        {"system.geometry.weights=/nowhere/last.ckpt:geometry"},
        {"system.geometry.weights=/nowhere/last.ckpt"},
        {"system.geometry.shape_init=mesh:/nowhere.obj"},
        {"system.guide_shape=/nowhere.obj"},
        {"system.guidance.model_name=no-such-model"},
        {"system.guidance.pretrained_model_name_or_path=no-such-model"},
        {"system.guidance.pretrained_model_name_or_path_lora=no-such-model"},
        {"system.guidance.ckpt_path=/nowhere/model.pt"},
        {"system.prompt_processor.pretrained_model_name_or_path=/nowhere/model"},
        {"system.prompt_processor.prompt=lib:no_such_words"},
        {"system.prompt_processor.prompt=lib:a_b",
         "system.prompt_processor.prompt_library_path=/nowhere.json"},
        {"system.prompt_processor.use_prompt_debiasing=true"},
        {"system.prompt_processor.use_prompt_debiasing=true", "system.prompt_processor.prompt_side=a side"}});
  }

  Overrides unsupported() {
    return of(std::vector<Overrides>{
        {"system.stage=geometry"},
        {"system.stage=texture"},
        {"system.stage=corse"},
        {"system_type=prolificdreamer-system", "system.stage=geometry"},
        {"system_type=scaledreamer-system", "system.stage=geometry+texture"},
        {"system_type=magic3d-system"},
        {"system_type=textmesh-system"},
        {"system_type=latentnerf-system"},
        {"system_type=sjc-system"},
        {"system_type=dreamfusion-sytem"},
        {"data_type=co3d-datamodule"},
        {"data_type=random-camera-datamodules"},
        {"system.geometry_type=tetrahedra-sdf-grid"},
        {"system.geometry_type=implicit-sdf", "system.geometry={radius: 1.0}"},
        {"system.geometry_type=volume-grid", "system.geometry={grid_size: [4, 4, 4]}"},
        {"system.material_type=pbr-material"},
        {"system.background_type=textured-background", "system.background={}"},
        {"system.renderer_type=neus-volume-renderer"},
        {"system.renderer_type=nvdiff-rasterizer"},
        {"system.renderer.estimator=proposal"},
        {"system.renderer.estimator=importance"},
        {"system.guidance_type=deep-floyd-guidance"},
        {"system.guidance_type=stable-diffusion-vsd-guidance", "system.guidance={}"},
        {"system.guidance_type=stable-diffusion-guidance",
         "system.guidance={pretrained_model_name_or_path: toybox}"},
        {"system.prompt_processor_type=deep-floyd-prompt-processor"},
        {"system.exporter_type=dummy-exporter"},
        {"system.exporter_type=mesh-exporters"},
        {"system.optimizer.name=Adadelta"},
        {"system.optimizer.params={nothing: {lr: 0.1}}"},
        {"system.optimizer.params.geometry.betas=0.9"},
        {"system.scheduler={name: CosineAnnealingLR, interval: step, args: {T_max: 0}}"},
        {"system.scheduler={name: OneCycleLR}"},
        {"system.loss={}"},
        {"system.loss=null"},
        {"system.loss.lambda_sds=0.0", "system.loss.lambda_sparsity=[1, 2]"},
        {"data.batch_size=3"},
        {"data.n_view=2"},
        {"data.fovy_range=[60, 40]"},
        {"system.material.n_output_dims=5"},
        {"system.background.color=[1.0, 1.0]"},
        {"system.geometry.pos_encoding_config.otype=Octree"},
        {"system.geometry.mlp_network_config={otype: VanillaMLP, n_neurons: 0, n_hidden_layers: 1}"},
        {"system.freq={guidance_evals: 3}"},
        {"tag=", "use_timestamp=false"},
        {"name=${no.such.key}"}});
  }

  int pick(size_t n) { return static_cast<int>(rng_.next_u32() % n); }
  template <class T>
  T of(const std::vector<T>& all) {
    return all[static_cast<size_t>(pick(all.size()))];
  }
  std::string of(const std::vector<const char*>& all) { return all[static_cast<size_t>(pick(all.size()))]; }
  std::string any_key() { return of(keys_); }

  /// Another letter, one less or one more in the key's last part.
  std::string misspelt(std::string path) {
    const size_t begin = path.rfind('.') + 1, at = begin + static_cast<size_t>(pick(path.size() - begin));
    const int how = pick(3);
    if (how == 0 && path.size() > begin + 1)
      path.erase(at, 1);
    else if (how == 1)
      path.insert(at, 1, path[at]);
    else
      path[at] = path[at] == 'x' ? 'z' : 'x';
    return path;
  }

  Rng rng_;
  std::vector<std::string> keys_;
  int n_ = 0;
};

/// The first of what check finds; empty: nothing. What is not one of our errors is one of the program's.
std::string first_problem(const std::string& file, const Overrides& overrides) {
  try {
    for (const CheckLine& line : check_experiment(file, overrides))
      if (!line.problem.empty()) return line.problem;
    return "";
  } catch (const Error& error) {
    return error.what();
  } catch (const std::exception& error) {
    return std::string("an error that is not ours: ") + error.what();
  }
}

std::string preparing_error(const std::string& file, const Overrides& overrides) {
  SystemContext context;
  context.open = [](const guidance::ModelRequest& request) {  // each model once
    static std::map<std::string, std::shared_ptr<const guidance::Model>> opened;
    auto& model = opened[request.name + (request.with_vae ? "" : " without vae")];
    if (model == nullptr) model = guidance::open_model(request);
    return model;
  };
  try {
    prepare_training(file, overrides, context);
    return "";
  } catch (const Error& error) {
    return error.what();
  } catch (const std::exception& error) {
    return std::string("an error that is not ours: ") + error.what();
  }
}

class CheckMutations : public ::testing::TestWithParam<Recipe> {};

TEST_P(CheckMutations, CheckAndTrainingSayTheSame) {
  const testing::TemporaryFolder folder;
  const std::string file = std::string(T3D_SOURCE_DIR) + "/configs/" + GetParam().file + ".yaml";
  Overrides usual = GetParam().small;
  for (const std::string& more :
       {std::string("system.prompt_processor.prompt=a red chair"), "exp_root_dir=" + folder.string(),
        std::string("system.prompt_processor.use_cache=true"),
        "system.prompt_processor.cache_dir=" + (folder / "cache")})
    usual.push_back(more);
  ASSERT_EQ(preparing_error(file, usual), "");
  ASSERT_EQ(first_problem(file, usual), "");

  Breaker breaker(/*seed=*/19, config::load_config(file, usual, {}, key_kind));
  int n_refused = 0;
  for (int i = 0; i < kPerRecipe; ++i) {
    const Overrides changes = breaker.next();
    Overrides all = usual;
    all.insert(all.end(), changes.begin(), changes.end());
    std::string text;
    for (const std::string& each : changes) text += " '" + each + "'";
    const std::string check = first_problem(file, all), train = preparing_error(file, all);
    EXPECT_EQ(check, train) << GetParam().file << text;
    EXPECT_EQ(train.find("not ours"), std::string::npos) << GetParam().file << text << ": " << train;
    n_refused += !train.empty();
  }
  EXPECT_GT(n_refused, kPerRecipe / 3) << "the changes break too little";
  EXPECT_LT(n_refused, kPerRecipe) << "the changes break everything";
  std::set<std::string> left;  // neither of them writes: there are no runs, and no cache of what was not read
  for (const auto& entry : std::filesystem::directory_iterator(folder.string()))
    left.insert(entry.path().filename().string());
  EXPECT_EQ(left, std::set<std::string>{"cache"});
}

INSTANTIATE_TEST_SUITE_P(Recipes, CheckMutations, ::testing::ValuesIn(recipes()), [](const auto& recipe) {
  std::string name = recipe.param.file;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(CheckMutations, AreAtLeastTwoHundred) {
  EXPECT_GE(recipes().size() * kPerRecipe, 200u);
}

}  // namespace
}  // namespace t3d::system
