#include "t3d/train/checkpoint_mark.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <vector>

#include "t3d/core/atomic_file.h"
#include "t3d/core/checksum.h"
#include "t3d/core/error.h"
#include "t3d/core/json_text.h"
#include "t3d/io/safetensors.h"

namespace t3d::train {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxMarkBytes = uint64_t{64} << 20;

std::string first_line(const std::string& body) {
  return cat("t3d checkpoint 1 crc32c ", checksum_text(crc32c(body.data(), body.size())), " bytes ",
             body.size(), "\n");
}

uint32_t checksum_value(const json& text) {
  return static_cast<uint32_t>(std::stoul(text.get<std::string>(), nullptr, 16));
}

/// Size and checksum of a file, read piece by piece; false when it cannot be read.
bool measure(const std::string& path, CheckpointMark::File& file) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  std::vector<char> buffer(size_t{1} << 20);
  ssize_t n = 0;
  file = {};
  while ((n = ::read(fd, buffer.data(), buffer.size())) > 0 || (n < 0 && errno == EINTR)) {
    if (n < 0) continue;
    file.n_bytes += static_cast<uint64_t>(n);
    file.crc32c = crc32c(buffer.data(), static_cast<size_t>(n), file.crc32c);
  }
  const int failure = errno;
  ::close(fd);
  errno = failure;
  return n == 0;
}

/// Which tensor of a damaged file it is, as far as the file can still be opened.
std::string damaged_tensor(const std::string& path, const CheckpointMark& mark) {
  try {
    const io::SafetensorsFile file(path);
    for (const auto& [name, expected] : mark.tensors) {
      const auto bytes = file.bytes(name);
      if (crc32c(bytes.data(), bytes.size()) != expected) return cat(", tensor \"", name, "\"");
    }
  } catch (const Error&) {
    return ", its header";
  }
  return "";
}

}  // namespace

std::string mark_text(const CheckpointMark& mark) {
  json files = json::object(), tensors = json::object();
  for (const auto& [name, file] : mark.files)
    files[name] = {{"bytes", file.n_bytes}, {"crc32c", checksum_text(file.crc32c)}};
  for (const auto& [name, checksum] : mark.tensors) tensors[name] = checksum_text(checksum);
  const std::string body = json_text({{"step", mark.step}, {"files", files}, {"tensors", tensors}});
  return first_line(body) + body;
}

CheckpointMark parse_mark(const std::string& text, const std::string& path) {
  const auto end = text.find('\n');
  const std::string body = end == std::string::npos ? "" : text.substr(end + 1);
  if (end == std::string::npos || text.compare(0, end + 1, first_line(body)) != 0)
    throw UserError(
        cat(path,
            ": its first line does not fit the rest, expected the checksum of it. Use another checkpoint."));
  const json value = parse_json(body, path);
  CheckpointMark mark;
  try {
    mark.step = value.at("step").get<int64_t>();
    for (const auto& [name, file] : value.at("files").items())
      mark.files[name] = {file.at("bytes").get<uint64_t>(), checksum_value(file.at("crc32c"))};
    for (const auto& [name, checksum] : value.at("tensors").items())
      mark.tensors[name] = checksum_value(checksum);
  } catch (const std::exception& failure) {
    // The checksum fits, so another program wrote this.
    throw UserError(
        cat(path, ": expected step, files and tensors: ", failure.what(), ". Use another checkpoint."));
  }
  return mark;
}

std::string compare_with_mark(const std::string& folder, CheckpointMark& mark) {
  const std::string path = folder + "/" + kMarkFile;
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return "no completion mark";
  try {
    mark = parse_mark(read_whole_file(path, kMaxMarkBytes), path);
  } catch (const Error&) {
    return "its completion mark is damaged";
  }
  for (const auto& [name, expected] : mark.files) {
    CheckpointMark::File found;
    if (!measure(folder + "/" + name, found)) return cat(name, " cannot be read", errno_text());
    if (found.n_bytes != expected.n_bytes)
      return cat(name, " has ", found.n_bytes, " bytes, expected ", expected.n_bytes);
    if (found.crc32c != expected.crc32c)
      return cat(
          name, mark.tensors.empty() || name == "state.json" ? "" : damaged_tensor(folder + "/" + name, mark),
          " is damaged: CRC-32C ", checksum_text(found.crc32c), ", expected ",
          checksum_text(expected.crc32c));
  }
  return "";
}

}  // namespace t3d::train
