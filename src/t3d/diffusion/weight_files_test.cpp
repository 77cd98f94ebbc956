#include "t3d/diffusion/weight_files.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "t3d/diffusion/ldm_names.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/diffusion/scaled_source.h"
#include "t3d/diffusion/scheduler.h"
#include "t3d/diffusion/torch_source.h"
#include "t3d/io/safetensors.h"
#include "tests/support/format_table.h"
#include "tests/support/golden_report.h"
#include "tests/support/message_of.h"
#include "tests/support/torch_writer.h"

namespace t3d::diffusion {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;

void write(const std::string& path, const std::string& name, double value) {
  const std::map<std::string, at::Tensor> tensors = {{name, at::full({2}, value, at::kFloat)}};
  if (path.substr(path.size() - 4) == ".bin")
    testing::write_lightning_file(path, 0, tensors);
  else
    io::write_safetensors(path, tensors);
}
void write_index(const std::string& path, const std::map<std::string, std::string>& map) {
  testing::write_text(path, nlohmann::json{{"metadata", {{"total_size", 1}}}, {"weight_map", map}}.dump());
}
/// What reading the folder's weights gives: the value of "a", or the message.
std::string value_of_a(const std::string& folder) {
  try {
    const auto source = open_source(find_weights(folder));
    source->load("b", at::kFloat, c10::kCPU);
    return cat(source->load("a", at::kFloat, c10::kCPU)[0].item<float>());
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(WeightFileName, HasStemVariantShardAndEnding) {
  struct Case {
    const char *name, *stem, *variant, *ending;
    int shard, n_shards;
    bool is_index;
  };
  const Case cases[] = {
      {"model.safetensors", "model", "", ".safetensors", 0, 0, false},
      {"diffusion_pytorch_model.fp16.safetensors", "diffusion_pytorch_model", "fp16", ".safetensors", 0, 0,
       false},
      {"model.fp16-00001-of-00002.safetensors", "model", "fp16", ".safetensors", 1, 2, false},
      {"diffusion_pytorch_model-00002-of-00002.fp16.safetensors", "diffusion_pytorch_model", "fp16",
       ".safetensors", 2, 2, false},
      {"pytorch_model-00001-of-00003.bin", "pytorch_model", "", ".bin", 1, 3, false},
      {"diffusion_pytorch_model.non_ema.safetensors", "diffusion_pytorch_model", "non_ema", ".safetensors", 0,
       0, false},
      {"model.safetensors.index.json", "model", "", ".safetensors", 0, 0, true},
      {"diffusion_pytorch_model.safetensors.index.fp16.json", "diffusion_pytorch_model", "fp16",
       ".safetensors", 0, 0, true},
      {"diffusion_pytorch_model.fp16.safetensors.index.json", "diffusion_pytorch_model", "fp16",
       ".safetensors", 0, 0, true},
      {"pytorch_model.bin.index.json", "pytorch_model", "", ".bin", 0, 0, true}};
  for (const Case& c : cases) {
    WeightFileName found;
    ASSERT_TRUE(parse_weight_file_name(c.name, found)) << c.name;
    EXPECT_EQ(found.stem, c.stem) << c.name;
    EXPECT_EQ(found.variant, c.variant) << c.name;
    EXPECT_EQ(found.ending, c.ending) << c.name;
    EXPECT_EQ(found.shard, c.shard) << c.name;
    EXPECT_EQ(found.n_shards, c.n_shards) << c.name;
    EXPECT_EQ(found.is_index, c.is_index) << c.name;
  }
  for (const char* other :
       {"config.json", "model.safetensors.part", "optimizer.bin", "model-00003-of-00002.bin",
        "model-0-of-2.bin", "-of-.safetensors", "model-a-of-b.safetensors", "model.a/b.safetensors",
        "model.onnx", "model-00001-of-999999.bin", ""}) {
    WeightFileName found;
    EXPECT_FALSE(parse_weight_file_name(other, found)) << other;
  }
}

void shards_of_every_naming() {
  struct Naming {
    const char *first, *second, *index;
  };
  for (const Naming& n :
       {Naming{"diffusion_pytorch_model-00001-of-00002.fp16.safetensors",
               "diffusion_pytorch_model-00002-of-00002.fp16.safetensors",
               "diffusion_pytorch_model.safetensors.index.fp16.json"},
        Naming{"diffusion_pytorch_model.fp16-00001-of-00002.safetensors",
               "diffusion_pytorch_model.fp16-00002-of-00002.safetensors",
               "diffusion_pytorch_model.fp16.safetensors.index.json"},
        Naming{"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
               "model.safetensors.index.json"},
        Naming{"pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin",
               "pytorch_model.bin.index.json"},
        Naming{"pytorch_model.fp16-00001-of-00002.bin", "pytorch_model.fp16-00002-of-00002.bin",
               "pytorch_model.bin.index.fp16.json"}}) {
    SCOPED_TRACE(n.first);
    const testing::TemporaryFolder folder;
    write(folder / n.first, "a", 1);
    write(folder / n.second, "b", 2);
    EXPECT_EQ(value_of_a(folder.string()), "1") << "shards without an index";
    write_index(folder / n.index, {{"a", n.first}, {"b", n.second}});
    EXPECT_EQ(value_of_a(folder.string()), "1");
    EXPECT_EQ(weight_sets(folder.string()).size(), 1u);
    std::filesystem::remove(folder / n.second);
    EXPECT_THAT(value_of_a(folder.string()), HasSubstr(cat("shards of its weights are missing: ", n.second)));
    std::filesystem::remove(folder / n.index);
    EXPECT_THAT(value_of_a(folder.string()), HasSubstr(cat("shards of its weights are missing: ", n.second)));
  }
}

void index_that_names_the_other_order() {
  const testing::TemporaryFolder folder;
  write(folder / "model.fp16-00001-of-00002.safetensors", "a", 1);
  write(folder / "model.fp16-00002-of-00002.safetensors", "b", 2);
  write_index(folder / "model.safetensors.index.fp16.json", {{"a", "model-00001-of-00002.fp16.safetensors"},
                                                             {"b", "model-00002-of-00002.fp16.safetensors"}});
  EXPECT_EQ(value_of_a(folder.string()), "1");
}

void best_of_several() {
  const testing::TemporaryFolder folder;
  const auto add = [&folder](const char* name, double value) {
    io::write_safetensors(folder / name, {{"a", at::full({1}, value)}, {"b", at::zeros({1})}});
  };
  add("model.non_ema.safetensors", 6);
  EXPECT_EQ(value_of_a(folder.string()), "6");
  add("model.bf16.safetensors", 5);
  EXPECT_EQ(value_of_a(folder.string()), "5");
  add("model.fp16.safetensors", 4);
  EXPECT_EQ(value_of_a(folder.string()), "4");
  EXPECT_EQ(choice_text(weight_sets(folder.string()), "F"),
            "F: reads model.fp16.safetensors; not model.bf16.safetensors, model.non_ema.safetensors.");
  // A set that is not whole comes after all that are.
  write(folder / "model-00001-of-00002.safetensors", "a", 9);
  EXPECT_EQ(value_of_a(folder.string()), "4");
  testing::write_lightning_file(folder / "pytorch_model.bin", 0,
                                {{"a", at::full({1}, 3.f)}, {"b", at::zeros({1})}});
  EXPECT_EQ(value_of_a(folder.string()), "3");
  add("model.safetensors", 2);
  EXPECT_EQ(value_of_a(folder.string()), "2");
}

void wrong_endings() {
  const testing::TemporaryFolder folder;
  io::write_safetensors(folder / "m.ckpt", {{"a", at::ones({1})}});
  testing::write_lightning_file(folder / "m.safetensors", 0, {{"a", at::ones({1})}});
  for (const char* name : {"m.ckpt", "m.safetensors"})
    EXPECT_THAT(open_source(folder / name)->names(), ElementsAre("a")) << name;
}

void what_is_no_weights_file() {
  const testing::TemporaryFolder folder;
  const auto error_with = [&folder](const char* name, const std::string& bytes) {
    testing::write_text(folder / name, bytes);
    return message_of([&] { open_source(folder / name); });
  };
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1000\n";
  for (const char* name : {"m.safetensors", "m.ckpt", "m.safetensors.index.json"}) {
    EXPECT_THAT(error_with(name, pointer), HasSubstr("is a Git LFS pointer")) << name;
    EXPECT_THAT(error_with(name, "<!DOCTYPE html><html><title>Log in</title></html>"),
                HasSubstr("web page (\"Log in\")"))
        << name;
    EXPECT_THAT(error_with(name, ""), HasSubstr("is empty")) << name;
    EXPECT_THAT(error_with(name, "Entry not found"), HasSubstr("a server's answer")) << name;
  }
  EXPECT_THAT(error_with("m.safetensors", "GGUF" + std::string(60, 'x')), HasSubstr("It is a GGUF model"));
  EXPECT_THAT(error_with("m.ckpt", "\x1f\x8b" + std::string(60, 'x')), HasSubstr("It is a gzip archive"));
  EXPECT_THAT(error_with("m.safetensors.part", "x"), HasSubstr("is an unfinished download: finish it first"));
  std::filesystem::create_directories(folder / "unet");
  testing::write_text(folder / "unet/diffusion_pytorch_model.safetensors.incomplete", "x");
  EXPECT_THAT(value_of_a(folder / "unet"),
              HasSubstr("there is diffusion_pytorch_model.safetensors.incomplete"));
}

/// A safetensors file of bytes under types of the format's names.
void write_typed(const std::string& path, const std::vector<std::pair<std::string, std::string>>& tensors) {
  std::string header = "{", data;
  for (const auto& [entry, bytes] : tensors) {
    header += cat(header.size() > 1 ? "," : "", entry, ",\"data_offsets\":[", data.size(), ",",
                  data.size() + bytes.size(), "]}");
    data += bytes;
  }
  header += "}";
  std::string file(8, '\0');
  for (int i = 0; i < 8; ++i) file[static_cast<size_t>(i)] = static_cast<char>(header.size() >> (8 * i));
  testing::write_text(path, file + header + data);
}
std::string float_bytes(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

void eight_bit_floats() {
  const testing::TemporaryFolder folder;
  const std::string eight = "\x38\x40\x44\xb8";  // e4m3: 1, 2, 3, -1
  write_typed(folder / "m.safetensors", {{"\"w\":{\"dtype\":\"F8_E4M3\",\"shape\":[2,2]", eight},
                                         {"\"v\":{\"dtype\":\"F8_E5M2\",\"shape\":[2]", "\x3c\x42"}});
  const auto source = open_source(folder / "m.safetensors");
  for (const auto type : {at::kFloat, at::kHalf, at::kBFloat16}) {
    const auto w = source->load("w", type, c10::kCPU), v = source->load("v", type, c10::kCPU);
    EXPECT_EQ(w.scalar_type(), type);
    EXPECT_TRUE(w.to(at::kFloat).equal(at::tensor({1.f, 2.f, 3.f, -1.f}).reshape({2, 2})));
    EXPECT_TRUE(v.to(at::kFloat).equal(at::tensor({1.f, 3.f})));
  }
}

void scaled_eight_bit_floats() {
  const testing::TemporaryFolder folder;
  const std::string eight = "\x38\x40\x44\xb8";
  write_typed(folder / "m.safetensors",
              {{"\"scaled_fp8\":{\"dtype\":\"F8_E4M3\",\"shape\":[2]", "\x38\x38"},
               {"\"a.weight\":{\"dtype\":\"F8_E4M3\",\"shape\":[2,2]", eight},
               {"\"a.scale_weight\":{\"dtype\":\"F32\",\"shape\":[]", float_bytes({0.5f})},
               {"\"a.scale_input\":{\"dtype\":\"F32\",\"shape\":[]", float_bytes({7.f})},
               {"\"b.weight\":{\"dtype\":\"F8_E4M3\",\"shape\":[2,2]", eight},
               {"\"b.weight_scale\":{\"dtype\":\"F32\",\"shape\":[2,1]", float_bytes({2.f, 4.f})}});
  const auto source = open_source(folder / "m.safetensors");
  EXPECT_THAT(source->names(), ElementsAre("a.weight", "b.weight"));
  EXPECT_TRUE(source->load("a.weight", at::kFloat, c10::kCPU)
                  .equal(at::tensor({0.5f, 1.f, 1.5f, -0.5f}).reshape({2, 2})));
  EXPECT_TRUE(source->load("b.weight", at::kFloat, c10::kCPU)
                  .equal(at::tensor({2.f, 4.f, 12.f, -4.f}).reshape({2, 2})));
}

void other_quantizations() {
  const auto error_with = [](const std::map<std::string, at::Tensor>& tensors) {
    return message_of([&] { scaled_source(memory_source("m", tensors)); });
  };
  EXPECT_THAT(error_with({{"a.weight.absmax", at::ones({1})}}),
              HasSubstr("quantized in a way that is not read (tensor a.weight.absmax)"));
  EXPECT_THAT(error_with({{"a.qweight", at::ones({1})}}), HasSubstr("quantized"));
  EXPECT_THAT(error_with({{"a.weight", at::ones({4, 4})}, {"a.weight_scale", at::ones({4, 2})}}),
              HasSubstr("but one scale, or one for each row, is read"));
  EXPECT_THAT(error_with({{"a.scale_weight", at::ones({1})}}),
              HasSubstr("scales a.weight, which is not there"));
}

void text_encoder_names() {
  const std::map<std::string, at::Tensor> bare = {{"embeddings.token_embedding.weight", at::ones({3, 2})},
                                                  {"embeddings.position_ids", at::zeros({1, 7}, at::kLong)},
                                                  {"encoder.layers.0.mlp.fc1.bias", at::ones({4})},
                                                  {"final_layer_norm.weight", at::ones({2})}};
  const std::vector<std::string> expected = {"text_model.embeddings.token_embedding.weight",
                                             "text_model.encoder.layers.0.mlp.fc1.bias",
                                             "text_model.final_layer_norm.weight"};
  EXPECT_EQ(text_model_source(memory_source("t", bare))->names(), expected);
  for (const char* prefix :
       {"", "text_model.", "cond_stage_model.transformer.", "cond_stage_model.transformer.text_model.",
        "conditioner.embedders.0.transformer.text_model."}) {
    std::map<std::string, at::Tensor> named;
    for (const auto& [name, tensor] : bare) named[prefix + name] = tensor;
    const auto source = memory_source("t", named);
    const bool is_single = std::string(prefix).find("transformer.") != std::string::npos;
    EXPECT_EQ((is_single ? ldm_text_source(source) : text_model_source(source))->names(), expected) << prefix;
    EXPECT_EQ(ldm_kind(*source).has_text, is_single) << prefix;
  }
}

void foreign_models() {
  const auto error_with = [](const std::string& name) {
    return message_of([&] { ldm_vae_source(memory_source("m", {{name, at::ones({1})}})); });
  };
  EXPECT_THAT(error_with("conditioner.embedders.1.model.ln_final.weight"),
              HasSubstr("it is of Stable Diffusion XL"));
  EXPECT_THAT(error_with("model.diffusion_model.joint_blocks.0.x"), HasSubstr("it is of Stable Diffusion 3"));
  EXPECT_THAT(error_with("model.diffusion_model.double_blocks.0.x"), HasSubstr("it is of Flux"));
}

void schedulers_for_training() {
  const auto read = [](const std::string& name, nlohmann::json more = nlohmann::json::object()) {
    nlohmann::json config = {{"_class_name", name},
                             {"beta_start", 0.00085},
                             {"beta_end", 0.012},
                             {"beta_schedule", "scaled_linear"},
                             {"num_train_timesteps", 1000}};
    config.update(more);
    return SchedulerConfig::for_training(config, "s.json");
  };
  for (const char* name : {"LMSDiscreteScheduler", "UniPCMultistepScheduler", "EulerDiscreteScheduler",
                           "DPMSolverMultistepScheduler", "EulerAncestralDiscreteScheduler", "LCMScheduler",
                           "SomethingOfTomorrow", "PNDMScheduler"})
    EXPECT_EQ(read(name).schedule.beta_end, 0.012) << name;
  EXPECT_EQ(read("UniPCMultistepScheduler", {{"prediction_type", "v_prediction"}, {"thresholding", true}})
                .prediction,
            Prediction::Velocity);
  EXPECT_THAT(message_of([&] { read("FlowMatchEulerDiscreteScheduler"); }), HasSubstr("is of flow matching"));
  EXPECT_THAT(message_of([&] {
                read("DPMSolverMultistepScheduler", {{"use_flow_sigmas", true}});
              }),
              HasSubstr("is of flow matching"));
  EXPECT_THAT(message_of([&] { read("EDMEulerScheduler"); }), HasSubstr("in another way than by betas"));
}

TEST(ModelFormats, AreReadOrNamed) {
  testing::run_format_cases(
      "models",
      {{"shards of every naming: `-00001-of-00002.fp16.safetensors`, `.fp16-00001-of-00002.safetensors`, "
        "`.bin`; "
        "`.index.json`, `.index.fp16.json`, `.fp16.safetensors.index.json`, or no index",
        "read; missing shards are listed", shards_of_every_naming},
       {"an index that writes variant and number in the other order than the files", "read",
        index_that_names_the_other_order},
       {"several sets of weights (`.fp16`, `.bf16`, `non_ema`, `.bin`)",
        "whole ones first, then the standard name, fp16, bf16, others, non_ema; safetensors before .bin; "
        "said",
        best_of_several},
       {"safetensors named `.ckpt`, torch.save's file named `.safetensors`", "read, with a notice",
        wrong_endings},
       {"8-bit floats: F8_E4M3, F8_E5M2 and their FNUZ forms, in safetensors and torch files",
        "converted, exactly", eight_bit_floats},
       {"8-bit floats with scales: `scale_weight`, `weight_scale`, `scaled_fp8`, `scale_input`",
        "scales applied", scaled_eight_bit_floats},
       {"integers of bitsandbytes and GPTQ, scales of blocks", "refused: names the tensor",
        other_quantizations},
       {"text encoders with and without `text_model.` and `position_ids`, in folders and single files",
        "read", text_encoder_names},
       {"SDXL, SD 3, Flux", "refused: the family is named", foreign_models},
       {"scheduler configs of any class (LMS, UniPC, Euler, ...)",
        "training takes the betas; flow matching and EDM are refused", schedulers_for_training},
       {"Git LFS pointers, web pages, servers' answers, empty files, archives, GGUF, unfinished downloads",
        "refused: named for what they are", what_is_no_weights_file}});
}

TEST(GoldenWeightFiles, ShardsOfTheFieldAreRead) {
  const std::string unet = std::string(T3D_SOURCE_DIR) + "/../shared/cases/76c-sharded-fp16-new/model";
  T3D_NEED_FILE(unet + "/model_index.json");
  EXPECT_TRUE(inspect_model(unet).is_complete()) << inspect_model(unet).missing();
  EXPECT_TRUE(open_part(unet, "unet")->has("conv_out.weight"));
}

}  // namespace
}  // namespace t3d::diffusion
