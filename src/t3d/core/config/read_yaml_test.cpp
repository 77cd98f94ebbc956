#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "t3d/core/config/read_yaml.h"
#include "t3d/core/config/scalar.h"
#include "t3d/core/config/write_yaml.h"
#include "t3d/core/error.h"

namespace t3d::config {
namespace {

Node value_of(const std::string& text) {
  return read_yaml("key: " + text, "test.yaml").map().at(0).second;
}

std::string error_of(const std::string& text) {
  try {
    read_yaml(text, "test.yaml");
  } catch (const UserError& e) {
    return e.what();
  }
  return "(read)";
}

TEST(ReadYaml, FloatsIncludeExponentsWithoutAPoint) {
  for (const auto& [text, expected] : {std::pair<const char*, double>{"1e-15", 1e-15},
                                       {"1.e-15", 1e-15},
                                       {"1_000.", 1000},
                                       {".5", .5},
                                       {"-.5", -.5},
                                       {"10.", 10},
                                       {"1E5", 1e5},
                                       {"1:30.5", 90.5},
                                       {"-.inf", -INFINITY},
                                       {"1e-400", 0},
                                       {"1e400", INFINITY}})
    EXPECT_EQ(value_of(text), Node(expected)) << text;
  EXPECT_TRUE(std::isnan(std::get<double>(value_of(".nan").value)));
}

TEST(ReadYaml, IntsHaveTheBasesOfYaml11) {
  for (const auto& [text, expected] : {std::pair<const char*, int64_t>{"10", 10},
                                       {"-1_000", -1000},
                                       {"0x1F", 31},
                                       {"017", 15},
                                       {"0b101", 5},
                                       {"1:30", 90},
                                       {"+7", 7},
                                       {"0", 0},
                                       {"-9223372036854775808", INT64_MIN}})
    EXPECT_EQ(value_of(text), Node(expected)) << text;
}

TEST(ReadYaml, BooleansAndNullsHaveTheirSpellings) {
  for (const char* text : {"yes", "True", "ON"}) EXPECT_EQ(value_of(text), Node(true)) << text;
  for (const char* text : {"no", "FALSE", "Off"}) EXPECT_EQ(value_of(text), Node(false)) << text;
  for (const char* text : {"", "~", "null", "NULL"}) EXPECT_TRUE(value_of(text).is_null()) << text;
}

TEST(ReadYaml, EverythingElseIsAString) {
  for (const std::string text :
       {"None", "2001-12-14", "12:30:45x", "0x", "08", "1e", "yEs", "e5", "???", "1.2.3", "0o17"})
    EXPECT_EQ(value_of(text), Node(text)) << text;
  EXPECT_EQ(value_of("'10'"), Node(std::string("10")));
  EXPECT_EQ(value_of("\"null\""), Node(std::string("null")));
  EXPECT_EQ(value_of("!!str 10"), Node(std::string("10")));
}

TEST(ReadYaml, KeepsTheOrderAndThePlaceOfKeys) {
  const Node root = read_yaml("b: 1\na:\n  c: [1, 2.0, x]\n", "test.yaml");
  ASSERT_EQ(root.map().size(), 2u);
  EXPECT_EQ(root.map()[0].first, "b");
  EXPECT_EQ(root.find("a")->find("c")->origin.text(), "test.yaml:3:6");
  EXPECT_EQ(*root.find("a")->find("c"),
            Node(Node::List{Node(int64_t{1}), Node(2.0), Node(std::string("x"))}));
}

TEST(ReadYaml, MergeKeysGiveWhatTheMappingDoesNotSay) {
  const Node root = read_yaml("a: &base {x: 1, y: 2}\nb:\n  <<: *base\n  y: 3\nc: *base\n", "test.yaml");
  EXPECT_EQ(*root.find("b")->find("x"), Node(int64_t{1}));
  EXPECT_EQ(*root.find("b")->find("y"), Node(int64_t{3}));
  EXPECT_EQ(*root.find("c"), *root.find("a"));
}

TEST(ReadYaml, SaysWhereAKeyStandsTwice) {
  EXPECT_EQ(error_of("a: 1\nb: 2\na: 3\n"),
            "test.yaml:3:1: the key a stands here again, first at test.yaml:1:4; remove one.");
}

TEST(ReadYaml, RefusesWhatIsNoConfiguration) {
  EXPECT_THAT(error_of("a: [1, 2"), testing::HasSubstr("test.yaml:"));
  EXPECT_THAT(error_of("a: !!python/object:os.system x"), testing::HasSubstr("does not go with"));
  EXPECT_THAT(error_of("a: 1\n---\nb: 2\n"), testing::HasSubstr("more than one document"));
  EXPECT_THAT(error_of("[1, 2]: 3"), testing::HasSubstr("stands as a key"));
  EXPECT_THAT(error_of("a: 99999999999999999999"), testing::HasSubstr("64 bits"));
  EXPECT_THAT(error_of("a: " + std::string(200, '[') + std::string(200, ']')), testing::HasSubstr("levels"));
}

TEST(ReadYaml, AliasesCannotUnfoldWithoutEnd) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string from = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + from;
    for (int k = 0; k < 9; ++k) bomb += ", " + from;
    bomb += "]\n";
  }
  EXPECT_THAT(error_of(bomb), testing::HasSubstr("aliases unfold"));
}

TEST(WriteYaml, IsReadBackAsTheSame) {
  const std::string text =
      "a: 1\nb: 1.0\nc: 1.0e-15\nd: 'yes'\ne: \"10\"\nf: [1, [2, {x: ~}], 'a: b # c']\ng: {}\nh: []\n"
      "i: \"two\\nlines \\\"and\\\" \\x01 tab\\t\"\nj: ''\nk:\n  - {p: 1}\n  - [1, {q: [{r: 2}]}]\n'odd: "
      "key': true\nl: None\nm: 1e300\n"
      "n: ' leading'\no: \"\xc3\xa9\xf0\x9f\x8d\x84\"\np: ${a.b}\n";
  const Node node = read_yaml(text, "test.yaml");
  const std::string written = write_yaml(node);
  EXPECT_EQ(read_yaml(written, "again.yaml"), node) << written;
  EXPECT_EQ(read_yaml(write_yaml_line(node), "line.yaml"), node) << write_yaml_line(node);
}

TEST(WriteYaml, FloatsStayFloats) {
  for (const double x : {1.0, 0.1, 1e-15, 1e22, 123456789.0, -0.0, 5e-324})
    EXPECT_EQ(value_of(float_text(x)), Node(x)) << float_text(x);
}

}  // namespace
}  // namespace t3d::config
