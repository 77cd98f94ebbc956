#include "t3d/core/memory_usage.h"

#include <cstdio>
#include <cstring>

namespace t3d {
namespace {

/// A "Name:  123 kB" line of /proc/self/status, in bytes. getrusage would carry the peak of the image that
/// ran before an exec.
size_t status_bytes(const char* name) {
  std::FILE* file = std::fopen("/proc/self/status", "r");
  if (file == nullptr) return 0;
  char line[256];
  unsigned long long kib = 0;
  const size_t length = std::strlen(name);
  while (std::fgets(line, sizeof line, file) != nullptr)
    if (std::strncmp(line, name, length) == 0 && std::sscanf(line + length, ": %llu", &kib) == 1) break;
  std::fclose(file);
  return static_cast<size_t>(kib) * 1024;
}

}  // namespace

size_t current_rss_bytes() {
  return status_bytes("VmRSS");
}

size_t peak_rss_bytes() {
  return status_bytes("VmHWM");
}

size_t own_rss_bytes() {
  return status_bytes("RssAnon");
}

size_t file_rss_bytes() {
  return status_bytes("RssFile");
}

}  // namespace t3d
