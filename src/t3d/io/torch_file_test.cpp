#include "t3d/io/torch_file.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "t3d/core/error.h"
#include "t3d/io/safetensors.h"
#include "t3d/io/zip_archive.h"
#include "tests/support/golden_options.h"

namespace t3d::io {
namespace {

using ::testing::HasSubstr;

std::string le(uint64_t value, int n_bytes) {
  std::string out;
  for (int i = 0; i < n_bytes; ++i) out += static_cast<char>(value >> (8 * i));
  return out;
}

struct Stored {
  std::string name, data;
  int method = 0;
  uint64_t claimed = UINT64_MAX;  ///< uncompressed size in the directory, when another than data's
  int64_t header = -1;            ///< where its local header is said to be, when elsewhere
};

/// A zip archive, with zip64 records when asked for.
std::string zip(const std::vector<Stored>& entries, bool is_zip64 = false) {
  std::string body, directory;
  for (const Stored& entry : entries) {
    const uint64_t header = entry.header < 0 ? body.size() : static_cast<uint64_t>(entry.header);
    body += le(0x04034b50, 4) + le(0, 4) + le(entry.method, 2) + std::string(16, '\0') +
            le(entry.name.size(), 2) + le(0, 2) + entry.name + entry.data;
    const uint64_t size = entry.claimed == UINT64_MAX ? entry.data.size() : entry.claimed;
    const std::string extra =
        is_zip64 ? le(1, 2) + le(24, 2) + le(size, 8) + le(entry.data.size(), 8) + le(header, 8) : "";
    const uint64_t ones = 0xffffffff;
    directory += le(0x02014b50, 4) + le(0, 6) + le(entry.method, 2) + le(0, 8) +
                 le(is_zip64 ? ones : entry.data.size(), 4) + le(is_zip64 ? ones : size, 4) +
                 le(entry.name.size(), 2) + le(extra.size(), 2) + le(0, 10) +
                 le(is_zip64 ? ones : header, 4) + entry.name + extra;
  }
  std::string out = body + directory;
  if (is_zip64)
    out += le(0x06064b50, 4) + le(44, 8) + le(0, 12) + le(entries.size(), 8) + le(entries.size(), 8) +
           le(directory.size(), 8) + le(body.size(), 8) + le(0x07064b50, 4) + le(0, 4) +
           le(body.size() + directory.size(), 8) + le(1, 4);
  return out + le(0x06054b50, 4) + le(0, 4) + le(entries.size(), 2) + le(entries.size(), 2) +
         le(directory.size(), 4) + le(is_zip64 ? 0xffffffff : body.size(), 4) + le(0, 2);
}

std::string text_op(const std::string& text) {
  return "X" + le(text.size(), 4) + text;
}
std::string int_op(int64_t value) {
  return std::string("\x8a\x08", 2) + le(static_cast<uint64_t>(value), 8);
}
std::string tuple_op(const std::vector<int64_t>& values) {
  std::string out = "(";
  for (const int64_t value : values) out += int_op(value);
  return out + "t";
}
/// _rebuild_tensor_v2 of a float storage of `n` elements with key "0".
std::string tensor_op(int64_t n, int64_t offset, const std::vector<int64_t>& shape,
                      const std::vector<int64_t>& strides) {
  return "ctorch._utils\n_rebuild_tensor_v2\n((" + text_op("storage") + "ctorch\nFloatStorage\n" +
         text_op("0") + text_op("cpu") + int_op(n) + "tQ" + int_op(offset) + tuple_op(shape) +
         tuple_op(strides) + "\x89}tR";
}
std::string dict_pickle(const std::string& key, const std::string& value) {
  return "\x80\x02}" + text_op(key) + value + "s.";
}

std::string write_temporary(const std::string& bytes) {
  const std::string path = ::testing::TempDir() + "torch_file_" +
                           ::testing::UnitTest::GetInstance()->current_test_info()->name() + ".pt";
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}
/// A .pt file of this pickle and a storage "0" of four floats 0, 1, 2, 3.
std::string torch_zip(const std::string& pickle) {
  const float values[] = {0, 1, 2, 3};
  return zip({{"a/data.pkl", pickle},
              {"a/byteorder", "little"},
              {"a/data/0", std::string(reinterpret_cast<const char*>(values), sizeof values)}});
}
/// The message of the error that reading this file ends with.
std::string error_of(const std::string& bytes) {
  const std::string path = write_temporary(bytes);
  try {
    const TorchFile file(path);
    for (const auto& name : file.names()) file.tensor(name).clone();
    return "no error";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr(path));
    return error.what();
  }
}

std::string golden(const std::string& name) {
  return testing::golden_folder() + "/torch-pickle/" + name;
}

void expect_same(const TorchFile& file, const std::string& prefix, const SafetensorsFile& expected) {
  for (const auto& name : expected.names()) {
    const auto tensor = file.tensor(prefix + name);
    EXPECT_EQ(tensor.scalar_type(), expected.tensor(name).scalar_type()) << name;
    EXPECT_TRUE(at::equal(tensor.clone(), expected.tensor(name))) << name;
  }
  EXPECT_EQ(file.names().size(), expected.names().size());
  testing::record_golden("torch-pickle/" + file.path().substr(file.path().rfind('/') + 1), 0);
}

const char* const kPickles = "torch-pickle/expected.safetensors";

TEST(GoldenTorchFile, EveryFileHoldsTheRecordedTensors) {
  T3D_NEED_CASES(kPickles);
  const SafetensorsFile expected(golden("expected.safetensors"));
  const auto files = testing::GoldenOptions(kPickles).block("files");
  for (const auto& [path, entry] : files.json().items()) {
    SCOPED_TRACE(path);
    const auto options = files.block(path);
    const TorchFile file(testing::golden_folder() + "/" + path);
    if (!options.has("names")) {
      expect_same(file, options.text("prefix"), expected);
      continue;
    }
    auto names = options.at("names").get<std::vector<std::string>>();
    std::sort(names.begin(), names.end());
    EXPECT_THAT(file.names(), ::testing::ElementsAreArray(names));
    for (const auto& name : names)
      EXPECT_TRUE(at::equal(file.tensor(name).clone(), expected.tensor(name))) << name;
  }
}

TEST(GoldenTorchFile, LightningCheckpointsKeepTheirNumbers) {
  T3D_NEED_CASES(kPickles);
  const auto files = testing::GoldenOptions(kPickles).block("files");
  int n_seen = 0;
  for (const auto& [path, entry] : files.json().items()) {
    const auto options = files.block(path);
    if (!options.has("key")) continue;  // the tensors lie below a key of a checkpoint
    const TorchFile file(testing::golden_folder() + "/" + path);
    ASSERT_NE(file.root().find("epoch"), nullptr);
    EXPECT_EQ(file.root().find("epoch")->whole, options.whole("epoch"));
    EXPECT_EQ(file.root().find("global_step")->whole, options.whole("global_step"));
    EXPECT_DOUBLE_EQ(file.root().find("hyper")->find("lr")->number, options.block("hyper").number("lr"));
    ++n_seen;
  }
  EXPECT_GT(n_seen, 0);
}

TEST(GoldenTorchFile, EveryTruncationIsExplained) {
  for (const std::string name : {"flat.pt", "legacy.pt", "nested.ckpt"}) {
    T3D_NEED_FILE(golden(name));
    std::ifstream in(golden(name), std::ios::binary);
    std::stringstream all;
    all << in.rdbuf();
    const std::string bytes = all.str();
    for (size_t n = 0; n < bytes.size(); n += 7) EXPECT_NE(error_of(bytes.substr(0, n)), "no error") << n;
  }
}

TEST(TorchFile, ReadsStridedViewOfZip64Archive) {
  const float values[] = {0, 1, 2, 3};
  const std::string path =
      write_temporary(zip({{"a/data.pkl", dict_pickle("w", tensor_op(4, 0, {2, 2}, {1, 2}))},
                           {"a/data/0", std::string(reinterpret_cast<const char*>(values), sizeof values)}},
                          true));
  const TorchFile file(path);
  EXPECT_TRUE(at::equal(file.tensor("w").clone(), at::arange(4, at::kFloat).view({2, 2}).t()));
  file.release("w");
  EXPECT_TRUE(at::equal(file.tensor("w").clone(), at::arange(4, at::kFloat).view({2, 2}).t()));
}

TEST(TorchFile, RefusesViewsPastTheirStorage) {
  constexpr int64_t huge = int64_t{1} << 62;
  const struct {
    int64_t offset;
    std::vector<int64_t> shape, strides;
  } bad[] = {{1, {4}, {1}},
             {0, {5}, {1}},
             {0, {2, 2}, {3, 1}},
             {-1, {1}, {1}},
             {0, {huge, huge}, {1, 1}},
             {0, {2, 3}, {huge, huge}},
             {huge, {1}, {1}},
             {0, {2}, {1, 1}}};
  for (const auto& view : bad)
    EXPECT_THAT(error_of(torch_zip(dict_pickle("w", tensor_op(4, view.offset, view.shape, view.strides)))),
                ::testing::AnyOf(HasSubstr("w reaches past its storage of 4 elements"),
                                 HasSubstr("not of whole numbers")));
}

TEST(TorchFile, RefusesViewThatRepeatsElementsToAHugeTensor) {
  EXPECT_THAT(error_of(torch_zip(dict_pickle("w", tensor_op(4, 0, {int64_t{1} << 40}, {0})))),
              HasSubstr("repeats its 4 elements"));
}

TEST(TorchFile, RefusesStorageLargerThanItsRecordOrTheFile) {
  EXPECT_THAT(error_of(torch_zip(dict_pickle("w", tensor_op(5, 0, {5}, {1})))),
              HasSubstr("16 bytes, expected 20"));
  EXPECT_THAT(error_of(torch_zip(dict_pickle("w", tensor_op(int64_t{1} << 60, 0, {5}, {1})))),
              HasSubstr("it is cut off"));
}

TEST(TorchFile, CallsBecomeNamedObjectsAndNothingRuns) {
  const std::string marker = ::testing::TempDir() + "torch_file_was_here";
  std::remove(marker.c_str());
  const std::string call = "cposix\nsystem\n(" + text_op("touch " + marker) + "tR";
  const TorchFile file(write_temporary(
      torch_zip("\x80\x02}(" + text_op("w") + tensor_op(4, 0, {4}, {1}) + text_op("evil") + call + "u.")));
  EXPECT_THAT(file.names(), ::testing::ElementsAre("w"));
  const PickleValue* evil = file.root().find("evil");
  ASSERT_NE(evil, nullptr);
  EXPECT_TRUE(evil->is(PickleValue::Kind::Object));
  EXPECT_EQ(evil->text, "posix.system");
  EXPECT_FALSE(std::ifstream(marker).good());
  EXPECT_THAT(error_of(torch_zip("\x80\x02" + call + ".")), HasSubstr("object of class posix.system"));
  EXPECT_THAT(error_of(torch_zip("\x80\x02}(" + text_op("w") + call + "u.")),
              HasSubstr("holds no tensors: w is an object of class posix.system"));
}

TEST(TorchFile, RefusesClimbingAndAbsoluteNames) {
  for (const std::string name : {"../data.pkl", "a/../../etc/passwd", "/etc/passwd", "a\\b", "C:x", "a/.."})
    EXPECT_THAT(error_of(zip({{"a/data.pkl", "."}, {name, "x"}})), HasSubstr("Do not trust this file"))
        << name;
}

TEST(TorchFile, RefusesBombsAndOverlaps) {
  EXPECT_THAT(error_of(zip({{"a/data.pkl", "x", 8, uint64_t{1} << 31}})), HasSubstr("is compressed"));
  EXPECT_THAT(error_of(zip({{"a/data.pkl", "x", 0, uint64_t{1} << 31}})), HasSubstr("claims to hold"));
  EXPECT_THAT(error_of(zip({{"a/data.pkl", "."}, {"a/data/0", ".", 0, UINT64_MAX, 0}})),
              HasSubstr("overlap"));
  EXPECT_THAT(error_of(zip({{"a/data.pkl", "."}, {"a/data.pkl", "."}})), HasSubstr("there twice"));
}

TEST(TorchFile, RefusesEndlessAndRepeatedNesting) {
  std::string list_in_itself = "\x80\x02]q";
  list_in_itself += std::string(1, '\0') + "h" + std::string(1, '\0') + "a.";
  EXPECT_THAT(error_of(torch_zip(list_in_itself)), HasSubstr("nested deeper"));
  std::string doubled = "\x80\x02N";
  for (int i = 0; i < 60; ++i) doubled += "2\x86";
  EXPECT_THAT(error_of(torch_zip(doubled + ".")), HasSubstr("values"));
  EXPECT_THAT(error_of(torch_zip("\x80\x02" + std::string(3 << 20, ']') + ".")), HasSubstr("on its stack"));
}

TEST(TorchFile, OtherFilesAreExplained) {
  EXPECT_THAT(error_of(""), HasSubstr("is empty"));
  EXPECT_THAT(error_of("version https://git-lfs.github.com/spec/v1\n"), HasSubstr("Git LFS pointer"));
  EXPECT_THAT(error_of(zip({{"readme.txt", "x"}})), HasSubstr("without data.pkl"));
  EXPECT_THAT(error_of(torch_zip("\x80\x02}.")), HasSubstr("holds no tensors"));
  EXPECT_THROW(TorchFile("/no/such/file.pt"), SystemError);
}

/// _rebuild_tensor_v3 of the untyped storage "0" of 16 bytes, as PyTorch writes types younger than typed
/// storages.
std::string typed_tensor_op(const std::string& type, const std::vector<int64_t>& shape,
                            const std::vector<int64_t>& strides) {
  return "ctorch._utils\n_rebuild_tensor_v3\n((" + text_op("storage") + "ctorch.storage\nUntypedStorage\n" +
         text_op("0") + text_op("cpu") + int_op(16) + "tQ" + int_op(0) + tuple_op(shape) + tuple_op(strides) +
         "\x89}ctorch\n" + type + "\ntR";
}

TEST(TorchFile, EightBitFloatsAreConverted) {
  const std::string path =
      write_temporary(torch_zip(dict_pickle("w", typed_tensor_op("float8_e4m3fn", {4, 4}, {1, 4}))));
  const TorchFile file(path);
  EXPECT_EQ(file.entry("w").float8, Float8::E4M3);
  const at::Tensor w = file.tensor("w");  // the bytes of the floats 0, 1, 2, 3, transposed
  EXPECT_EQ(w.scalar_type(), at::kHalf);
  EXPECT_EQ(w[2][1].item<float>(), float8_values(Float8::E4M3)[0x80]);
  EXPECT_EQ(w[3][1].item<float>(), float8_values(Float8::E4M3)[0x3f]);
  for (const char* type : {"float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"}) {
    const TorchFile other(write_temporary(torch_zip(dict_pickle("w", typed_tensor_op(type, {16}, {1})))));
    EXPECT_EQ(other.tensor("w").numel(), 16) << type;
  }
  const TorchFile plain(write_temporary(torch_zip(dict_pickle("w", typed_tensor_op("float32", {4}, {1})))));
  EXPECT_EQ(plain.tensor("w")[3].item<float>(), 3.f);
}

TEST(TorchFile, TypesThatAreNotReadAreNamed) {
  EXPECT_THAT(error_of(torch_zip(dict_pickle("w", typed_tensor_op("float4_e2m1fn_x2", {16}, {1})))),
              HasSubstr("w is of type torch.float4_e2m1fn_x2, which this program does not read"));
  EXPECT_THAT(error_of(torch_zip(dict_pickle("w", typed_tensor_op("float8_e5m2", {17}, {1})))),
              HasSubstr("reaches past its storage"));
  EXPECT_THAT(error_of("<html><title>Log in</title>"), HasSubstr("is a web page (\"Log in\")"));
  EXPECT_THAT(error_of(zip({{"model.safetensors", "x"}})),
              HasSubstr("it holds model.safetensors. Unpack it"));
}

}  // namespace
}  // namespace t3d::io
