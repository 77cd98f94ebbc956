#include "t3d/core/plugin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace t3d {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;

struct Shape {
  virtual ~Shape() = default;
};
struct Round : Shape {
  struct Config {
    float radius = 1;
    template <class V>
    void visit(V& v) {
      v("radius", radius, config::positive(), "of the circle");
    }
  };
  explicit Round(const Config& config) : radius(config.radius) {}
  float radius;
};
using Shapes = Registry<Shape>;

Shapes shapes() {
  return Shapes("shape", "what is round", {Shapes::entry<Round>("circle", "round")});
}

TEST(TypeRegistrar, AddsTypesThatAreMadeAndListedLikeOthers) {
  Shapes table = shapes();
  {
    TypeRegistrar registrar("/home/me/own.so");
    registrar.add<Round>(table, "disc", "round and full");
    registrar.keep();
  }
  EXPECT_THAT(table.names(), ElementsAre("circle", "disc"));
  EXPECT_EQ(table.describe().types[1].file, "/home/me/own.so");
  EXPECT_EQ(table.describe().types[1].fields[0].name, "radius");
  EXPECT_EQ(*table.file_of("circle"), "");
  const auto made = table.make("disc", {}, "shape");
  EXPECT_EQ(dynamic_cast<const Round&>(*made).radius, 1);
}

TEST(TypeRegistrar, TakesEverythingBackUnlessItIsKept) {
  Shapes table = shapes();
  {
    TypeRegistrar registrar("own.so");
    registrar.add<Round>(table, "disc", "");
    registrar.add<Round>(table, "ball", "");
    EXPECT_EQ(registrar.size(), 2u);
  }
  EXPECT_THAT(table.names(), ElementsAre("circle"));
}

TEST(TypeRegistrar, RefusesNamesThatAreTakenOrNone) {
  Shapes table = shapes();
  TypeRegistrar registrar("own.so");
  registrar.add<Round>(table, "disc", "");
  const auto add = [&](const char* name) {
    return message_of([&] { registrar.add<Round>(table, name, ""); });
  };
  EXPECT_EQ(add("circle"),
            "own.so: registers the shape circle, which is there already. Give it another name.");
  EXPECT_THAT(add("disc"), HasSubstr("which is there already from own.so"));
  EXPECT_THAT(add("two words"), HasSubstr("expected letters, digits, - and _"));
  EXPECT_THAT(add(""), HasSubstr("named \"\""));
}

TEST(Registry, SuggestsToLoadWhatItDoesNotKnow) {
  const std::string problem = message_of([] { shapes().make("disc", {}, "shape"); });
  EXPECT_EQ(
      problem,
      "shape: there is no shape named disc. See t3d list shape; a type of your own needs --load FILE.so.");
}

TEST(LoadPlugin, SaysWhatAFileIsBeforeItRunsAnyOfIt) {
  const testing::TemporaryFolder folder;
  const auto problem = [&](const std::string& bytes) {
    testing::write_text(folder / "x.so", bytes);
    return message_of([&] { load_plugin(folder / "x.so", "1.13.0"); });
  };
  const std::string elf(
      "\x7f"
      "ELF",
      4);
  EXPECT_THAT(message_of([&] { load_plugin(folder / "gone.so", "1.13.0"); }),
              HasSubstr("gone.so: no such file"));
  EXPECT_THAT(message_of([&] { load_plugin(folder.string(), "1.13.0"); }), HasSubstr("cannot be read"));
  EXPECT_THAT(problem("x = 1\n"), HasSubstr("x.so: is no shared object"));
  EXPECT_THAT(problem(""), HasSubstr("x.so: is no shared object"));
  EXPECT_THAT(problem(elf + "some program"), HasSubstr("registers no types for t3d; expected T3D_OWN_TYPES"));
  EXPECT_THAT(problem(elf + "t3d-own-types: api"), HasSubstr("registers no types for t3d"));
  EXPECT_THAT(problem(elf + "t3d-own-types: api 99 libtorch 1.13.0;"),
              HasSubstr("was built for version 99 of t3d's C++ interface, and this t3d has version 1."));
  EXPECT_THAT(problem(elf + "t3d-own-types: api 1 libtorch 2.11.0+cu130;"),
              HasSubstr("was built with LibTorch 2.11.0+cu130, and this t3d with 1.13.0."));
  EXPECT_THAT(problem(elf + "t3d-own-types: api 1 libtorch 1.13.0;"), HasSubstr("x.so: cannot be loaded ("));
  EXPECT_TRUE(loaded_plugins().empty());
}

}  // namespace
}  // namespace t3d
