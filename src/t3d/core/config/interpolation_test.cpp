#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "t3d/core/config/interpolation.h"
#include "t3d/core/config/overrides.h"
#include "t3d/core/config/read_yaml.h"
#include "t3d/core/error.h"

namespace t3d::config {
namespace {

Node resolved(const std::string& yaml) {
  Node root = read_yaml(yaml, "test.yaml");
  resolve_interpolations(root);
  return root;
}

/// What `key` becomes in a mapping whose other entries are `rest`.
Node value_of(const std::string& text, const std::string& rest = "") {
  return *resolved("key: " + text + "\n" + rest).find("key");
}

std::string error_of(const std::string& yaml) {
  try {
    resolved(yaml);
  } catch (const UserError& e) {
    return e.what();
  }
  return "(resolved)";
}

Node yaml(const std::string& text) {
  return read_yaml(text, "");
}

TEST(Interpolation, AloneItKeepsTheType) {
  const std::string rest = "a: {b: 1, c: [1.5, {d: x}], e: ~, t: true}";
  EXPECT_EQ(value_of("${a.b}", rest), yaml("1"));
  EXPECT_EQ(value_of("${a.c}", rest), yaml("[1.5, {d: x}]"));
  EXPECT_EQ(value_of("${a.c[1].d}", rest), yaml("x"));
  EXPECT_EQ(value_of("${a.e}", rest), Node());
  EXPECT_EQ(value_of("${ a.t }", rest), yaml("true"));
}

TEST(Interpolation, InsideTextItIsPrintedAsPythonDoes) {
  const std::string rest = "a: 1\nf: 1.0\nt: true\nn: ~\nl: [64, 1.5, 'x y', \"it's\"]\nm: {k: v}";
  EXPECT_EQ(value_of("<${a}|${f}|${t}|${n}>", rest), Node(std::string("<1|1.0|True|None>")));
  EXPECT_EQ(value_of("${l}_x", rest), Node(std::string("[64, 1.5, 'x y', \"it's\"]_x")));
  EXPECT_EQ(value_of("${m}_x", rest), Node(std::string("{'k': 'v'}_x")));
}

TEST(Interpolation, RelativeKeysStartAtTheirBlock) {
  const Node root = resolved("a: {x: 1, b: {x: 2, c: '${.x}', d: '${..x}', e: ['${..x}']}}\nx: 3\ny: ${.x}");
  EXPECT_EQ(*root.find("a")->find("b"), yaml("{x: 2, c: 2, d: 1, e: [2]}"));
  EXPECT_EQ(*root.find("y"), yaml("3"));
}

TEST(Interpolation, LeadsOnThroughOtherInterpolations) {
  EXPECT_EQ(value_of("${b.c}", "b: ${d}\nd: {c: '${e}'}\ne: 7"), yaml("7"));
  EXPECT_EQ(value_of("${a.${which}}", "which: y\na: {x: 1, y: 2}"), yaml("2"));
}

TEST(Interpolation, AnEscapedOneStays) {
  EXPECT_EQ(value_of("'\\${a}'"), Node(std::string("${a}")));
}

TEST(Interpolation, TagsOfPromptsWithCommasAndColons) {
  Node root = read_yaml(
      "tag: '${rmspace:${p.prompt},_}'\np: {prompt: \"?"
      "?"
      "?\"}",
      "test.yaml");
  apply_override(root, "p.prompt=a cat, a \"dog\" and {hat}");
  resolve_interpolations(root);
  EXPECT_EQ(*root.find("tag"), Node(std::string("a_cat,_a_\"dog\"_and_{hat}")));
}

TEST(Interpolation, ErrorsSayWhere) {
  EXPECT_THAT(error_of("a: ${b.cat}\nb: {car: 1}"),
              testing::AllOf(testing::HasSubstr("test.yaml:1:4"), testing::HasSubstr("there is no cat in b"),
                             testing::HasSubstr("did you mean car?")));
  EXPECT_THAT(error_of("tag: x_${p.prompt}\np: {prompt: \"?"
                       "?"
                       "?\"}"),
              testing::HasSubstr("add p.prompt=..."));
  EXPECT_THAT(error_of("a: ${b}\nb: ${c}\nc: ${a}"), testing::HasSubstr("circle"));
  EXPECT_THAT(error_of("a: ${a}"), testing::HasSubstr("circle"));
  EXPECT_THAT(error_of("a: {b: '${a}'}"), testing::HasSubstr("circle"));
  EXPECT_THAT(error_of("a: ${b"), testing::HasSubstr("without its }"));
  EXPECT_THAT(error_of("a: '${add:1,2'"), testing::HasSubstr("without its }"));
  EXPECT_THAT(error_of("a: ${......b}"), testing::HasSubstr("above the top"));
  EXPECT_THAT(error_of("a: '${ad:1,2}'"), testing::HasSubstr("did you mean add?"));
  EXPECT_THAT(error_of("a: '${add:1}'"), testing::HasSubstr("expected 2"));
}

TEST(Interpolation, DoesNotGrowWithoutEnd) {
  std::string text = "a0: xxxxxxxxxx\n", lists = "a0: [1, 2]\n";
  for (int i = 1; i < 40; ++i) {
    const std::string n = std::to_string(i), before = "${a" + std::to_string(i - 1) + "}";
    text += "a" + n + ": " + before + before + "\n";
    lists += "a" + n + ": ['" + before + "', '" + before + "']\n";
  }
  EXPECT_THAT(error_of(text), testing::HasSubstr("grow beyond"));
  EXPECT_THAT(error_of(lists), testing::HasSubstr("grow beyond"));
  std::string deep;
  for (int i = 0; i < 3000; ++i) deep += "${a.";
  EXPECT_THAT(error_of("a: '" + deep + "'"), testing::HasSubstr("too deeply"));
}

TEST(Resolvers, Arithmetic) {
  EXPECT_EQ(value_of("${add:1,2}"), yaml("3"));
  EXPECT_EQ(value_of("${add:1,2.}"), yaml("3."));
  EXPECT_EQ(value_of("'${sub: 5, 7 }'"), yaml("-2"));
  EXPECT_EQ(value_of("${mul:${n},2}", "n: 4"), yaml("8"));
  EXPECT_EQ(value_of("${div:1,4}"), yaml("0.25"));
  EXPECT_EQ(value_of("${div:4,2}"), yaml("2."));
  EXPECT_EQ(value_of("${idiv:-7,2}"), yaml("-4"));
  EXPECT_EQ(value_of("${idiv:7.5,2}"), yaml("3."));
  EXPECT_EQ(value_of("${add:${mul:2,3},${n}}", "n: 1"), yaml("7"));
  EXPECT_NEAR(std::get<double>(value_of("${calc_exp_lr_decay_rate:0.1,10000}").value), 0.99976977, 1e-7);
  EXPECT_THAT(error_of("a: '${div:1,0}'"), testing::HasSubstr("zero"));
  EXPECT_THAT(error_of("a: '${mul:9223372036854775807,2}'"), testing::HasSubstr("64 bits"));
  EXPECT_THAT(error_of("a: '${add:1,x}'"), testing::HasSubstr("expected a number"));
}

TEST(Resolvers, TextAndTests) {
  EXPECT_EQ(value_of("${basename:a/b/c.png}"), yaml("c.png"));
  EXPECT_EQ(value_of("'${rmspace:a b  c,-}'"), yaml("a-b--c"));
  EXPECT_EQ(value_of("${tuple2:3}"), yaml("[3., 3.]"));
  EXPECT_EQ(value_of("${gt0:0.1}"), yaml("true"));
  EXPECT_THAT(error_of("a: '${gt0:[1,2]}'"), testing::HasSubstr("expected a number"));
  EXPECT_EQ(value_of("${cmaxgt0:${s}}", "s: [0, 0., 0., 100]"), yaml("false"));
  EXPECT_EQ(value_of("${cmaxgt0:[0,0.0,1.0,100]}"), yaml("true"));
  EXPECT_EQ(value_of("${cmaxgt0orcmaxgt0:0,${s}}", "s: [0, 0., 0., 10, 1., 20]"), yaml("true"));
  EXPECT_EQ(value_of("${not:${b}}", "b: false"), yaml("true"));
  EXPECT_EQ(value_of("${oc.select:no.such,5}"), yaml("5"));
  EXPECT_EQ(value_of("${oc.select:b,5}", "b: 6"), yaml("6"));
  setenv("T3D_TEST_WORD", "hello", 1);
  EXPECT_EQ(value_of("${oc.env:T3D_TEST_WORD}"), yaml("hello"));
  EXPECT_EQ(value_of("${oc.env:T3D_TEST_NONE,x}"), yaml("x"));
  EXPECT_EQ(value_of("${oc.decode:'[1, 2.]'}"), yaml("[1, 2.]"));
}

}  // namespace
}  // namespace t3d::config
