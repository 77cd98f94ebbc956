#pragma once

#include <string>

#include "t3d/core/error.h"

/// What went wrong, in words.
namespace t3d::testing {

/// The message of the error that `act` throws, empty where it throws none. Errors of another kind than
/// `Expected` go on to the test, which they fail.
template <class Expected = Error, class Act>
std::string message_of(const Act& act) {
  try {
    act();
  } catch (const Expected& error) {
    return error.what();
  }
  return "";
}

}  // namespace t3d::testing
