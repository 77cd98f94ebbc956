#include "t3d/train/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "t3d/core/checksum.h"
#include "t3d/core/error.h"
#include "t3d/core/file_calls.h"
#include "t3d/train/csv_log.h"
#include "t3d/train/event_file.h"
#include "tests/support/fault_injection.h"
#include "tests/support/temporary_folder.h"

namespace t3d::train {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::read_text;
using testing::TemporaryFolder;

/// One event, as far as our files use the format.
struct Event {
  int64_t step = 0;
  std::string version, tag, png;
  float value = 0;
  int64_t width = 0, height = 0, colorspace = 0, session_status = 0;
};

/// A strict reader of the record and message formats that shares nothing with the writer.
class Reader {
 public:
  explicit Reader(std::string bytes) : bytes_(std::move(bytes)) {}

  std::vector<Event> events() {
    std::vector<Event> found;
    for (size_t at = 0; at < bytes_.size();) {
      const std::string length = bytes_.substr(at, 8);
      uint64_t n = 0;
      std::memcpy(&n, length.data(), 8);
      check(length, at + 8);
      const std::string message = bytes_.substr(at + 12, n);
      check(message, at + 12 + n);
      at += 16 + n;
      Event event;
      read_event(message, event);
      found.push_back(event);
    }
    return found;
  }

 private:
  void check(const std::string& data, size_t at) {
    uint32_t stored = 0;
    ASSERT_LE(at + 4, bytes_.size());
    std::memcpy(&stored, bytes_.data() + at, 4);
    const uint32_t rotated = stored - 0xa282ead8u;
    EXPECT_EQ((rotated << 15) | (rotated >> 17), crc32c_portable(data.data(), data.size()));
  }

  /// Calls field(number, wire type, integer or bits, bytes) for each field.
  template <class Field>
  static void each_field(const std::string& message, Field&& field) {
    size_t at = 0;
    const auto varint = [&] {
      uint64_t value = 0;
      for (int shift = 0; at < message.size() && shift < 64; shift += 7) {
        const uint8_t byte = static_cast<uint8_t>(message[at++]);
        value |= uint64_t{byte & 0x7fu} << shift;
        if (byte < 0x80) return value;
      }
      ADD_FAILURE() << "broken varint";
      return value;
    };
    while (at < message.size()) {
      const uint64_t key = varint();
      uint64_t bits = 0;
      std::string bytes;
      switch (key & 7) {
        case 0:
          bits = varint();
          break;
        case 1:
          std::memcpy(&bits, message.data() + at, 8), at += 8;
          break;
        case 2:
          bits = varint(), bytes = message.substr(at, bits), at += bits;
          break;
        case 5:
          std::memcpy(&bits, message.data() + at, 4), at += 4;
          break;
        default:
          FAIL() << "wire type " << (key & 7);
      }
      field(static_cast<int>(key >> 3), static_cast<int>(key & 7), bits, bytes);
    }
    EXPECT_EQ(at, message.size());
  }

  static void read_event(const std::string& message, Event& event) {
    each_field(message, [&](int number, int, uint64_t bits, const std::string& bytes) {
      if (number == 1) {
        double wall = 0;
        std::memcpy(&wall, &bits, 8);
        EXPECT_GT(wall, 1.6e9);
      } else if (number == 2) {
        event.step = static_cast<int64_t>(bits);
      } else if (number == 3) {
        event.version = bytes;
      } else if (number == 5) {
        each_field(bytes, [&](int, int, uint64_t, const std::string& value) { read_value(value, event); });
      } else if (number == 7) {
        each_field(bytes, [&](int, int, uint64_t status, const std::string&) {
          event.session_status = static_cast<int64_t>(status);
        });
      } else {
        ADD_FAILURE() << "field " << number;
      }
    });
  }

  static void read_value(const std::string& message, Event& event) {
    each_field(message, [&](int number, int, uint64_t bits, const std::string& bytes) {
      if (number == 1) event.tag = bytes;
      if (number == 2) std::memcpy(&event.value, &bits, 4);
      if (number != 4) return;
      each_field(bytes, [&](int inner, int, uint64_t integer, const std::string& png) {
        if (inner == 1) event.height = static_cast<int64_t>(integer);
        if (inner == 2) event.width = static_cast<int64_t>(integer);
        if (inner == 3) event.colorspace = static_cast<int64_t>(integer);
        if (inner == 4) event.png = png;
      });
    });
  }

  std::string bytes_;
};

TEST(EventFile, HoldsScalarsAndImagesThatAStrictReaderAccepts) {
  const TemporaryFolder folder;
  io::Image8 image(5, 3, 3);
  image.pixels[7] = 200;
  EventFile file(folder.string());
  file.scalar("train/loss", 300, 0.25);
  file.scalar("train/psnr", 1, INFINITY);
  file.image("val/view", int64_t{1} << 40, image);
  file.flush();
  const auto events = Reader(read_text(file.path())).events();
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0].version, "brain.Event:2");
  EXPECT_EQ(events[1].tag, "train/loss");
  EXPECT_EQ(events[1].step, 300);
  EXPECT_EQ(events[1].value, 0.25f);
  EXPECT_EQ(events[2].value, INFINITY);
  EXPECT_EQ(events[3].step, int64_t{1} << 40);
  EXPECT_EQ(events[3].width, 5);
  EXPECT_EQ(events[3].height, 3);
  EXPECT_EQ(events[3].colorspace, 3);
  const auto decoded =
      io::decode_image(reinterpret_cast<const uint8_t*>(events[3].png.data()), events[3].png.size(), "png");
  EXPECT_EQ(decoded.pixels, image.pixels);
}

