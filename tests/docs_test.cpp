#include <gtest/gtest.h>

#include <cstdlib>
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

/// A page's C++, and what it is given: the parameters in the line <!-- with: at::Tensor x --> before it.
struct Snippet {
  std::string text, given;
};

std::vector<Snippet> snippets_of(const fs::path& page) {
  std::istringstream lines(text_of(page));
  std::vector<Snippet> out;
  bool is_inside = false;
  const std::string with = "<!-- with: ", end = " -->";
  std::string given;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("```", 0) == 0) {
      is_inside = line == "```cpp";
      if (is_inside) out.push_back({"", given});
      given = "";
    } else if (is_inside) {
      out.back().text += line + "\n";
    } else if (line.rfind(with, 0) == 0) {
      given = line.substr(with.size(), line.size() - with.size() - end.size());
    }
  }
  return out;
}

/// All snippets as one file: their includes, then each as a function of what it is given. Whole programs
/// stand as they are, each in a namespace.
std::string all_snippets() {
  std::string includes, functions;
  int n = 0;
  for (const fs::path& page : pages())
    for (const Snippet& snippet : snippets_of(page)) {
      std::istringstream lines(snippet.text);
      std::string body;
      for (std::string line; std::getline(lines, line);)
        (line.rfind("#include", 0) == 0 ? includes : body) += line + "\n";
      const std::string name = "snippet_" + std::to_string(n++);
      const bool is_program = body.find("int main(") != std::string::npos;
      functions += "// " + page.filename().string() + "\n" +
                   (is_program ? "namespace " + name + " {\n" + body + "}\n\n"
                               : "[[maybe_unused]] const auto " + name + " = [](" + snippet.given + ") {\n" +
                                     body + "};\n\n");
    }
  return "#include <ATen/ATen.h>\n\n" + includes + "\nnamespace {\n" + functions + "}  // namespace\n";
}

TEST(Docs, SnippetsCompile) {
  const char* const folder = T3D_BINARY_DIR "/docs_snippets";
  fs::create_directories(folder);
  const std::string file = std::string(folder) + "/snippets.cpp", log = std::string(folder) + "/log";
  std::ofstream(file) << all_snippets();
  const std::string command = std::string("'") + T3D_COMPILER + "' $(cat '" + T3D_BINARY_DIR +
                              "/docs_snippets.flags') -fsyntax-only '" + file + "' > '" + log + "' 2>&1";
  EXPECT_EQ(std::system(command.c_str()), 0) << command << "\n" << text_of(log);
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
    for (const auto& [snippet, given] : snippets_of(page)) {
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

/// Module by module, what the build wrote to modules.txt: "core, math", or a dash for nothing.
std::map<std::string, std::string> uses_of_modules() {
  std::map<std::string, std::string> uses;
  std::istringstream lines(text_of(T3D_BINARY_DIR "/modules.txt"));
  for (std::string line; std::getline(lines, line);) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    std::istringstream words(line.substr(colon + 1));
    std::string all;
    for (std::string word; words >> word;) all += (all.empty() ? "" : ", ") + word;
    uses[line.substr(0, colon)] = all.empty() ? "–" : all;
  }
  return uses;
}

TEST(Docs, TheTableOfModulesIsTheBuilds) {
  const fs::path page = kRoot / "docs" / "design.md";
  std::istringstream lines(text_of(page));
  auto missing = uses_of_modules();
  ASSERT_GT(missing.size(), 10u);
  const std::regex row(R"(\| `(\w+)` \| (.*) \| (.*) \|)");
  std::string written;
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (std::regex_match(line, match, row) && missing.count(match[1]) != 0) {
      const std::string module = match[1], uses = missing[module];
      missing.erase(module);
      const bool is_right = match[3].str() == uses;
      EXPECT_TRUE(is_right || std::getenv("T3D_WRITE_DOCS") != nullptr)
          << module << " uses " << uses << "; T3D_WRITE_DOCS=1 writes the table of " << page;
      line = "| `" + module + "` | " + match[2].str() + " | " + uses + " |";
    }
    written += line + "\n";
  }
  for (const auto& [module, uses] : missing)
    ADD_FAILURE() << page << " has no line for the module " << module << ", which uses " << uses;
  if (std::getenv("T3D_WRITE_DOCS") != nullptr) std::ofstream(page) << written;
}

}  // namespace
}  // namespace t3d
