#include "t3d/core/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <memory>

#include "t3d/core/error.h"
#include "t3d/core/progress.h"

namespace t3d::log {
namespace {

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    // stderr: what a command prints for other programs on stdout stays clean.
    auto made =
        std::make_shared<spdlog::logger>("t3d", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    if (const char* no_colour = std::getenv("NO_COLOR"); no_colour != nullptr && no_colour[0] != '\0')
      static_cast<spdlog::sinks::stderr_color_sink_mt&>(*made->sinks().front())
          .set_color_mode(spdlog::color_mode::never);
    made->set_pattern("%^[%l]%$ %v");
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return *instance;
}

void write(spdlog::level::level_enum level, const std::string& message) {
  if (!logger().should_log(level)) return;
  clear_live_line();
  logger().log(level, "{}", message);
}

}  // namespace

void debug(const std::string& message) {
  write(spdlog::level::debug, message);
}
void info(const std::string& message) {
  write(spdlog::level::info, message);
}
void warning(const std::string& message) {
  write(spdlog::level::warn, message);
}
void error(const std::string& message) {
  write(spdlog::level::err, message);
}

void set_level(Level level) {
  constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug, spdlog::level::info,
                                                   spdlog::level::warn, spdlog::level::err};
  logger().set_level(kLevels[static_cast<int>(level)]);
}

void add_file(const std::string& path) {
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path);
    sink->set_pattern("[%l] %v");
    logger().sinks().push_back(sink);
  } catch (const spdlog::spdlog_ex& failure) {
    throw SystemError(
        cat(path, ": cannot open the log file (", failure.what(), "). Check the folder and its rights."));
  }
}

}  // namespace t3d::log
