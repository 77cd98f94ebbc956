#pragma once

#include <cstddef>

namespace t3d {

/// Resident memory of this process in bytes: now, and the most since the program started (a restart by exec
/// begins anew). 0 where /proc is not readable.
size_t current_rss_bytes();
size_t peak_rss_bytes();

/// The parts of current_rss_bytes() that are the process's own, and pages of mapped files.
size_t own_rss_bytes();
size_t file_rss_bytes();

}  // namespace t3d
