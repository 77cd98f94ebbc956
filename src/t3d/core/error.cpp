#include "t3d/core/error.h"

#include <cerrno>
#include <cstring>

namespace t3d {

std::string errno_text() {
  return cat(": ", std::strerror(errno));
}

void throw_bug(const char* file, int line, const char* condition, const std::string& detail) {
  throw BugError(cat(file, ":", line, ": expected ", condition, detail.empty() ? "" : ": ", detail,
                     ". This is a defect in t3d; please report it."));
}

}  // namespace t3d
