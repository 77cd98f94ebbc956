# What t3d cannot be built without. All that is missing is named at once, so that one look at the package manager
# is enough.
set(T3D_MISSING "")

# t3d_required(FOUND WHAT PACKAGE): FOUND names a variable that is true when WHAT was found.
macro(t3d_required FOUND WHAT PACKAGE)
  if(NOT ${FOUND})
    string(APPEND T3D_MISSING "\n  ${WHAT} (on Debian and Ubuntu ${PACKAGE})")
  endif()
endmacro()

macro(t3d_stop_if_missing)
  if(T3D_MISSING)
    message(FATAL_ERROR "t3d needs these, which CMake did not find:${T3D_MISSING}\n"
      "Install them, or name their prefixes in CMAKE_PREFIX_PATH, and configure again.")
  endif()
endmacro()
