#include "t3d/io/json_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "tests/support/temporary_folder.h"

namespace t3d::io {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(JsonFile, KeepsDoublesExactly) {
  const testing::TemporaryFolder folder;
  const std::vector<double> numbers = {
      0.1, -0.0, 1.0 / 3, 5e-324, 1.7976931348623157e308, 123456789.12345679};
  write_json_file(folder / "x.json", numbers);
  const auto back = read_json_file(folder / "x.json").get<std::vector<double>>();
  ASSERT_EQ(back.size(), numbers.size());
  EXPECT_EQ(std::memcmp(back.data(), numbers.data(), numbers.size() * sizeof(double)), 0);
}

TEST(JsonFile, NamesNumbersThatJsonLacks) {
  const testing::TemporaryFolder folder;
  const double infinity = std::numeric_limits<double>::infinity();
  write_json_file(folder / "x.json", {{"a", {NAN, -infinity}}, {"psnr", infinity}});
  const auto back = read_json_file(folder / "x.json");
  EXPECT_TRUE(std::isnan(json_number(back["a"][0], "a")));
  EXPECT_EQ(json_number(back["a"][1], "a"), -infinity);
  EXPECT_EQ(json_number(back["psnr"], "psnr"), infinity);
  EXPECT_THROW(json_number("seven", "x.json: n"), UserError);
}

TEST(JsonFile, ReadsWhatPythonWritesForNumbersThatJsonLacks) {
  const auto read =
      parse_json(R"({"a": NaN, "b": [-Infinity, Infinity,NaN], "c": "NaN, \"NaN", "d": -1})", "x");
  EXPECT_TRUE(std::isnan(json_number(read["a"], "a")));
  EXPECT_EQ(json_number(read["b"][0], "b"), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(json_number(read["b"][1], "b"), std::numeric_limits<double>::infinity());
  EXPECT_EQ(read["c"], "NaN, \"NaN");
  EXPECT_EQ(read["d"], -1);
  EXPECT_TRUE(std::isnan(json_number(parse_json("NaN", "x"), "x")));
  // Places are those of the file, whatever stands before.
  const auto message = [](const char* text) -> std::string {
    try {
      parse_json(text, "x");
    } catch (const UserError& failure) {
      return failure.what();
    }
    return "";
  };
  EXPECT_THAT(message("[NaN, NaN, nan]"), StartsWith("x:1:13: "));
  EXPECT_THAT(message("[Infinity, -Inf]"), StartsWith("x:1:"));
  EXPECT_THAT(message("[NaN,\n -Infinity}"), StartsWith("x:2:11: "));
  EXPECT_THAT(message("{NaN: 1, NaN: 2}"), HasSubstr("is there twice"));
  EXPECT_THAT(message("[NaNs]"), StartsWith("x:1:5: "));
}

TEST(JsonFile, SaysWhereTheTextIsWrong) {
  const testing::TemporaryFolder folder;
  const auto message = [&](const std::string& text) -> std::string {
    testing::write_text(folder / "x.json", text);
    try {
      read_json_file(folder / "x.json", {1000, 8});
    } catch (const UserError& failure) {
      return std::string(failure.what()).substr(folder.string().size() + 1);
    }
    return "";
  };
  EXPECT_EQ(message("{\"a\": [1, 2.5e3, \"\\u00e9\", null, true]}"), "");
  EXPECT_THAT(message("{\n  \"frames\": [1, 2,\n"), StartsWith("x.json:3:1: "));
  EXPECT_THAT(message("{\n  \"a\": nan }"), StartsWith("x.json:2:9: "));
  EXPECT_THAT(message(""), StartsWith("x.json: is empty, not JSON."));
  EXPECT_THAT(message(" "), StartsWith("x.json:1:"));
  EXPECT_THAT(message(std::string("{}\n\0", 4)), StartsWith("x.json:2:1: found a zero byte"));
  EXPECT_THAT(message("{} x"), StartsWith("x.json:1:4: "));
  EXPECT_THAT(message("{\"a\": 1e400}"), StartsWith("x.json:1:"));
  EXPECT_THAT(message("\"\xc3\x28\""), StartsWith("x.json:1:"));
  EXPECT_THAT(message("{\"a\": 1,\n \"a\": 2}"),
              ::testing::AllOf(StartsWith("x.json:2:"), HasSubstr("the key \"a\" is there twice")));
  EXPECT_THAT(message(std::string(9, '[')), HasSubstr("more than 8 arrays and objects inside each other"));
  EXPECT_THAT(message(std::string(1001, ' ')), HasSubstr("expected at most 1000"));
}

TEST(JsonFile, SurvivesDeepNestingByDefault) {
  EXPECT_THROW(parse_json(std::string(1000000, '['), "deep"), UserError);
}

TEST(JsonFile, ExplainsAMissingFile) {
  EXPECT_THROW(read_json_file("/nonexistent/x.json"), SystemError);
  EXPECT_THROW(read_json_file("/tmp"), SystemError);
}

}  // namespace
}  // namespace t3d::io
