#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "t3d/io/image.h"

namespace t3d::train {

class CsvLog;
class EventFile;

/// The metrics of a run, written where threestudio and Lightning write them:
///
///   run/csv_logs/version_K/metrics.csv     one row per log(), a column per name, empty where not logged
///   run/tb_logs/version_K/events.out...    for TensorBoard: `tensorboard --logdir run/tb_logs`
///
/// K is the next free number. A resumed run goes on in the newest version: what was logged after the resumed
/// step is dropped from the table, and marked as superseded for TensorBoard.
class Metrics {
 public:
  /// resume_step: optimizer steps that the loaded checkpoint has done. Throws SystemError.
  explicit Metrics(const std::string& run_folder, std::optional<int64_t> resume_step = std::nullopt);
  ~Metrics();

  /// `step`: optimizer steps done. Names such as "train/loss". Throws SystemError on a full disk.
  void log(int64_t step, const std::map<std::string, double>& values);
  /// TensorBoard only.
  void image(const std::string& tag, int64_t step, const io::Image8& image);
  /// Writes what is collected; call it with each checkpoint, before saving.
  void flush();

  const std::string& csv_path() const;
  const std::string& event_path() const;

 private:
  std::unique_ptr<CsvLog> csv_;
  std::unique_ptr<EventFile> events_;
};

}  // namespace t3d::train
