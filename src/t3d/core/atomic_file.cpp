#include "t3d/core/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdlib>

#include "t3d/core/error.h"
#include "t3d/core/file_calls.h"

namespace t3d {
namespace {

constexpr size_t kBufferBytes = size_t{1} << 20;

/// Where a chain of symbolic links ends; `path` itself when it is no link or the link leads nowhere.
std::string resolve_link(const std::string& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0 || !S_ISLNK(info.st_mode)) return path;
  char resolved[PATH_MAX];
  return realpath(path.c_str(), resolved) != nullptr ? resolved : path;
}

std::string temporary_beside(const std::string& target) {
  static std::atomic<unsigned> counter{0};
  const std::string name = target.substr(target.find_last_of('/') + 1);
  return cat(folder_of(target), "/.", name, ".", getpid(), ".", counter++, ".tmp");
}

}  // namespace

AtomicFile::AtomicFile(const std::string& path) : path_(path), target_(resolve_link(path)) {
  struct stat info {};
  if (path.empty() || path.back() == '/' || (stat(target_.c_str(), &info) == 0 && !S_ISREG(info.st_mode)))
    throw SystemError(cat("\"", path,
                          "\" is not a name for a file: expected a new name or an existing regular file. "
                          "Choose another name."));
  make_folders(folder_of(target_));
  temporary_ = temporary_beside(target_);
  fd_ = open_for_writing(temporary_, O_WRONLY | O_CREAT | O_EXCL);
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) file_calls().close(fd_);
  if (!is_renamed_) file_calls().remove(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t n_bytes) {
  T3D_CHECK(fd_ >= 0, path_, " is written to after commit()");
  n_bytes_ += n_bytes;
  if (buffer_.size() + n_bytes > kBufferBytes) flush();
  if (n_bytes >= kBufferBytes)
    write_all(fd_, data, n_bytes, path_);
  else
    buffer_.append(static_cast<const char*>(data), n_bytes);
}

void AtomicFile::flush() {
  if (!buffer_.empty()) write_all(fd_, buffer_.data(), buffer_.size(), path_);
  buffer_.clear();
}

void AtomicFile::commit() {
  T3D_CHECK(fd_ >= 0, path_, " is committed twice");
  flush();
  sync_file(fd_, path_);
  const int closing = fd_;
  fd_ = -1;
  // On Linux the descriptor is gone even when close() reports a broken-off call.
  if (file_calls().close(closing) != 0 && errno != EINTR)
    throw SystemError(cat(path_, ": could not be closed", errno_text(), ". Check the disk and run again."));
  if (file_calls().rename(temporary_.c_str(), target_.c_str()) != 0)
    throw SystemError(
        cat(path_, ": could not be put in place", errno_text(), ". Check the permissions of the folder."));
  is_renamed_ = true;
  sync_folder(folder_of(target_));
}

void write_file_atomically(const std::string& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

void make_folders(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return;
    throw SystemError(cat(path, ": is a file, expected a folder. Move it away, or choose another place."));
  }
  const std::string parent = folder_of(path);
  if (parent != path) make_folders(parent);
  if (file_calls().make_folder(path.c_str(), 0777) == 0) return;
  // Another process may have made it in between.
  const int failure = errno;
  if (failure == EEXIST && stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return;
  errno = failure;
  throw SystemError(cat(path, ": the folder cannot be made", errno_text(),
                        ". Choose another place, or check the permissions."));
}

std::string read_whole_file(const std::string& path, uint64_t max_bytes) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info {};
  if (fd < 0 || fstat(fd, &info) != 0 || S_ISDIR(info.st_mode)) {
    if (fd >= 0 && S_ISDIR(info.st_mode)) errno = EISDIR;
    const std::string reason = errno_text();
    if (fd >= 0) ::close(fd);
    throw SystemError(cat(path, ": cannot be read", reason, ". Check the name and the permissions."));
  }
  // Pipes and /proc files announce no size: read until the end, never past the limit.
  std::string bytes;
  ssize_t n = 0;
  do {
    const size_t used = bytes.size();
    const size_t announced = info.st_size > 0 ? static_cast<size_t>(info.st_size) : 0;
    const size_t room = announced > used ? announced - used : size_t{1} << 16;
    if (announced > max_bytes || used > max_bytes) {
      ::close(fd);
      throw UserError(cat(path, ": holds ", announced > used ? announced : used, " bytes, expected at most ",
                          max_bytes, ". It is not the kind of file that belongs here."));
    }
    bytes.resize(used + room);
    do {
      n = ::read(fd, bytes.data() + used, room);
    } while (n < 0 && errno == EINTR);
    bytes.resize(used + static_cast<size_t>(n > 0 ? n : 0));
  } while (n > 0);
  const std::string reason = errno_text();
  ::close(fd);
  if (n < 0) throw SystemError(cat(path, ": reading failed", reason, ". Check the disk."));
  return bytes;
}

}  // namespace t3d
