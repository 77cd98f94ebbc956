#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/key_readers.h"

/// Options are honest: every key of every config struct is read by code, or declared as ignored, which warns.
namespace t3d {
namespace {

using testing::ConfigKey;
using testing::Sources;

const Sources& our_sources() {
  static const Sources sources = testing::read_sources(T3D_SOURCE_DIR "/src");
  return sources;
}
const std::vector<ConfigKey>& our_inert_keys() {
  static const std::vector<ConfigKey> keys = testing::keys_without_reader(our_sources());
  return keys;
}

std::vector<std::string> inert_names(const Sources& sources) {
  std::vector<std::string> names;
  for (const ConfigKey& key : testing::keys_without_reader(sources)) names.push_back(key.name);
  return names;
}

TEST(ConfigKeys, AreReadOrDeclaredIgnored) {
  for (const ConfigKey& key : our_inert_keys())
    EXPECT_TRUE(key.is_ignored() || key.is_fixed())
        << key.file << ": nothing reads " << key.owner << "." << key.member << ", the key " << key.name
        << ". Read it, remove it, or declare it with ignored(\"what happens instead\").";
}

TEST(ConfigKeys, ThatAreReadAreNotDeclaredIgnored) {
  const auto& inert = our_inert_keys();
  for (const ConfigKey& key : testing::config_keys(our_sources())) {
    if (!key.is_ignored()) continue;
    const bool is_inert = std::any_of(inert.begin(), inert.end(), [&](const ConfigKey& other) {
      return other.file == key.file && other.owner == key.owner && other.name == key.name;
    });
    EXPECT_TRUE(is_inert) << key.file << ": " << key.owner << "." << key.member
                          << " is declared ignored, and something reads it.";
  }
}

TEST(ConfigKeys, AreAllFound) {
  const auto keys = testing::config_keys(our_sources());
  EXPECT_GT(keys.size(), 300u);
  const auto owner_of = [&](const char* name) {
    std::string owners;
    for (const ConfigKey& key : keys)
      if (key.name == name) owners += key.owner + "." + key.member + " ";
    return owners;
  };
  EXPECT_EQ(owner_of("plus_ratio"), "TimestepShift.ratio ");
  EXPECT_EQ(owner_of("start_level"), "ProgressiveBandHashGrid::Config.band.start_level ");
  EXPECT_EQ(owner_of("sphere_init_radius"), "SphereInitMlp::Config.sphere_init_radius ");
  EXPECT_EQ(owner_of("log2_hashmap_size"), ".grid.log2_table ");  // of a function for two structs
}

/// A class with a Config of two keys, and the text of its function.
Sources one_class(const std::string& range, const std::string& body) {
  return {
      {"t3d/a/thing.h",
       "class Thing {\n public:\n  struct Config {\n    float depth = 1, width = 2;\n    template <class V>\n"
       "    void visit(V& v) {\n      v(\"depth\", depth, any(), \"how deep\");\n      v(\"width\", width, " +
           range + ", \"how wide\");\n    }\n  };\n  Thing(const Config& config);\n};\n"},
      {"t3d/a/thing.cpp",
       "#include \"t3d/a/thing.h\"\nThing::Thing(const Config& config) {\n  use(config.depth" + body +
           ");\n}\n"},
      {"t3d/b/other.cpp", "void other(const Box& box) {\n  use(box.width);\n}\n"}};
}

TEST(ConfigKeys, ANewKeyThatNothingReadsIsFound) {
  EXPECT_THAT(inert_names(one_class("any()", "")), ::testing::ElementsAre("width"));
  EXPECT_THAT(inert_names(one_class("any()", " /* config.width */, \"config.width\"")),
              ::testing::ElementsAre("width"));
  EXPECT_THAT(inert_names(one_class("any()", ", config.width")), ::testing::IsEmpty());
}

TEST(ConfigKeys, AStructOfItsOwnIsReadByFilesThatIncludeIt) {
  Sources sources = {
      {"t3d/a/shift.h",
       "struct Shift {\n  double ratio = 1;\n  template <class V>\n  void visit(V& v) {\n"
       "    v(\"plus_ratio\", ratio, any(), \"how far\");\n  }\n  double apply(double t) const;\n};\n"},
      {"t3d/b/stranger.cpp", "void stranger(const X& x) {\n  use(x.ratio);\n}\n"}};
  EXPECT_THAT(inert_names(sources), ::testing::ElementsAre("plus_ratio"));
  Sources by_friend = sources;
  by_friend["t3d/b/friend.cpp"] =
      "#include \"t3d/a/shift.h\"\nvoid f(const Shift& s) {\n  use(s.ratio);\n}\n";
  EXPECT_THAT(inert_names(by_friend), ::testing::IsEmpty());
  Sources by_itself = sources;
  by_itself["t3d/a/shift.cpp"] = "double Shift::apply(double t) const {\n  return t * ratio;\n}\n";
  EXPECT_THAT(inert_names(by_itself), ::testing::IsEmpty());
}

TEST(ConfigKeys, ThatAreDeclaredIgnoredOrHaveOneValueAreToldApart) {
  const auto key_of = [](const char* range) { return testing::config_keys(one_class(range, ""))[1]; };
  EXPECT_TRUE(key_of("ignored(\"it is as wide as it is\")").is_ignored());
  EXPECT_TRUE(key_of("config::harmless(\"no width, no time\", at_least(1))").is_ignored());
  EXPECT_TRUE(key_of("one_of({3})").is_fixed());
  EXPECT_TRUE(key_of("config::one_of({\"rotation\"})").is_fixed());
  EXPECT_FALSE(key_of("one_of({1, 2})").is_fixed());
  EXPECT_FALSE(key_of("any()").is_ignored());
}

}  // namespace
}  // namespace t3d
