#include "t3d/core/config/paths.h"

#include <gtest/gtest.h>

#include "t3d/core/config/read_yaml.h"

namespace t3d::config {
namespace {

const char* const kText = "{a: {b: [{c: 1}, {c: 2}], d: null}, e: x}";

TEST(Paths, AreSplitAndJoined) {
  EXPECT_EQ(split_path("a.b[0].c"), (std::vector<std::string>{"a", "b", "0", "c"}));
  EXPECT_EQ(split_path(""), std::vector<std::string>{});
  EXPECT_EQ(path_text(split_path("a.b[0].c")), "a.b.0.c");
}

TEST(Paths, FindEntriesOfMappingsAndElementsOfLists) {
  const Node root = read_yaml(kText, "text");
  EXPECT_EQ(find_at(root, ""), &root);
  ASSERT_NE(find_at(root, "a.b[1].c"), nullptr);
  EXPECT_EQ(*find_at(root, "a.b[1].c"), Node(int64_t{2}));
  EXPECT_TRUE(find_at(root, "a.d")->is_null());
  for (const char* none : {"a.x", "a.b[2]", "a.b.c", "a.b.c.d", "e.x", "a.b[99999999999]", "a.d.x"})
    EXPECT_EQ(find_at(root, none), nullptr) << none;
}

TEST(Paths, AreMadeWhereTheyAreMissing) {
  Node root = read_yaml(kText, "text");
  EXPECT_EQ(set_at(root, "a.d", Node(int64_t{3})), Node(int64_t{3}));
  set_at(root, "f.g.h", Node(std::string("y")));
  set_at(root, "e.i", Node(true));  // a value that was no mapping becomes one
  EXPECT_EQ(root, read_yaml("{a: {b: [{c: 1}, {c: 2}], d: 3}, e: {i: true}, f: {g: {h: y}}}", "text"));
}

}  // namespace
}  // namespace t3d::config
