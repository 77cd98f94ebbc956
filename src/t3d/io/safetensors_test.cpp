#include "t3d/io/safetensors.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "t3d/core/checksum.h"
#include "t3d/core/error.h"
#include "tests/support/golden_cases.h"
#include "tests/support/temporary_folder.h"

namespace t3d::io {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A file from its header text and data, the length in front.
std::string file_bytes(const std::string& header, const std::string& data = "") {
  std::string bytes(8, '\0');
  for (int i = 0; i < 8; ++i) bytes[static_cast<size_t>(i)] = static_cast<char>(header.size() >> (8 * i));
  return bytes + header + data;
}

/// The message with which the header is refused, or "" when it is accepted.
std::string refusal(const std::string& bytes) {
  try {
    parse_safetensors_header(bytes, bytes.size(), "x.safetensors");
    return "";
  } catch (const UserError& failure) {
    return failure.what();
  }
}

std::string one_tensor(const std::string& fields, const std::string& data = std::string(8, 'x')) {
  return file_bytes("{\"w\":{" + fields + "}}", data);
}

TEST(SafetensorsHeader, AcceptsPaddingAndEmptyFilesAndScalars) {
  EXPECT_EQ(refusal(file_bytes("{}")), "");
  EXPECT_EQ(refusal(file_bytes("{}      \n\t")), "");
  EXPECT_EQ(refusal(one_tensor(R"("dtype":"F64","shape":[],"data_offsets":[0,8])")), "");
  EXPECT_EQ(refusal(one_tensor(R"("dtype":"F32","shape":[2,0,7],"data_offsets":[0,0])", "")), "");
  EXPECT_EQ(refusal(one_tensor(R"("dtype":"F4","shape":[16],"data_offsets":[0,8])")), "");
  EXPECT_EQ(refusal(file_bytes(R"({"__metadata__":{"format":"pt"}})")), "");
}

TEST(SafetensorsHeader, RefusesLengthsThatTheFileCannotHold) {
  EXPECT_THAT(refusal(""), HasSubstr("is empty, not a safetensors file"));
  EXPECT_THAT(refusal(std::string(7, '\0')), HasSubstr("holds 7 bytes"));
  EXPECT_THAT(refusal(std::string(8, '\xff')), HasSubstr("18446744073709551615 bytes, expected at most 0"));
  EXPECT_THAT(refusal(file_bytes("{}").substr(0, 9)), HasSubstr("2 bytes, expected at most 1"));
  std::string huge = file_bytes("{}");
  huge[3] = '\x7f';
  EXPECT_THAT(refusal(huge), HasSubstr("expected at most 2"));
}

TEST(SafetensorsHeader, RefusesTextThatIsNotOneJsonObject) {
  EXPECT_THAT(refusal(file_bytes("")), HasSubstr("does not begin with '{'"));
  EXPECT_THAT(refusal(file_bytes(" {}")), HasSubstr("does not begin with '{'"));
  EXPECT_THAT(refusal(file_bytes("[]")), HasSubstr("does not begin with '{'"));
  EXPECT_THAT(refusal(file_bytes("{} {}")), HasSubstr("not JSON at byte 11"));
  EXPECT_THAT(refusal(file_bytes("{\"a\"")), HasSubstr("not JSON"));
  EXPECT_THAT(refusal(file_bytes("{\"\xff\":1}")), HasSubstr("not JSON"));
  EXPECT_THAT(refusal(file_bytes(std::string("{}\0", 3))), HasSubstr("not JSON"));
  EXPECT_THAT(refusal(file_bytes(R"({"a":1})")), HasSubstr("expected an object"));
  EXPECT_THAT(refusal(file_bytes(R"({"a":[[[[[[]]]]]]})")), HasSubstr("is a list, expected an object"));
  EXPECT_THAT(refusal(file_bytes(R"({"a":1e999})")), HasSubstr("not JSON"));
}

TEST(SafetensorsHeader, RefusesMetadataOtherThanStrings) {
  EXPECT_THAT(refusal(file_bytes(R"({"__metadata__":{"step":1}})")),
              HasSubstr("the number 1 under \"step\", expected strings only"));
  EXPECT_THAT(refusal(file_bytes(R"({"__metadata__":"x"})")), HasSubstr("expected an object"));
  EXPECT_THAT(refusal(file_bytes(R"({"__metadata__":{"a":{}}})")), HasSubstr("strings only"));
  EXPECT_THAT(refusal(file_bytes(R"({"__metadata__":{"a":"1","a":"2"}})")), HasSubstr("twice"));
}

TEST(SafetensorsHeader, RefusesDuplicateTensors) {
  const std::string w = R"("w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  EXPECT_THAT(refusal(file_bytes("{" + w + "," + w + "}", "abcd")), HasSubstr("\"w\" is there twice"));
  EXPECT_THAT(refusal(one_tensor(R"("dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8])")),
              HasSubstr("has dtype twice"));
}

TEST(SafetensorsHeader, RefusesMissingAndUnknownFields) {
  EXPECT_THAT(refusal(one_tensor(R"("shape":[2],"data_offsets":[0,8])")), HasSubstr("has no dtype"));
  EXPECT_THAT(refusal(one_tensor(R"("dtype":"F32","data_offsets":[0,8])")), HasSubstr("has no shape"));
  EXPECT_THAT(refusal(one_tensor(R"("dtype":"F32","shape":[2])")), HasSubstr("has no data_offsets"));
  EXPECT_THAT(refusal(one_tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0])")),
              HasSubstr("has 1 data_offsets"));
  EXPECT_THAT(refusal(one_tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,4,8])")),
              HasSubstr("more than two"));
  EXPECT_THAT(refusal(one_tensor(R"("dtype":"F33","shape":[2],"data_offsets":[0,8])")),
              HasSubstr("dtype \"F33\""));
  EXPECT_THAT(refusal(one_tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1)")),
              HasSubstr("the field \"x\""));
  EXPECT_THAT(refusal(one_tensor(R"("dtype":"F32","shape":2,"data_offsets":[0,8])")),
              HasSubstr("the number 2 in its shape"));
  EXPECT_THAT(refusal(one_tensor(R"("dtype":3,"shape":[2],"data_offsets":[0,8])")),
              HasSubstr("the number 3 in its dtype"));
  EXPECT_THAT(refusal(one_tensor(R"("dtype":"F32","shape":[[2]],"data_offsets":[0,8])")),
              HasSubstr("a list in its shape"));
}

