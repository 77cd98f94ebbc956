#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <string>

namespace t3d {

/// Every system call by which the program changes files. Tests put their own functions here to make call
/// number N fail, or to shorten a write; see tests/support/fault_injection.h.
struct FileCalls {
  int (*open)(const char* path, int flags, mode_t mode);
  ssize_t (*write)(int fd, const void* data, size_t n_bytes);
  int (*truncate)(int fd, off_t size);
  int (*sync)(int fd);
  int (*close)(int fd);
  int (*rename)(const char* from, const char* to);
  int (*exchange)(const char* a, const char* b);  ///< swaps two existing paths in one step
  int (*remove)(const char* path);                ///< a file
  int (*make_folder)(const char* path, mode_t mode);
  int (*remove_folder)(const char* path);
};

/// The table in force: the operating system's own calls unless a test replaced them.
FileCalls& file_calls();
FileCalls system_file_calls();

/// Opens for writing, repeating a call that a signal broke off. Throws SystemError naming `path`.
int open_for_writing(const std::string& path, int flags);
/// Writes all bytes: continues short writes and calls that a signal broke off. Throws SystemError.
void write_all(int fd, const void* data, size_t n_bytes, const std::string& path);
/// Adds all bytes to the end of a file opened for appending, or none: after a failure the file is cut back,
/// so that what is appended later does not continue half a record. Throws SystemError.
void append_all(int fd, const void* data, size_t n_bytes, const std::string& path);
/// Flushes what was written to the disk. Throws SystemError.
void sync_file(int fd, const std::string& path);
/// Makes the entries of `folder` (names, renames) last through a power cut. Throws SystemError.
void sync_folder(const std::string& folder);
/// The folder part of `path`: "." when it has none.
std::string folder_of(const std::string& path);

}  // namespace t3d
