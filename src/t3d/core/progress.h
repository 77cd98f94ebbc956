#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>

namespace t3d {

/// Progress of a long job on standard error: done of total, rate, time left, memory, and a note. On a
/// terminal one live line, redrawn at most ten times a second and cut to the width that the window has then;
/// in a pipe or file a plain line every few seconds.
///
///   train  1200/4000  30%  412/s  6.8s left  312 MiB  psnr 31.2
///
/// The clock is monotonic. Costs one clock reading per update() between lines, so call it every step.
class Progress {
 public:
  /// total 0: unknown, no percentage and no time left. Hidden, it draws nothing: RunControl::shows_progress.
  Progress(std::string label, int64_t total, bool is_shown = true);
  /// Ends the live line, if one is open; draws nothing new.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Where it is known only after the start.
  void set_total(int64_t total) { total_ = total; }
  /// `done` counts from the start of the job; a resumed run passes its first value to start_at(). Call it for
  /// every step: finish() tells the last one. In a pipe the line of the last step is left to finish().
  void update(int64_t done, const std::string& note = "");
  /// Steps that an earlier process did: they count as done but not for the rate.
  void start_at(int64_t done);
  /// Draws the last line, with the whole time. Called once.
  void finish(const std::string& note = "");

  /// Memory in use on the device, shown when it is above 0.
  void show_device_memory(std::function<size_t()> n_bytes) { device_bytes_ = std::move(n_bytes); }

  /// For tests: where lines go (null: nowhere), whether it is a terminal, the clock in seconds, and the
  /// terminal's columns (0 or no function: any number).
  struct Output {
    std::FILE* file;
    bool is_terminal;
    std::function<double()> clock;
    std::function<int()> columns = {};
  };
  Progress(std::string label, int64_t total, Output output);

  /// The line that update() would draw, for tests and logs.
  std::string line(int64_t done, const std::string& note, double elapsed_s) const;

 private:
  void draw(const std::string& text, bool is_last);

  std::string label_;
  int64_t total_, first_ = 0, last_ = 0;
  Output output_;
  std::function<size_t()> device_bytes_;
  double start_s_, next_s_;
  bool is_open_ = false;
};

/// Wipes the live line off the terminal, if one is open, so that another line can take its place; the next
/// update draws it again. Log lines call it.
void clear_live_line();

}  // namespace t3d