TEST(SafetensorsHeader, RefusesNegativeFractionalAndOverflowingSizes) {
  EXPECT_THAT(refusal(one_tensor(R"("dtype":"F32","shape":[-1],"data_offsets":[0,8])")),
              HasSubstr("the number -1 in its shape"));
  EXPECT_THAT(refusal(one_tensor(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])")),
              HasSubstr("the number 2.0 in its shape"));
  EXPECT_THAT(refusal(one_tensor(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8])")),
              HasSubstr("does not fit 63 bits"));
  EXPECT_THAT(
      refusal(one_tensor(R"("dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0])", "")),
      HasSubstr("does not fit 63 bits"));
  EXPECT_THAT(refusal(one_tensor(R"("dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8])")),
              HasSubstr("in its shape"));
  EXPECT_THAT(refusal(one_tensor(R"("dtype":"F4","shape":[3],"data_offsets":[0,1])", "x")),
              HasSubstr("12 bits, expected a multiple of 8"));
  std::string shape = "1";
  for (int i = 0; i < 64; ++i) shape += ",1";
  EXPECT_THAT(
      refusal(one_tensor("\"dtype\":\"F32\",\"shape\":[" + shape + "],\"data_offsets\":[0,4]", "abcd")),
      HasSubstr("more than 64 dimensions"));
}

