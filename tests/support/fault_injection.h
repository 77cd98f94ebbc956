#pragma once

/// Makes the file-changing system calls of core/file_calls.h fail on demand.
namespace t3d::testing {

enum class Fault {
  None,           ///< only count
  FailOnce,       ///< call N fails with `error`, the others work
  FailFromThere,  ///< call N and all after it fail with `error`: the disk is full or gone
  ShortWrites,    ///< every write takes at most N bytes
  Interrupted     ///< every second call of a kind that may be broken off fails with EINTR
};

/// While it lives, calls pass through it. One at a time.
class FaultInjection {
 public:
  FaultInjection(Fault fault, int n, int error);
  explicit FaultInjection(Fault fault = Fault::None, int n = 0) : FaultInjection(fault, n, 28 /* ENOSPC */) {}
  ~FaultInjection();
  FaultInjection(const FaultInjection&) = delete;
  FaultInjection& operator=(const FaultInjection&) = delete;

  /// Calls so far.
  int n_calls() const;
};

}  // namespace t3d::testing
