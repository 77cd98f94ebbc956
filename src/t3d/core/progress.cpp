#include "t3d/core/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "t3d/core/clock.h"
#include "t3d/core/memory_usage.h"
#include "t3d/core/text.h"

namespace t3d {
namespace {

constexpr double kLiveEvery_s = 0.1, kPlainEvery_s = 5;
std::atomic<bool> g_has_live_line{false};

/// As wide as the window is now, so that a resized one is right from the next line on. 0: not known.
int columns_of_terminal() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

Progress::Output standard_error(bool is_shown) {
  if (!is_shown) return {nullptr, false, now_s};
  const char* terminal = std::getenv("TERM");
  const bool is_dumb = terminal != nullptr && std::strcmp(terminal, "dumb") == 0;
  return {stderr, isatty(STDERR_FILENO) == 1 && !is_dumb, now_s, columns_of_terminal};
}

/// The text's first characters. A line as wide as the window would already move on to the next one.
std::string cut_to(const std::string& text, int columns) {
  if (columns <= 0) return text;
  int n_characters = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool is_first_byte = (static_cast<unsigned char>(text[i]) & 0xc0u) != 0x80u;
    if (is_first_byte && ++n_characters >= columns) return text.substr(0, i);
  }
  return text;
}

/// Three significant digits: "0.42", "3.1", "412", "1.2k", "3.4M".
std::string short_number(double value) {
  char text[32];
  const char* unit = value >= 1e6 ? "M" : value >= 1e4 ? "k" : "";
  const double scaled = value >= 1e6 ? value / 1e6 : value >= 1e4 ? value / 1e3 : value;
  std::snprintf(text, sizeof text,
                scaled >= 100  ? "%.0f%s"
                : scaled >= 10 ? "%.1f%s"
                               : "%.2f%s",
                scaled, unit);
  return text;
}

}  // namespace

Progress::Progress(std::string label, int64_t total, bool is_shown)
    : Progress(std::move(label), total, standard_error(is_shown)) {}

Progress::Progress(std::string label, int64_t total, Output output)
    : label_(std::move(label)), total_(total), output_(std::move(output)) {
  start_s_ = output_.clock();
  next_s_ = start_s_ + (output_.is_terminal ? kLiveEvery_s : kPlainEvery_s);
}

Progress::~Progress() {
  if (!is_open_) return;
  std::fputc('\n', output_.file);
  if (output_.file == stderr) g_has_live_line = false;
}

void Progress::start_at(int64_t done) {
  first_ = last_ = done;
  start_s_ = output_.clock();
}

std::string Progress::line(int64_t done, const std::string& note, double elapsed_s) const {
  std::string text = cat(label_, "  ", done);
  if (total_ > 0) text += cat("/", total_, "  ", std::clamp<int64_t>(done * 100 / total_, 0, 100), "%");
  const int64_t n_new = done - first_;
  const double rate = elapsed_s > 0 ? static_cast<double>(n_new) / elapsed_s : 0;
  if (rate > 0) text += cat("  ", short_number(rate), "/s");
  if (rate > 0 && total_ > done)
    text += cat("  ", human_seconds(static_cast<double>(total_ - done) / rate), " left");
  text += cat("  ", human_bytes(static_cast<double>(current_rss_bytes())));
  const size_t on_device = device_bytes_ ? device_bytes_() : 0;
  if (on_device > 0) text += cat(" + ", human_bytes(static_cast<double>(on_device)), " on the device");
  if (!note.empty()) text += "  " + note;
  return text;
}

void Progress::update(int64_t done, const std::string& note) {
  last_ = done;
  if (output_.file == nullptr) return;
  const double now = output_.clock();
  if (now < next_s_ || (!output_.is_terminal && total_ > 0 && done >= total_)) return;
  next_s_ = now + (output_.is_terminal ? kLiveEvery_s : kPlainEvery_s);
  draw(line(done, note, now - start_s_), false);
}

void Progress::finish(const std::string& note) {
  if (output_.file == nullptr) return;
  const double elapsed_s = output_.clock() - start_s_;
  std::string text = line(last_, "", elapsed_s) + "  in " + human_seconds(elapsed_s);
  if (!note.empty()) text += "  " + note;
  draw(text, true);
}

void Progress::draw(const std::string& text, bool is_last) {
  if (output_.is_terminal)
    std::fprintf(output_.file, "\r%s\x1b[K%s", cut_to(text, output_.columns ? output_.columns() : 0).c_str(),
                 is_last ? "\n" : "");
  else
    std::fprintf(output_.file, "%s\n", text.c_str());
  is_open_ = output_.is_terminal && !is_last;
  if (output_.file == stderr) g_has_live_line = is_open_;
  std::fflush(output_.file);
}

void clear_live_line() {
  if (g_has_live_line.exchange(false)) std::fputs("\r\x1b[K", stderr);
}

}  // namespace t3d
