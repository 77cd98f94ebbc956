#include <gtest/gtest.h>

#include "t3d/core/config/overrides.h"
#include "t3d/core/config/read_yaml.h"
#include "t3d/core/config/schedule.h"
#include "t3d/core/error.h"

namespace t3d::config {
namespace {

Node with(const std::string& yaml, const std::vector<std::string>& overrides) {
  Node root = read_yaml(yaml, "test.yaml");
  for (const auto& text : overrides) apply_override(root, text);
  return root;
}

TEST(Overrides, TypesAreThoseOfYaml) {
  const Node root =
      with("", {"a=10.", "b=10", "c=[0,0.5,2.0,10000]", "d=null", "e=", "f", "g='a: b'", "h=x=y"});
  EXPECT_EQ(root,
            read_yaml("{a: 10., b: 10, c: [0, 0.5, 2.0, 10000], d: ~, e: ~, f: ~, g: 'a: b', h: x=y}", ""));
}

TEST(Overrides, MappingsMergeAndListsAreReplaced) {
  const Node root = with("a: {b: {c: 1, d: 2}, l: [1, 2, 3]}", {"a.b.c=5", "a.l=[9]", "a.new.deep=1"});
  EXPECT_EQ(root, read_yaml("a: {b: {c: 5, d: 2}, l: [9], new: {deep: 1}}", ""));
}

TEST(Overrides, AColonOrHashInAPromptIsYamlAsInTheReference) {
  EXPECT_TRUE(with("", {"p=a: b"}).find("p")->is_map());
  EXPECT_EQ(*with("", {"p=a cat # big"}).find("p"), Node(std::string("a cat")));
  EXPECT_TRUE(with("", {"p=42"}).find("p")->is_int());
}

TEST(Overrides, AnEmptyKeyIsRefused) {
  EXPECT_THROW(with("", {"=1"}), UserError);
  EXPECT_THROW(with("", {"a..b=1"}), UserError);
  EXPECT_THROW(with("", {"a=[1"}), UserError);
}

struct Texts {
  struct Inner {
    std::string prompt;
    int64_t n = 0;
    template <class V>
    void visit(V& v) {
      v("prompt", prompt, any(), "");
      v("n", n, any(), "");
    }
  };
  std::string name = "x";
  std::optional<std::string> weights;
  Inner inner;
  template <class V>
  void visit(V& v) {
    v("name", name, any(), "");
    v("weights", weights, any(), "");
    v("inner", inner, any(), "");
  }
};

TEST(Overrides, TextKeysAreTakenAsWritten) {
  const auto text_of = [](const std::string& right) {
    Node root = read_yaml("", "");
    apply_override(root, "inner.prompt=" + right, kinds_of<Texts>());
    return std::get<std::string>(root.find("inner")->find("prompt")->value);
  };
  for (const char* text : {"a robot #1, 4k",
                           "yes",
                           "no",
                           "on",
                           "True",
                           "a robot: red",
                           "[a cube]",
                           "{a: b}",
                           "null",
                           "~",
                           "",
                           "1e3",
                           "42",
                           "0x1f",
                           "1:30",
                           "a 'small' robot",
                           "\"big\" robot",
                           "\"a\" and \"b\"",
                           "*star",
                           "&anchor",
                           "!tag",
                           "%",
                           "@x",
                           "`x`",
                           "a \"robot",
                           "- a",
                           "? a",
                           "x=y",
                           " a",
                           "a\tb",
                           "\\n",
                           "caf\u00e9",
                           "|",
                           ">",
                           "a, b: [c"})
    EXPECT_EQ(text_of(text), text) << text;
  EXPECT_EQ(text_of("\"a robot: red\""), "a robot: red");
  EXPECT_EQ(text_of("'it''s red'"), "it's red");
  EXPECT_EQ(text_of("''"), "");
}

TEST(Overrides, OtherKeysStayYaml) {
  Node root = read_yaml("", "");
  for (const char* text : {"inner.n=3", "weights=null", "name=null", "other=[1, 2]"})
    apply_override(root, text, kinds_of<Texts>());
  EXPECT_EQ(root, read_yaml("{inner: {n: 3}, weights: ~, name: 'null', other: [1, 2]}", ""));
  apply_override(root, "weights=yes", kinds_of<Texts>());
  EXPECT_EQ(*root.find("weights"), Node(std::string("yes")));
  EXPECT_THROW(apply_override(root, "inner.n=[1", kinds_of<Texts>()), UserError);
}

Schedule schedule(const std::string& yaml) {
  return Schedule(read_yaml(yaml, "test.yaml"));
}

TEST(Schedule, ANumberIsItself) {
  EXPECT_EQ(schedule("10").at(500), 10);
}

TEST(Schedule, ThreeNumbersStartAtStepZero) {
  const Schedule s = schedule("[1., 3., 100]");
  EXPECT_EQ(s.at(0), 1);
  EXPECT_EQ(s.at(50), 2);
  EXPECT_EQ(s.at(1000), 3);
}

TEST(Schedule, AFloatEndIsInEpochs) {
  EXPECT_EQ(schedule("[0, 10.0, 1000., 5000.0]").at(4000), 10);
  EXPECT_EQ(schedule("[0, 10., 1000., 5000]").at(2500), 505);
  EXPECT_EQ(schedule("[0, 0., 1., 10.]").at(5), 0);  // the one epoch has not ended
}

TEST(Schedule, AStepHoldsUpToItsStart) {
  const Schedule s = schedule("[5000, 0.98, 0.5, 5001]");
  EXPECT_EQ(s.at(5000), 0.98);
  EXPECT_EQ(s.at(5001), 0.5);
}

TEST(Schedule, PiecesFollowOneAnother) {
  const Schedule s = schedule("[100, 0., 10., 200, 4., 300, 5., 400]");
  EXPECT_EQ(s.at(0), 0);
  EXPECT_EQ(s.at(150), 5);
  EXPECT_EQ(s.at(200), 10);
  EXPECT_EQ(s.at(250), 7);
  EXPECT_EQ(s.at(400), 5);
  EXPECT_EQ(s.maximum(), 10);
}

TEST(Schedule, OtherLengthsAreRefused) {
  for (const char* text : {"[1]", "[1, 2]", "[1, 2, 3, 4, 5]", "[1, 2, x, 4]", "true", "word", "~"})
    EXPECT_THROW(schedule(text), UserError) << text;
}

}  // namespace
}  // namespace t3d::config
