#include "t3d/train/metrics.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "t3d/core/text.h"
#include "t3d/train/csv_log.h"
#include "t3d/train/event_file.h"

namespace t3d::train {
namespace {

namespace fs = std::filesystem;

/// The highest K of the folders version_K, or -1.
int newest_version(const std::string& folder) {
  constexpr size_t kPrefix = 8;
  int newest = -1;
  std::error_code failure;
  for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    const std::string name = entry->path().filename().string();
    int version = -1;
    if (name.rfind("version_", 0) != 0) continue;
    const auto parsed = std::from_chars(name.data() + kPrefix, name.data() + name.size(), version);
    if (parsed.ec == std::errc() && parsed.ptr == name.data() + name.size())
      newest = std::max(newest, version);
  }
  return newest;
}

}  // namespace

Metrics::Metrics(const std::string& run_folder, std::optional<int64_t> resume_step) {
  const std::string csv = run_folder + "/csv_logs", events = run_folder + "/tb_logs";
  const int newest = std::max(newest_version(csv), newest_version(events));
  const int version = resume_step && newest >= 0 ? newest : newest + 1;
  const std::string table = cat(csv, "/version_", version, "/metrics.csv");
  // The table of a run that was resumed before it logged anything may not be there.
  csv_ = std::make_unique<CsvLog>(table, resume_step && fs::exists(table) ? resume_step : std::nullopt);
  events_ =
      std::make_unique<EventFile>(cat(events, "/version_", version),
                                  resume_step ? std::optional<int64_t>(*resume_step + 1) : std::nullopt);
}

Metrics::~Metrics() = default;

void Metrics::log(int64_t step, const std::map<std::string, double>& values) {
  csv_->row(step, values);
  for (const auto& [name, value] : values) events_->scalar(name, step, value);
}

void Metrics::image(const std::string& tag, int64_t step, const io::Image8& image) {
  events_->image(tag, step, image);
}

void Metrics::flush() {
  csv_->flush();
  events_->flush();
}

const std::string& Metrics::csv_path() const {
  return csv_->path();
}

const std::string& Metrics::event_path() const {
  return events_->path();
}

}  // namespace t3d::train
