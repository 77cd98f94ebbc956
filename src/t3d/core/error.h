#pragma once

#include <stdexcept>
#include <string>

#include "t3d/core/text.h"

namespace t3d {

/// What went wrong, and what a person can do about it: one sentence that says where, what was found, what was
/// expected, and what to do next. There is one error channel: functions throw one of the three kinds below.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  /// The process exit code that the command line answers with.
  virtual int exit_code() const = 0;
};

/// The input is wrong: unknown option, malformed mesh, wrong checkpoint. Exit 2.
class UserError : public Error {
 public:
  using Error::Error;
  int exit_code() const override { return 2; }
};

/// The machine said no: missing file, full disk, out of memory. Exit 3.
class SystemError : public Error {
 public:
  using Error::Error;
  int exit_code() const override { return 3; }
};

/// Our own code is wrong. Exit 4.
class BugError : public Error {
 public:
  using Error::Error;
  int exit_code() const override { return 4; }
};

/// A person pressed Ctrl-C and the work so far is saved. Exit 130.
class Interrupted : public Error {
 public:
  using Error::Error;
  int exit_code() const override { return 130; }
};

/// ": No space left on device" for the current errno, to end a SystemError's sentence.
std::string errno_text();

[[noreturn]] void throw_bug(const char* file, int line, const char* condition, const std::string& detail);

}  // namespace t3d

/// Holds in every build type. T3D_CHECK(x.dim() == 2, "x has ", x.dim(), " dimensions");
#define T3D_CHECK(condition, ...)                                                                \
  do {                                                                                           \
    if (!(condition)) ::t3d::throw_bug(__FILE__, __LINE__, #condition, ::t3d::cat(__VA_ARGS__)); \
  } while (false)
