#include "t3d/train/csv_log.h"

#include <fcntl.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/file_calls.h"
#include "t3d/core/log.h"

namespace t3d::train {
namespace {

constexpr int kRowsPerFlush = 100;  // threestudio's flush_logs_every_n_steps
constexpr uint64_t kMaxBytes = uint64_t{4} << 30;

std::string cell(const std::string& text) {
  if (text.find_first_of(",\"") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

std::string number(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

std::string line_of(const std::vector<std::string>& cells) {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) line += (i == 0 ? "" : ",") + cells[i];
  return line + "\n";
}

}  // namespace

std::vector<std::vector<std::string>> parse_csv(const std::string& text) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> row(1);
  bool is_quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (is_quoted && c == '"' && i + 1 < text.size() && text[i + 1] == '"') {
      row.back() += text[++i];
    } else if (c == '"') {
      is_quoted = !is_quoted;
    } else if (c == ',' && !is_quoted) {
      row.emplace_back();
    } else if (c == '\n') {
      rows.push_back(std::move(row));
      row.assign(1, "");
      is_quoted = false;
    } else if (c != '\r') {
      row.back() += c;
    }
  }
  return rows;
}

CsvLog::CsvLog(const std::string& path, std::optional<int64_t> resume_step)
    : path_(path), columns_{"epoch", "step"} {
  std::vector<std::vector<std::string>> kept;
  if (resume_step) {
    auto rows = parse_csv(read_whole_file(path, kMaxBytes));
    if (rows.empty() || rows[0].size() < 2 || rows[0][0] != "epoch" || rows[0][1] != "step")
      throw UserError(cat(path,
                          ":1: expected a table that begins with the columns epoch and step. Move the file "
                          "away and resume again."));
    columns_ = rows[0];
    for (size_t i = 1; i < rows.size(); ++i) {
      if (rows[i].size() != columns_.size()) continue;
      int64_t step = 0;
      const std::string& text = rows[i][1];
      const auto parsed = std::from_chars(text.data(), text.data() + text.size(), step);
      if (parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && step <= *resume_step)
        kept.push_back(std::move(rows[i]));
    }
  }
  rewrite(kept);
}

CsvLog::~CsvLog() {
  try {
    flush();
  } catch (const Error& failure) {
    log::warning(failure.what());
  }
  if (fd_ >= 0) file_calls().close(fd_);
}

void CsvLog::row(int64_t step, const std::map<std::string, double>& values) {
  const size_t n_before = columns_.size();
  for (const auto& [name, value] : values) {
    T3D_CHECK(!name.empty() && name.find_first_of("\r\n") == std::string::npos, "metric name \"", name, "\"");
    if (std::find(columns_.begin(), columns_.end(), name) == columns_.end()) columns_.push_back(name);
  }
  if (columns_.size() != n_before) {
    flush();
    auto rows = parse_csv(read_whole_file(path_, kMaxBytes));
    rows.erase(rows.begin());
    for (auto& earlier : rows) earlier.resize(columns_.size());
    rewrite(rows);
  }
  std::vector<std::string> cells(columns_.size());
  for (size_t i = 0; i < columns_.size(); ++i) {
    const auto found = values.find(columns_[i]);
    if (found != values.end()) cells[i] = number(found->second);
  }
  cells[0] = "0";  // Lightning's column: training from random cameras is one epoch
  cells[1] = cat(step);
  buffer_ += line_of(cells);
  if (++n_buffered_ >= kRowsPerFlush) flush();
}

void CsvLog::flush() {
  const std::string bytes = std::move(buffer_);
  buffer_.clear();
  n_buffered_ = 0;
  if (!bytes.empty()) append_all(fd_, bytes.data(), bytes.size(), path_);
}

void CsvLog::rewrite(const std::vector<std::vector<std::string>>& rows) {
  AtomicFile file(path_);
  const auto put = [&](std::vector<std::string> cells) {
    for (auto& text : cells) text = cell(text);
    file.write(line_of(cells));
  };
  put(columns_);
  for (const auto& cells : rows) put(cells);
  file.commit();
  if (fd_ >= 0) file_calls().close(fd_);
  fd_ = -1;
  fd_ = open_for_writing(path_, O_WRONLY | O_APPEND);
}

}  // namespace t3d::train
