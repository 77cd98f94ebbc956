#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

namespace t3d {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = T3D_SOURCE_DIR;

std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The files that a page links to, relative links only, without their anchors.
std::set<fs::path> links_of(const fs::path& page) {
  const std::string text = text_of(page);
  const std::regex link(R"(\]\(([^)#\s]+)(#[^)]*)?\))");
  std::set<fs::path> found;
  for (std::sregex_iterator it(text.begin(), text.end(), link), end; it != end; ++it)
    if ((*it)[1].str().find("://") == std::string::npos)
      found.insert((page.parent_path() / (*it)[1].str()).lexically_normal());
  return found;
}

std::set<fs::path> pages() {
  std::set<fs::path> found = {kRoot / "README.md", kRoot / "CHANGELOG.md"};
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / "docs"))
    if (entry.path().extension() == ".md") found.insert(entry.path());
  return found;
}

TEST(Docs, EveryLinkLeadsToAFile) {
  for (const fs::path& page : pages())
    for (const fs::path& target : links_of(page)) EXPECT_TRUE(fs::exists(target)) << page << " -> " << target;
}

TEST(Docs, TheIndexNamesEveryPage) {
  const fs::path index = kRoot / "docs" / "README.md";
  const std::set<fs::path> linked = links_of(index);
  for (const fs::path& page : pages()) {
    if (page.parent_path() != kRoot / "docs" || page == index) continue;
    EXPECT_EQ(linked.count(page), 1u) << page << " is not in docs/README.md";
  }
}

}  // namespace
}  // namespace t3d
