#include "t3d/io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "t3d/core/error.h"

namespace t3d::io {

MappedFile::MappedFile(const std::string& path) : path_(path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info {};
  if (fd < 0 || fstat(fd, &info) != 0 || S_ISDIR(info.st_mode)) {
    if (fd >= 0 && S_ISDIR(info.st_mode)) errno = EISDIR;
    const std::string reason = errno_text();
    if (fd >= 0) ::close(fd);
    throw SystemError(cat(path, ": cannot be read", reason, ". Check the name and the permissions."));
  }
  n_bytes_ = static_cast<size_t>(info.st_size);
  // Private and writable: an in-place operation on a view copies the page instead of ending the process.
  void* address = n_bytes_ == 0
                      ? nullptr
                      : mmap(nullptr, n_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
  const std::string reason = errno_text();
  ::close(fd);
  if (address == MAP_FAILED)
    throw SystemError(cat(path, ": cannot be mapped into memory", reason, ". Copy it to a local disk."));
  data_ = static_cast<char*>(address);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(data_, n_bytes_);
}

void MappedFile::populate(size_t begin, size_t end) const {
#ifdef MADV_POPULATE_READ
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  begin = begin / page * page;
  end = std::min(end, n_bytes_);
  if (data_ != nullptr && begin < end) madvise(data_ + begin, end - begin, MADV_POPULATE_READ);
#else
  static_cast<void>(begin);
  static_cast<void>(end);
#endif
}

void MappedFile::release(size_t begin, size_t end) const {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  begin = (begin + page - 1) / page * page;
  end = std::min(end, n_bytes_) / page * page;
  if (data_ != nullptr && begin < end) madvise(data_ + begin, end - begin, MADV_DONTNEED);
}

}  // namespace t3d::io
