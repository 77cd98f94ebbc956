#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "t3d/io/image.h"

namespace t3d::train {

/// Writes a TensorBoard event file: `folder`/events.out.tfevents.TIME.HOST.PID.N. The few messages are
/// encoded by hand (docs/metrics.md has the bytes), which needs no protobuf library. Records are collected
/// and written whole; readers ignore an incomplete last one, so that a killed run's file stays readable.
class EventFile {
 public:
  /// `purge_step`: a resumed run's first step; readers drop what earlier files of the folder hold from that
  /// step on. Throws SystemError.
  explicit EventFile(const std::string& folder, std::optional<int64_t> purge_step = std::nullopt);
  /// Writes what is left; a failure here is only logged.
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  void scalar(const std::string& tag, int64_t step, double value);
  /// As PNG.
  void image(const std::string& tag, int64_t step, const io::Image8& image);
  /// Throws SystemError.
  void flush();

  const std::string& path() const { return path_; }

 private:
  void event(int64_t step, std::string_view field);

  std::string path_, buffer_;
  int fd_ = -1;
};

}  // namespace t3d::train
