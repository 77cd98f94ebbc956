#include "t3d/core/config/struct_io.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "t3d/core/config/scalar.h"
#include "t3d/core/error.h"

namespace t3d::config {

enum class Stage { Coarse, Geometry };
std::vector<std::pair<Stage, const char*>> enum_names(const Stage*) {
  return {{Stage::Coarse, "coarse"}, {Stage::Geometry, "geometry"}};
}

namespace {

struct Inner {
  int n_levels = 16;
  template <class V>
  void visit(V& v) {
    v("n_levels", n_levels, in_range(1, 32), "resolution levels");
  }
};

struct Outer {
  float radius = 1.f;
  bool is_on = true;
  std::string name = "none";
  uint64_t seed = 0;
  std::optional<float> clip;
  std::variant<float, std::string> threshold = 0.f;
  std::vector<float> colour = {1, 1, 1};
  std::array<double, 2> range = {0, 1};
  Stage stage = Stage::Coarse;
  Inner inner;
  Node loss = Node(Node::Map{});
  template <class V>
  void visit(V& v) {
    v("radius", radius, positive(), "of the box");
    v("is_on", is_on, any(), "whether");
    v("name", name, any(), "who");
    v("seed", seed, any(), "of all draws");
    v("clip", clip, non_negative(), "gradient clip");
    v("threshold", threshold, any(), "of the surface, or auto");
    v("colour", colour, in_range(0, 1), "sRGB");
    v("range", range, any(), "from, to");
    v("stage", stage, any(), "which");
    v("inner", inner, any(), "grid");
    v("loss", loss, any(), "weights");
  }
};

struct Mandatory {
  std::string path;
  template <class V>
  void visit(V& v) {
    v("path", path, required(), "of the model");
  }
};

Node at(Node::Value value, int line) {
  return Node(std::move(value), Origin{"a.yaml", line, 3});
}

Node text(const char* s) {
  return Node(std::string(s));
}

Node block(Node::Map map) {
  return Node(std::move(map));
}

template <class T = Outer>
std::string failure(const Node& node) {
  try {
    read_struct<T>(node, "system");
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

TEST(StructIo, ReadsEveryTypeOfField) {
  const auto o = read_struct<Outer>(block({{"radius", Node(int64_t{2})},
                                           {"is_on", Node(false)},
                                           {"name", Node(int64_t{7})},
                                           {"seed", text("12")},
                                           {"clip", Node(0.5)},
                                           {"threshold", text("auto")},
                                           {"colour", Node(Node::List{Node(0.25), Node(int64_t{1})})},
                                           {"range", Node(Node::List{Node(2.0), Node(3.0)})},
                                           {"stage", text("geometry")},
                                           {"inner", block({{"n_levels", Node(int64_t{4})}})},
                                           {"loss", block({{"lambda_sds", Node(1.0)}})}}),
                                    "system");
  EXPECT_EQ(o.radius, 2.f);
  EXPECT_FALSE(o.is_on);
  EXPECT_EQ(o.name, "7");
  EXPECT_EQ(o.seed, 12u);
  EXPECT_EQ(o.clip, 0.5f);
  EXPECT_EQ(std::get<1>(o.threshold), "auto");
  EXPECT_EQ(o.colour, (std::vector<float>{0.25f, 1.f}));
  EXPECT_EQ(o.range[1], 3.0);
  EXPECT_EQ(o.stage, Stage::Geometry);
  EXPECT_EQ(o.inner.n_levels, 4);
  EXPECT_NE(o.loss.find("lambda_sds"), nullptr);
}

TEST(StructIo, AnAbsentBlockIsAllDefaultsAndNullIsAnError) {
  EXPECT_EQ(read_struct<Outer>(block({}), "").inner.n_levels, 16);
  EXPECT_THAT(failure(block({{"inner", Node()}})),
              ::testing::HasSubstr("system.inner is null, expected a mapping"));
}

TEST(StructIo, AnUnknownKeyNamesTheNearest) {
  EXPECT_EQ(failure(block({{"inner", block({{"n_level", at(int64_t{4}, 12)}})}})),
            "a.yaml:12:3: unknown option system.inner.n_level; did you mean system.inner.n_levels?");
  EXPECT_EQ(failure<Inner>(block({{"whatever", Node(1.0)}})),
            "unknown option system.whatever; expected n_levels. Remove it.");
}

TEST(StructIo, ARangeIsHeldAndSaid) {
  EXPECT_EQ(
      failure(block({{"inner", block({{"n_levels", at(int64_t{99}, 12)}})}})),
      "a.yaml:12:3: system.inner.n_levels is 99, expected 1 to 32. Correct it there, or override it with "
      "system.inner.n_levels=...");
  EXPECT_THAT(failure(block({{"radius", Node(0.0)}})), ::testing::HasSubstr("expected above 0"));
  EXPECT_THAT(failure(block({{"radius", Node(std::nan(""))}})), ::testing::HasSubstr("expected above 0"));
  EXPECT_THAT(failure(block({{"colour", Node(Node::List{Node(0.5), Node(1.5)})}})),
              ::testing::HasSubstr("system.colour[1] is 1.5"));
}

TEST(StructIo, WrongTypesAreErrors) {
  EXPECT_NE(failure(block({{"inner", block({{"n_levels", Node(4.0)}})}})), "");
  EXPECT_NE(failure(block({{"radius", text("big")}})), "");
  EXPECT_NE(failure(block({{"radius", Node()}})), "");
  EXPECT_NE(failure(block({{"radius", Node(true)}})), "");
  EXPECT_NE(failure(block({{"seed", Node(int64_t{-1})}})), "");
  EXPECT_NE(failure(block({{"name", Node(Node::List{})}})), "");
  EXPECT_NE(failure(block({{"range", Node(Node::List{Node(1.0)})}})), "");
  EXPECT_NE(failure(Node(1.0)), "");
  EXPECT_THAT(failure(block({{"stage", text("geometri")}})), ::testing::HasSubstr("did you mean geometry?"));
}

TEST(StructIo, MandatoryFailsWhenTheBlockBecomesTyped) {
  EXPECT_EQ(
      failure<Mandatory>(block({})),
      "system.path is mandatory and was not given, expected str. Set it in the file or pass system.path=...");
  EXPECT_NE(failure<Mandatory>(block({{"path", text("???")}})), "");
  EXPECT_NE(failure(block({{"radius", text("???")}})), "");
  EXPECT_NE(failure(block({{"inner", text("???")}})), "");
  EXPECT_EQ(read_struct<Mandatory>(block({{"path", text("x")}}), "").path, "x");
}

TEST(StructIo, WritingAndReadingBackIsTheSame) {
  Outer o;
  o.radius = 0.1f;
  o.clip = 3.f;
  o.stage = Stage::Geometry;
  o.threshold = std::string("auto");
  const Node node = write_struct(o);
  EXPECT_EQ(write_yaml_line(*node.find("radius")), "0.1");
  EXPECT_EQ(write_struct(read_struct<Outer>(node, "")), node);
}

TEST(StructIo, DescribesItsFields) {
  const auto fields = describe<Outer>();
  ASSERT_EQ(fields.size(), 11u);
  EXPECT_EQ(fields[0].type, "float");
  EXPECT_EQ(fields[0].default_text, "1.0");
  EXPECT_EQ(fields[0].range, "above 0");
  EXPECT_EQ(fields[4].type, "float|null");
  EXPECT_EQ(fields[5].type, "float|str");
  EXPECT_EQ(fields[6].default_text, "[1.0, 1.0, 1.0]");
  EXPECT_EQ(fields[8].range, "one of coarse, geometry");
  EXPECT_EQ(fields[9].fields[0].range, "1 to 32");
  EXPECT_EQ(describe<Mandatory>()[0].default_text, "???");
}

struct Ignored {
  int n_gpus = 1;
  bool spawn = true;
  Node loggers;
  template <class V>
  void visit(V& v) {
    v("n_gpus", n_gpus, ignored("one device is used", positive()), "devices");
    v("spawn", spawn, harmless("prompts are embedded in this process"), "in a process of its own");
    v("loggers", loggers, ignored("metrics go to metrics.csv"), "where metrics go");
  }
};

/// What reading the block says in the log.
std::string warnings_of(const Node& node) {
  ::testing::internal::CaptureStderr();
  read_struct<Ignored>(node, "system");
  return ::testing::internal::GetCapturedStderr();
}

TEST(StructIo, AnIgnoredFieldThatAsksForSomethingIsNamedOnce) {
  const Node wanted = block({{"n_gpus", at(int64_t{4}, 12)}});
  EXPECT_THAT(warnings_of(wanted),
              ::testing::HasSubstr("a.yaml:12:3: system.n_gpus is ignored: one device is used."));
  EXPECT_EQ(warnings_of(wanted), "");
  const Node wandb = block({{"wandb", block({{"enable", Node(true)}, {"name", text("x")}})}});
  EXPECT_THAT(warnings_of(block({{"loggers", wandb}})), ::testing::HasSubstr("system.loggers is ignored"));
}

TEST(StructIo, AnIgnoredFieldThatAsksForNothingIsNotNamed) {
  const Node wandb = block({{"wandb", block({{"enable", Node(false)}, {"name", text("x")}})}});
  EXPECT_EQ(warnings_of(block({{"n_gpus", Node(int64_t{1})}, {"loggers", wandb}})), "");
  EXPECT_EQ(warnings_of(block({{"loggers", block({})}})), "");
  EXPECT_EQ(warnings_of(block({{"spawn", Node(false)}})), "");
}

TEST(StructIo, AnIgnoredFieldHasItsRangeAndSaysSoInItsHelp) {
  EXPECT_THROW(read_struct<Ignored>(block({{"n_gpus", Node(int64_t{0})}}), "system"), UserError);
  EXPECT_EQ(describe<Ignored>()[0].help, "devices; ignored: one device is used");
}

TEST(StructIo, FloatsArePrintedAsPythonDoes) {
  EXPECT_EQ(python_float_text(1), "1.0");
  EXPECT_EQ(python_float_text(0.1), "0.1");
  EXPECT_EQ(python_float_text(1e-5), "1e-05");
  EXPECT_EQ(python_float_text(1e15), "1000000000000000.0");
  EXPECT_EQ(python_float_text(1e16), "1e+16");
}

}  // namespace
}  // namespace t3d::config
