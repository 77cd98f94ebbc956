#pragma once

#include <string>

/// Log lines on standard error, "[info] message". The level is coloured on a terminal, unless NO_COLOR is set
/// to anything (no-color.org) or TERM is dumb.
/// This header names no logging library: spdlog's fmt and LibTorch's own clash in one file.
namespace t3d::log {

enum class Level { Debug, Info, Warning, Error };

void debug(const std::string& message);
void info(const std::string& message);
void warning(const std::string& message);
void error(const std::string& message);

/// Lines below `level` are dropped. Default: Info.
void set_level(Level level);

/// Also appends every line to `path`. Throws SystemError when it cannot be opened.
void add_file(const std::string& path);

}  // namespace t3d::log
