#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

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

/// The C++ of a page, block by block.
std::vector<std::string> snippets_of(const fs::path& page) {
  std::istringstream lines(text_of(page));
  std::vector<std::string> out;
  bool is_inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("```", 0) == 0) {
      is_inside = line == "```cpp";
      if (is_inside) out.emplace_back();
    } else if (is_inside) {
      out.back() += line + "\n";
    }
  }
  return out;
}

/// The text of a header of ours and of those that it includes.
void add_header(const std::string& name, std::map<std::string, std::string>& texts) {
  if (texts.count(name) != 0) return;
  const std::string text = text_of(kRoot / "src" / name);
  texts[name] = text;
  const std::regex include("#include \"(t3d/[^\"]+)\"");
  for (std::sregex_iterator it(text.begin(), text.end(), include), end; it != end; ++it)
    add_header((*it)[1].str(), texts);
}

TEST(Docs, SnippetsIncludeTheHeadersOfWhatTheyName) {
  int n_snippets = 0;
  for (const fs::path& page : pages())
    for (const std::string& snippet : snippets_of(page)) {
      ++n_snippets;
      std::map<std::string, std::string> headers;
      const std::regex include("#include \"(t3d/[^\"]+)\"");
      for (std::sregex_iterator it(snippet.begin(), snippet.end(), include), end; it != end; ++it) {
        EXPECT_TRUE(fs::exists(kRoot / "src" / (*it)[1].str())) << page << ": " << (*it)[1].str();
        add_header((*it)[1].str(), headers);
      }
      EXPECT_FALSE(headers.empty()) << page << " has a snippet without #include";
      std::string all;
      for (const auto& [name, text] : headers) all += text;
      // Names behind a namespace of ours, the last of them: t3d::io::read_mesh, data::psnr, Lora::make.
      const std::regex name(R"(\b(?:[a-zA-Z_]+::)+([A-Za-z_0-9]+))");
      for (std::sregex_iterator it(snippet.begin(), snippet.end(), name), end; it != end; ++it) {
        const std::string whole = it->str(), last = (*it)[1].str();
        if (whole.rfind("at::", 0) == 0 || whole.rfind("c10::", 0) == 0 || whole.rfind("std::", 0) == 0)
          continue;
        const bool is_there = std::regex_search(all, std::regex("\\b" + last + "\\b"));
        EXPECT_TRUE(is_there || last == "Constant") << page << ": no header that is included has " << whole;
      }
    }
  EXPECT_GT(n_snippets, 10);
}

}  // namespace
}  // namespace t3d
