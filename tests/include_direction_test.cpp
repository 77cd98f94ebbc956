#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

namespace t3d {
namespace {

namespace fs = std::filesystem;

/// module -> the modules that its CMakeLists.txt lists under USES, as the build wrote them to modules.txt.
std::map<std::string, std::set<std::string>> declared_uses() {
  std::map<std::string, std::set<std::string>> uses;
  std::ifstream file(std::string(T3D_BINARY_DIR) + "/modules.txt");
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;
    std::istringstream words(line.substr(colon + 1));
    auto& entry = uses[line.substr(0, colon)];
    for (std::string word; words >> word;) entry.insert(word);
  }
  return uses;
}

/// The declared modules and everything they use in turn.
std::set<std::string> reachable(const std::map<std::string, std::set<std::string>>& uses,
                                const std::string& module) {
  std::set<std::string> found, open = {module};
  while (!open.empty()) {
    const std::string next = *open.begin();
    open.erase(open.begin());
    if (!found.insert(next).second) continue;
    if (uses.count(next) != 0) open.insert(uses.at(next).begin(), uses.at(next).end());
  }
  return found;
}

bool is_source(const fs::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".h" || extension == ".cpp" || extension == ".cu" || extension == ".cuh";
}

/// "src/t3d/ops/x.cpp:12 includes t3d/train/y.h" for every include that `allowed` does not cover.
std::vector<std::string> forbidden_includes(const fs::path& folder, const std::set<std::string>& allowed) {
  const std::regex include(R"(^\s*#\s*include\s*\"t3d/([a-z_]+)/[^\"]*\")");
  std::vector<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file() || !is_source(entry.path())) continue;
    std::ifstream file(entry.path());
    int number = 0;
    for (std::string line; std::getline(file, line);) {
      ++number;
      std::smatch match;
      if (std::regex_search(line, match, include) && allowed.count(match[1]) == 0)
        found.push_back(entry.path().string() + ":" + std::to_string(number) + ": " + line);
    }
  }
  return found;
}

TEST(Modules, IncludeOnlyWhatTheyDeclare) {
  const auto uses = declared_uses();
  ASSERT_GE(uses.size(), 2u);
  for (const auto& [module, direct] : uses)
    EXPECT_THAT(forbidden_includes(fs::path(T3D_SOURCE_DIR) / "src/t3d" / module, reachable(uses, module)),
                ::testing::IsEmpty())
        << "module " << module << " includes a module that its CMakeLists.txt does not list under USES";
}

TEST(Modules, DependOnEachOtherInOneDirection) {
  const auto uses = declared_uses();
  for (const auto& [module, direct] : uses)
    for (const auto& other : direct)
      EXPECT_EQ(reachable(uses, other).count(module), 0u)
          << module << " uses " << other << ", which uses " << module;
}

TEST(Sources, StayBelowTheSizeAtWhichWeSplit) {
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(T3D_SOURCE_DIR) / "src")) {
    if (!entry.is_regular_file() || !is_source(entry.path())) continue;
    std::ifstream file(entry.path());
    const auto n_lines =
        std::count(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>(), '\n');
    EXPECT_LE(n_lines, 600) << entry.path() << " has " << n_lines << " lines; split it by concept";
  }
}

TEST(Sources, RemoveFoldersByRemoveTree) {
  for (const char* folder : {"src", "tests", "bench"})
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(T3D_SOURCE_DIR) / folder)) {
      if (!entry.is_regular_file() || !is_source(entry.path())) continue;
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);)
        EXPECT_FALSE(std::regex_search(line, std::regex(R"((fs|filesystem)::remove_all\()")))
            << entry.path() << ": crashes with pip's LibTorch, see core/remove_tree.h";
    }
}

TEST(Sources, CudaFilesIncludeNoTorchHeader) {
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(T3D_SOURCE_DIR) / "src")) {
    if (entry.path().extension() != ".cu" && entry.path().extension() != ".cuh") continue;
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);)
      EXPECT_FALSE(std::regex_search(line, std::regex(R"(#\s*include\s*[<\"](torch|ATen|c10)/)")))
          << entry.path() << ": " << line;
  }
}

}  // namespace
}  // namespace t3d
