#include "t3d/io/image_hdr.h"

#include <array>
#include <cctype>
#include <cmath>
#include <string_view>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/file_kind.h"
#include "t3d/io/image_format.h"

namespace t3d::io {
namespace {

constexpr size_t kMaxHeader = 1 << 16;
constexpr int kLeastEncodedWidth = 8, kMostEncodedWidth = 0x7fff;  // of the new run lengths

using Rgbe = std::array<uint8_t, 4>;

class HdrReader {
 public:
  HdrReader(const uint8_t* bytes, size_t n_bytes, const std::string& name, const ImageLimits& limits)
      : bytes_(bytes), n_bytes_(n_bytes), name_(name), limits_(limits) {}

  ImageF read() {
    read_header();
    ImageF image;
    image.width = width_, image.height = height_, image.channels = 3;
    std::vector<Rgbe> row(static_cast<size_t>(width_));
    for (int y = 0; y < height_; ++y) {  // memory is taken as rows come
      row_ = y;
      read_row(row);
      for (const Rgbe& p : row) {
        const float scale = p[3] == 0 ? 0.0f : std::ldexp(1.0f, static_cast<int>(p[3]) - 136);
        for (size_t c = 0; c < 3; ++c) image.pixels.push_back(static_cast<float>(p[c]) * scale);
      }
    }
    return image;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw UserError(cat(name_, ": ", what, ". Save it again as a Radiance picture (.hdr)."));
  }
  [[noreturn]] void fail_in_row(const std::string& what) const {
    fail(cat("row ", row_, " of the ", width_, "x", height_, " pixels ", what));
  }

  std::string_view line() {
    const size_t begin = at_;
    while (at_ < n_bytes_ && at_ - begin < kMaxHeader && bytes_[at_] != '\n') ++at_;
    if (at_ == n_bytes_ || bytes_[at_] != '\n') fail("the header does not end");
    std::string_view text(reinterpret_cast<const char*>(bytes_) + begin, at_ - begin);
    ++at_;
    if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
    return text;
  }

  void read_header() {
    const EncodedImage file{bytes_, n_bytes_, name_};
    const std::string_view start(reinterpret_cast<const char*>(bytes_), std::min<size_t>(n_bytes_, 10));
    if (start.substr(0, 10) != "#?RADIANCE" && start.substr(0, 6) != "#?RGBE") {
      refuse_placeholder({reinterpret_cast<const char*>(bytes_), n_bytes_}, name_, "a Radiance picture");
      const std::string content = known_content(file);
      throw UserError(cat(name_, ": this is ", content.empty() ? "no Radiance picture" : content,
                          "; a light is read from a Radiance picture (.hdr). Convert it to one."));
    }
    line();
    for (std::string_view text = line(); !text.empty(); text = line()) {
      constexpr std::string_view kFormat = "FORMAT=";
      if (at_ > kMaxHeader) fail("the header does not end");
      if (text.substr(0, kFormat.size()) != kFormat) continue;
      if (text.substr(kFormat.size()) != "32-bit_rle_rgbe")
        fail(cat("the colours are ", std::string(text.substr(kFormat.size())),
                 ", and 32-bit_rle_rgbe is read"));
    }
    const std::string size(line());
    std::string_view rest = size;
    const uint64_t height = side(rest, "-Y "), width = side(rest, " +X ");
    if (height == 0 || width == 0 || !rest.empty())
      fail(cat("the size is written \"", size.substr(0, 40), "\", and \"-Y height +X width\" was expected"));
    const auto most = static_cast<uint64_t>(limits_.max_side);
    if (width > most || height > most || width * height * 12 > limits_.max_bytes)
      throw UserError(cat(name_, ": the picture has ", width, "x", height, " pixels, and at most ", most,
                          " a side and ", human_bytes(static_cast<double>(limits_.max_bytes)),
                          " are read. Reduce it first."));
    width_ = static_cast<int>(width), height_ = static_cast<int>(height);
  }

  /// The number behind `mark`, at the start of `text`, which both are taken from; 0 where they are not there.
  static uint64_t side(std::string_view& text, std::string_view mark) {
    if (text.substr(0, mark.size()) != mark) return 0;
    text.remove_prefix(mark.size());
    uint64_t n = 0;
    while (!text.empty() && std::isdigit(static_cast<unsigned char>(text[0])) != 0 && n < (1u << 30)) {
      n = 10 * n + static_cast<uint64_t>(text[0] - '0');
      text.remove_prefix(1);
    }
    return n;
  }

  uint8_t byte() {
    if (at_ >= n_bytes_) fail_in_row("is cut short: the file ends there");
    return bytes_[at_++];
  }

  void read_row(std::vector<Rgbe>& row) {
    const bool has_encodable_width = width_ >= kLeastEncodedWidth && width_ <= kMostEncodedWidth;
    const Rgbe first = {byte(), byte(), byte(), byte()};
    if (has_encodable_width && first[0] == 2 && first[1] == 2 && first[2] < 128) {
      if (first[2] * 256 + first[3] != width_)
        fail_in_row(cat("has ", first[2] * 256 + first[3], " of them"));
      for (size_t channel = 0; channel < 4; ++channel) read_channel(row, channel);
    } else {
      read_old_row(row, first);
    }
  }

  /// New run lengths: above 128, a run of what follows; otherwise so many bytes as they are.
  void read_channel(std::vector<Rgbe>& row, size_t channel) {
    for (size_t x = 0; x < row.size();) {
      const uint8_t code = byte();
      const bool is_run = code > 128;
      const size_t n = is_run ? code - 128u : code;
      if (n == 0 || n > row.size() - x) fail_in_row("has a run that goes beyond its end");
      const uint8_t value = is_run ? byte() : 0;
      for (size_t i = 0; i < n; ++i) row[x++][channel] = is_run ? value : byte();
    }
  }

  /// Pixels as they are; (1,1,1,n) repeats the one before n times, and several in a row are the digits of a
  /// number in base 256, lowest first.
  void read_old_row(std::vector<Rgbe>& row, Rgbe pixel) {
    int shift = 0;
    for (size_t x = 0;;) {
      if (pixel[0] == 1 && pixel[1] == 1 && pixel[2] == 1) {
        const size_t n = shift <= 24 ? size_t{pixel[3]} << shift : row.size() + 1;
        if (x == 0 || n > row.size() - x) fail_in_row("has a run that goes beyond it");
        for (size_t i = 0; i < n; ++i, ++x) row[x] = row[x - 1];
        shift += 8;
      } else {
        row[x++] = pixel;
        shift = 0;
      }
      if (x == row.size()) return;
      pixel = {byte(), byte(), byte(), byte()};
    }
  }

  const uint8_t* bytes_;
  size_t n_bytes_;
  const std::string& name_;
  const ImageLimits& limits_;
  size_t at_ = 0;
  int width_ = 0, height_ = 0, row_ = 0;
};

}  // namespace

ImageF decode_hdr(const uint8_t* bytes, size_t n_bytes, const std::string& name, const ImageLimits& limits) {
  if (n_bytes == 0)
    throw UserError(cat(name, ": the file is empty; a Radiance picture (.hdr) was expected."));
  return HdrReader(bytes, n_bytes, name, limits).read();
}

ImageF read_hdr(const std::string& path, const ImageLimits& limits) {
  const std::string bytes = read_whole_file(path);
  return decode_hdr(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), path, limits);
}

}  // namespace t3d::io