TEST(EventFile, HasTheNameThatReadersLookFor) {
  const TemporaryFolder folder;
  const EventFile first(folder.string()), second(folder.string());
  EXPECT_THAT(std::filesystem::path(first.path()).filename().string(),
              ::testing::StartsWith("events.out.tfevents."));
  EXPECT_NE(first.path(), second.path());
}

TEST(CsvLog, AddsColumnsAsTheyCome) {
  const TemporaryFolder folder;
  CsvLog log(folder / "metrics.csv");
  log.row(1, {{"train/loss", 0.5}});
  log.row(2, {{"train/loss", 0.1}, {"lr, \"x\"", 1e-3}});
  log.row(3, {{"val/psnr", NAN}});
  log.flush();
  EXPECT_EQ(read_text(folder / "metrics.csv"),
            "epoch,step,train/loss,\"lr, \"\"x\"\"\",val/psnr\n"
            "0,1,0.5,,\n"
            "0,2,0.1,0.001,\n"
            "0,3,,,nan\n");
}

TEST(CsvLog, KeepsAllDigits) {
  const TemporaryFolder folder;
  CsvLog log(folder / "metrics.csv");
  const double value = 0.1 + 0.2;
  log.row(1, {{"x", value}});
  log.flush();
  EXPECT_EQ(std::stod(parse_csv(read_text(folder / "metrics.csv"))[1][2]), value);
}

TEST(CsvLog, KeepsTheEarlierTableWhenAddingAColumnFails) {
  int n_calls = 0;
  for (int n = 1; n <= 12; ++n) {
    const TemporaryFolder folder;
    CsvLog log(folder / "metrics.csv");
    log.row(1, {{"a", 1}});
    log.flush();
    try {
      const testing::FaultInjection injection(testing::Fault::FailFromThere, n);
      log.row(2, {{"b", 2}});
      log.flush();
    } catch (const SystemError&) {
      ++n_calls;
    }
    EXPECT_THAT(read_text(folder / "metrics.csv"),
                ::testing::AllOf(::testing::StartsWith("epoch,step,a"), HasSubstr("\n0,1,1")));
  }
  EXPECT_GT(n_calls, 5);
}

TEST(CsvLog, CutsBackHalfARowWhenTheDiskIsFull) {
  const TemporaryFolder folder;
  CsvLog log(folder / "metrics.csv");
  log.row(1, {{"a", 1}});
  log.flush();
  log.row(2, {{"a", 2}});
  {
    static int n_writes;
    n_writes = 0;
    const testing::FaultInjection restores_the_calls_at_its_end;
    file_calls().write = [](int fd, const void* data, size_t n_bytes) -> ssize_t {
      if (++n_writes == 1) return ::write(fd, data, std::min<size_t>(n_bytes, 3));
      errno = ENOSPC;
      return -1;
    };
    EXPECT_THROW(log.flush(), SystemError);
  }
  log.row(3, {{"a", 3}});
  log.flush();
  EXPECT_EQ(read_text(folder / "metrics.csv"), "epoch,step,a\n0,1,1\n0,3,3\n");
}

TEST(Metrics, NumbersVersionsAndWritesBothFormats) {
  const TemporaryFolder folder;
  for (int run = 0; run < 2; ++run) {
    Metrics metrics(folder.string());
    metrics.log(10, {{"loss", 0.5}, {"psnr", 20}});
    metrics.flush();
    EXPECT_EQ(metrics.csv_path(), folder / ("csv_logs/version_" + std::to_string(run) + "/metrics.csv"));
    EXPECT_EQ(Reader(read_text(metrics.event_path())).events().size(), 3u);
  }
}

TEST(Metrics, ResumingDropsWhatCameAfterTheCheckpoint) {
  const TemporaryFolder folder;
  std::string csv;
  {
    Metrics metrics(folder.string());
    for (const int64_t step : {100, 200, 300}) metrics.log(step, {{"loss", 1.0 / static_cast<double>(step)}});
    csv = metrics.csv_path();
  }
  testing::write_text(csv, read_text(csv) + "0,40");  // a row that a killed process did not finish
  {
    Metrics metrics(folder.string(), 200);
    EXPECT_EQ(metrics.csv_path(), csv);
    metrics.log(300, {{"loss", 7}});
    metrics.flush();
    const auto events = Reader(read_text(metrics.event_path())).events();
    ASSERT_EQ(events.size(), 3u);
    EXPECT_EQ(events[1].session_status, 1);
    EXPECT_EQ(events[1].step, 201) << "TensorBoard drops what earlier files hold from here on";
  }
  EXPECT_EQ(read_text(csv), "epoch,step,loss\n0,100,0.01\n0,200,0.005\n0,300,7\n");
}

TEST(Metrics, ResumingWithoutEarlierLogsStartsThem) {
  const TemporaryFolder folder;
  Metrics metrics(folder.string(), 500);
  metrics.log(600, {{"loss", 1}});
  metrics.flush();
  EXPECT_EQ(read_text(metrics.csv_path()), "epoch,step,loss\n0,600,1\n");
}

TEST(Metrics, RefusesATableThatIsNotOurs) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "csv_logs/version_0");
  testing::write_text(folder / "csv_logs/version_0/metrics.csv", "a,b\n1,2\n");
  EXPECT_THROW(Metrics(folder.string(), 5), UserError);
}

}  // namespace
}  // namespace t3d::train
