#pragma once

#include <chrono>

namespace t3d {

/// Seconds on the monotonic clock, from some moment on: only differences mean anything.
inline double now_s() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

}  // namespace t3d
