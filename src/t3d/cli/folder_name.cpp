#include "t3d/cli/folder_name.h"

#include <algorithm>
#include <cctype>

namespace t3d::cli {

std::string folder_name(const std::string& prompt) {
  std::string name;
  for (const char c : prompt) {
    const auto u = static_cast<unsigned char>(c);
    if (u >= 0x80 || std::isalnum(u) != 0)
      name += static_cast<char>(u < 0x80 ? std::tolower(u) : u);
    else if (!name.empty() && name.back() != '_')
      name += '_';
  }
  size_t end = std::min<size_t>(name.size(), 80);
  while (end > 0 && end < name.size() && (static_cast<unsigned char>(name[end]) & 0xc0u) == 0x80u) --end;
  name.resize(end);
  while (!name.empty() && name.back() == '_') name.pop_back();
  return name.empty() ? "object" : name;
}

}  // namespace t3d::cli
