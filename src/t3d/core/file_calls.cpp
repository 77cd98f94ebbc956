#include "t3d/core/file_calls.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "t3d/core/error.h"

namespace t3d {
namespace {

// RENAME_EXCHANGE of renameat2(2); the number is the kernel's, older C libraries do not name it.
constexpr unsigned kRenameExchange = 2;

int exchange_paths(const char* a, const char* b) {
  return static_cast<int>(syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, kRenameExchange));
}

int open_path(const char* path, int flags, mode_t mode) {
  return ::open(path, flags, mode);
}

}  // namespace

FileCalls system_file_calls() {
  return {open_path, ::write,        ::ftruncate, ::fsync, ::close,
          ::rename,  exchange_paths, ::unlink,    ::mkdir, ::rmdir};
}

FileCalls& file_calls() {
  static FileCalls calls = system_file_calls();
  return calls;
}

int open_for_writing(const std::string& path, int flags) {
  int fd = -1;
  do {
    fd = file_calls().open(path.c_str(), flags | O_CLOEXEC, 0666);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0)
    throw SystemError(
        cat(path, ": cannot be written", errno_text(), ". Choose another place, or check the permissions."));
  return fd;
}

void write_all(int fd, const void* data, size_t n_bytes, const std::string& path) {
  const char* bytes = static_cast<const char*>(data);
  while (n_bytes > 0) {
    // Linux writes at most 2^31 - 4096 bytes at once; smaller pieces also let a signal through.
    const ssize_t n = file_calls().write(fd, bytes, std::min<size_t>(n_bytes, size_t{64} << 20));
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) errno = ENOSPC;
    if (n <= 0)
      throw SystemError(cat(path, ": writing failed with ", n_bytes, " bytes to go", errno_text(),
                            ". What was there before is unchanged; make room and run again."));
    bytes += n;
    n_bytes -= static_cast<size_t>(n);
  }
}

void append_all(int fd, const void* data, size_t n_bytes, const std::string& path) {
  const off_t size = lseek(fd, 0, SEEK_END);
  try {
    write_all(fd, data, n_bytes, path);
  } catch (const SystemError&) {
    if (size >= 0) file_calls().truncate(fd, size);
    throw;
  }
}

void sync_file(int fd, const std::string& path) {
  int result = 0;
  do {
    result = file_calls().sync(fd);
  } while (result != 0 && errno == EINTR);
  if (result != 0)
    throw SystemError(cat(path, ": could not be flushed to the disk", errno_text(),
                          ". What was there before is unchanged; check the disk and run again."));
}

void sync_folder(const std::string& folder) {
  const int fd = open_for_writing(folder, O_RDONLY | O_DIRECTORY);
  int result = 0;
  do {
    result = file_calls().sync(fd);
  } while (result != 0 && errno == EINTR);
  const int failure = errno;
  file_calls().close(fd);
  // Some network file systems cannot flush a folder and say so; their renames are as durable as they get.
  if (result != 0 && failure != EINVAL && failure != ENOTSUP) {
    errno = failure;
    throw SystemError(cat(folder, ": the folder could not be flushed to the disk", errno_text(),
                          ". Check the disk and run again."));
  }
}

std::string folder_of(const std::string& path) {
  const auto slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace t3d
