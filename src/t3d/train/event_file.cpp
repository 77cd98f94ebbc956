#include "t3d/train/event_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>

#include "t3d/core/atomic_file.h"
#include "t3d/core/checksum.h"
#include "t3d/core/error.h"
#include "t3d/core/file_calls.h"
#include "t3d/core/log.h"

namespace t3d::train {
namespace {

constexpr size_t kFlushBytes = size_t{1} << 16;

// Protocol-buffer wire format: a key (field number << 3 | wire type), then the value.
enum WireType { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void put_key(std::string& out, int field, WireType type) {
  put_varint(out, static_cast<uint64_t>(field) << 3 | type);
}

void put_integer(std::string& out, int field, int64_t value) {
  put_key(out, field, kVarint);
  put_varint(out, static_cast<uint64_t>(value));
}

void put_bytes(std::string& out, int field, std::string_view bytes) {
  put_key(out, field, kLengthDelimited);
  put_varint(out, bytes.size());
  out += bytes;
}

/// Little-endian, as the format wants it whatever the machine.
void put_fixed(std::string& out, uint64_t bits, int n_bytes) {
  for (int i = 0; i < n_bytes; ++i) out += static_cast<char>(bits >> (8 * i));
}

/// Field 5 of an Event: Summary{ repeated Value value = 1 }.
std::string summary_with(const std::string& value) {
  std::string summary, field;
  put_bytes(summary, 1, value);
  put_bytes(field, 5, summary);
  return field;
}

/// TFRecord's checksum: CRC-32C rotated and offset, so that a checksum of bytes that hold checksums stays
/// good.
uint32_t masked_crc(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes.data(), bytes.size());
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string file_name() {
  static std::atomic<int> counter{0};
  char host[256] = "localhost";
  if (gethostname(host, sizeof host - 1) != 0) std::strcpy(host, "localhost");
  return cat("events.out.tfevents.", static_cast<int64_t>(wall_seconds()), ".", host, ".", getpid(), ".",
             counter++);
}

}  // namespace

EventFile::EventFile(const std::string& folder, std::optional<int64_t> purge_step) {
  make_folders(folder);
  path_ = folder + "/" + file_name();
  fd_ = open_for_writing(path_, O_WRONLY | O_CREAT | O_EXCL | O_APPEND);
  std::string version, session, start;
  put_bytes(version, 3, "brain.Event:2");
  event(0, version);
  if (purge_step) {
    put_integer(start, 1, 1);  // SessionLog{ status = START }
    put_bytes(session, 7, start);
    event(*purge_step, session);
  }
  flush();
}

EventFile::~EventFile() {
  try {
    flush();
  } catch (const Error& failure) {
    log::warning(failure.what());
  }
  file_calls().close(fd_);
}

void EventFile::scalar(const std::string& tag, int64_t step, double value) {
  std::string entry;
  put_bytes(entry, 1, tag);
  put_key(entry, 2, kFixed32);
  const float single = static_cast<float>(value);
  uint32_t bits;
  std::memcpy(&bits, &single, 4);
  put_fixed(entry, bits, 4);
  event(step, summary_with(entry));
}

void EventFile::image(const std::string& tag, int64_t step, const io::Image8& image) {
  const auto png = io::encode_png(image);
  std::string picture, entry;
  put_integer(picture, 1, image.height);
  put_integer(picture, 2, image.width);
  put_integer(picture, 3, image.channels);  // 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA
  put_bytes(picture, 4, {reinterpret_cast<const char*>(png.data()), png.size()});
  put_bytes(entry, 1, tag);
  put_bytes(entry, 4, picture);
  event(step, summary_with(entry));
}

void EventFile::event(int64_t step, std::string_view field) {
  std::string message;
  put_key(message, 1, kFixed64);
  const double now = wall_seconds();
  uint64_t bits;
  std::memcpy(&bits, &now, 8);
  put_fixed(message, bits, 8);
  if (step != 0) put_integer(message, 2, step);
  message += field;

  std::string length;
  put_fixed(length, message.size(), 8);
  buffer_ += length;
  put_fixed(buffer_, masked_crc(length), 4);
  buffer_ += message;
  put_fixed(buffer_, masked_crc(message), 4);
  if (buffer_.size() > kFlushBytes) flush();
}

void EventFile::flush() {
  const std::string bytes = std::move(buffer_);
  buffer_.clear();
  if (!bytes.empty()) append_all(fd_, bytes.data(), bytes.size(), path_);
}

}  // namespace t3d::train
