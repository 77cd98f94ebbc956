#pragma once

#include <string>

namespace t3d {

/// While one lives, the first Ctrl-C (SIGINT) or SIGTERM only sets a flag, so that a loop can save its work
/// and throw Interrupted; a second one ends the process at once with exit code 130. The earlier handlers come
/// back at the end of the scope, unless the signal came: then they stay away until exit. Scopes nest.
class InterruptScope {
 public:
  InterruptScope();
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;
};

/// True once the signal came. Cheap: one relaxed load.
bool interrupt_requested();

/// Throws Interrupted(what_was_saved) when the signal came: a clause such as "nothing was written" or "the
/// work up to step 12 is saved in RUN/ckpts", to which the command line adds how to go on.
void throw_if_interrupted(const std::string& what_was_saved);

/// For tests.
void clear_interrupt_request();

}  // namespace t3d
