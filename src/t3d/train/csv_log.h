#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace t3d::train {

/// A table of metrics that grows in both directions: rows are appended; a name that was not there before adds
/// a column, for which the file is rewritten once (complete or absent) with empty cells in the earlier rows.
class CsvLog {
 public:
  /// Begins a new file; or, with `resume_step`, goes on with the one at `path`: rows of later steps and an
  /// incomplete last row are dropped. Throws SystemError, and UserError when that file is not such a table.
  explicit CsvLog(const std::string& path, std::optional<int64_t> resume_step = std::nullopt);
  /// Writes what is left; a failure here is only logged.
  ~CsvLog();
  CsvLog(const CsvLog&) = delete;
  CsvLog& operator=(const CsvLog&) = delete;

  /// Collected; every 100 rows they are written. Numbers keep all their digits. Throws SystemError.
  void row(int64_t step, const std::map<std::string, double>& values);
  void flush();

  const std::string& path() const { return path_; }
  const std::vector<std::string>& columns() const { return columns_; }

 private:
  void rewrite(const std::vector<std::vector<std::string>>& rows);

  std::string path_, buffer_;
  std::vector<std::string> columns_;  // the first two are epoch and step
  int n_buffered_ = 0, fd_ = -1;
};

/// The cells of a CSV text as RFC 4180 has it, for one-line cells; an incomplete last line is left out.
std::vector<std::vector<std::string>> parse_csv(const std::string& text);

}  // namespace t3d::train