TEST(SafetensorsHeader, RefusesOffsetsThatDoNotTileTheData) {
  EXPECT_THAT(refusal(one_tensor(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])")),
              HasSubstr("begin <= end <= 8"));
  EXPECT_THAT(refusal(one_tensor(R"("dtype":"F32","shape":[3],"data_offsets":[0,12])")),
              HasSubstr("begin <= end <= 8"));
  EXPECT_THAT(refusal(one_tensor(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])")),
              HasSubstr("takes 8 bytes, expected 12"));
  EXPECT_THAT(refusal(one_tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])")),
              HasSubstr("end at byte 4 of the data, expected 8"));
  EXPECT_THAT(refusal(one_tensor(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])")),
              HasSubstr("there is a hole before it"));
  const auto two = [](const char* second) {
    return file_bytes(
        std::string(
            R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":)") +
            second + "}}",
        std::string(8, 'x'));
  };
  EXPECT_EQ(refusal(two("[4,8]")), "");
  EXPECT_THAT(refusal(two("[2,6]")), HasSubstr("overlaps"));
  EXPECT_THAT(refusal(two("[0,4]")), HasSubstr("overlaps"));
  EXPECT_THAT(refusal(two("[18446744073709551612,18446744073709551615]")), HasSubstr("begin <= end"));
}

TEST(SafetensorsFile, ReadsBackEveryTypeBitExactly) {
  const testing::TemporaryFolder folder;
  std::map<std::string, at::Tensor> tensors;
  for (const auto type : {at::kFloat, at::kHalf, at::kBFloat16, at::kDouble, at::kLong, at::kInt, at::kShort,
                          at::kChar, at::kByte, at::kBool})
    tensors[c10::toString(type)] = (at::randn({3, 5}) * 50).to(type);
  tensors["complex"] = at::complex(at::randn({4}), at::randn({4}));
  tensors["scalar"] = at::tensor(1.5);
  tensors["empty"] = at::empty({2, 0, 3});
  tensors["transposed"] = at::arange(12).view({3, 4}).t();
  const auto receipt =
      write_safetensors(folder / "all.safetensors", tensors, {{"made by", "a test \"quoted\" é"}});

  const SafetensorsFile file(folder / "all.safetensors");
  EXPECT_EQ(file.metadata().at("made by"), "a test \"quoted\" é");
  EXPECT_EQ(file.entries().size(), tensors.size());
  for (const auto& [name, expected] : tensors) {
    EXPECT_EQ(file.tensor(name).scalar_type(), expected.scalar_type()) << name;
    EXPECT_TRUE(at::equal(file.tensor(name), expected)) << name;
    EXPECT_EQ(crc32c(file.bytes(name).data(), file.bytes(name).size()), receipt.tensor_crc32c.at(name))
        << name;
  }
  const std::string bytes = testing::read_text(folder / "all.safetensors");
  EXPECT_EQ(receipt.n_bytes, bytes.size());
  EXPECT_EQ(receipt.file_crc32c, crc32c(bytes.data(), bytes.size()));
}

TEST(SafetensorsFile, WritesTheSameBytesForTheSameTensors) {
  const testing::TemporaryFolder folder;
  const std::map<std::string, at::Tensor> tensors = {
      {"a", at::ones({3}, at::kByte)}, {"b", at::ones({2})}, {"c", at::ones({1}, at::kDouble)}};
  write_safetensors(folder / "1", tensors);
  write_safetensors(folder / "2", tensors);
  const std::string bytes = testing::read_text(folder / "1");
  EXPECT_EQ(bytes, testing::read_text(folder / "2"));
  const SafetensorsFile file(folder / "1");
  EXPECT_EQ(file.entry("c").begin, 0u);
  EXPECT_EQ(file.entry("b").begin, 8u);
  EXPECT_EQ(file.entry("a").begin, 16u);
  EXPECT_EQ(static_cast<uint8_t>(bytes[0]) % 8, 0) << "the data begins at a multiple of 8";
  EXPECT_THAT(file.names(), ElementsAre("a", "b", "c"));
}

