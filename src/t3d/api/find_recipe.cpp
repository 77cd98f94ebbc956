#include "t3d/api/find_recipe.h"

#include <filesystem>
#include <vector>

#include "t3d/core/error.h"
#include "t3d/core/sentence.h"
#include "t3d/core/share_folder.h"

namespace t3d::api {

namespace fs = std::filesystem;

std::string find_recipe(const std::string& name) {
  if (fs::is_regular_file(name)) return name;
  const bool is_path = name.find('/') != std::string::npos || fs::path(name).has_extension();
  if (is_path) throw SystemError(cat(name, ": no such file; expected a recipe, a YAML file. See configs/."));
  std::vector<std::string> known;
  for (const fs::path& folder : {fs::path("configs"), fs::path(share_file("configs"))}) {
    if (folder.empty()) continue;
    const fs::path file = folder / (name + ".yaml");
    if (fs::is_regular_file(file)) return file.string();
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder, ignored))
      if (entry.path().extension() == ".yaml") known.push_back(entry.path().stem().string());
  }
  if (known.empty())
    throw SystemError(
        cat("there is no recipe named ", name, ", though recipes come with t3d. ", share_folder_remark()));
  throw UserError(cat("there is no recipe named ", name, end_or_suggestion(name, known),
                      " Name a file in configs/, or a path to a YAML file."));
}

}  // namespace t3d::api