TEST(SafetensorsFile, ViewsOutliveTheReaderAndTheNameInTheFolder) {
  const testing::TemporaryFolder folder;
  write_safetensors(folder / "x", {{"w", at::arange(1000)}});
  at::Tensor view = SafetensorsFile(folder / "x").tensor("w");
  std::filesystem::remove(folder / "x");
  EXPECT_TRUE(at::equal(view, at::arange(1000)));
}

TEST(SafetensorsFile, WritingIntoAViewLeavesTheFileAlone) {
  const testing::TemporaryFolder folder;
  write_safetensors(folder / "x", {{"w", at::arange(10)}});
  const SafetensorsFile file(folder / "x");
  const auto copy = file.copy("w");
  file.tensor("w").fill_(7);
  EXPECT_TRUE(at::equal(copy, at::arange(10)));
  EXPECT_TRUE(at::equal(SafetensorsFile(folder / "x").tensor("w"), at::arange(10)));
}

TEST(SafetensorsFile, CopiesDataThatIsNotAligned) {
  const testing::TemporaryFolder folder;
  const float value = 2.5f;
  testing::write_text(folder / "odd", file_bytes(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}} )",
                                                 std::string(reinterpret_cast<const char*>(&value), 4)));
  const SafetensorsFile file(folder / "odd");
  ASSERT_NE(reinterpret_cast<uintptr_t>(file.bytes("w").data()) % 4, 0u);
  EXPECT_EQ(file.tensor("w").item<float>(), 2.5f);
}

TEST(SafetensorsFile, NamesWhatIsWrong) {
  const testing::TemporaryFolder folder;
  const auto message = [](auto&& action) -> std::string {
    try {
      action();
    } catch (const Error& failure) {
      return failure.what();
    }
    return "";
  };
  EXPECT_THAT(message([&] { SafetensorsFile(folder / "absent"); }),
              AllOf(HasSubstr("absent"), HasSubstr("No such file")));
  EXPECT_THAT(message([&] { SafetensorsFile(folder.string()); }), HasSubstr("Is a directory"));
  testing::write_text(folder / "bool",
                      file_bytes(R"({"m":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})", "\x01\x02"));
  EXPECT_THAT(message([&] { SafetensorsFile(folder / "bool").tensor("m"); }),
              HasSubstr("holds the byte 2 at element 1, expected 0 or 1"));
  testing::write_text(folder / "u16",
                      file_bytes(R"({"weight":{"dtype":"U16","shape":[1],"data_offsets":[0,2]}})", "ab"));
  const SafetensorsFile file(folder / "u16");
  EXPECT_EQ(file.bytes("weight"), "ab");
  EXPECT_THAT(message([&] { file.tensor("weight"); }), HasSubstr("type U16"));
  EXPECT_THAT(message([&] { file.tensor("weigth"); }), HasSubstr("did you mean weight?"));
}

TEST(GoldenSafetensors, EveryRecordedFileOpensAndWritesBackTheSameTensors) {
  const std::string options = testing::golden_path("options.json");
  T3D_NEED_FILE(options);
  const testing::TemporaryFolder folder;
  int n_files = 0;
  for (const auto& found : std::filesystem::recursive_directory_iterator(testing::golden_folder())) {
    if (found.path().extension() != ".safetensors") continue;
    const SafetensorsFile file(found.path().string());
    std::map<std::string, at::Tensor> tensors;
    for (const auto& name : file.names()) tensors[name] = file.tensor(name);
    write_safetensors(folder / "again", tensors, file.metadata());
    const SafetensorsFile again(folder / "again");
    ASSERT_EQ(again.names(), file.names());
    for (const auto& name : file.names())
      EXPECT_EQ(again.bytes(name), file.bytes(name)) << found.path() << " " << name;
    ++n_files;
  }
  EXPECT_GT(n_files, 0);
  testing::record_golden("safetensors/round-trip", 0);
}

}  // namespace
}  // namespace t3d::io
