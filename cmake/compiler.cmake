# The language standard, warnings, sanitizers and compiler cache that all targets share.
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
# Release keeps -O2: kernels that profit from -O3 ask for it file by file. NDEBUG stays off in no build
# type that users run: our own checks are T3D_CHECK, which never go away.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")

find_program(T3D_CCACHE ccache)
if(T3D_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${T3D_CCACHE})
endif()

add_library(t3d_flags INTERFACE)
target_compile_options(t3d_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wno-unknown-pragmas>
  # T3D_CHECK names a file as the checkout does: what is installed knows no folder of the machine that built it.
  $<$<COMPILE_LANGUAGE:CXX>:-fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=>
  $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=>)
if(T3D_SANITIZE)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${T3D_SANITIZE}> $<$<COMPILE_LANGUAGE:CXX>:-fno-omit-frame-pointer>)
  add_link_options(-fsanitize=${T3D_SANITIZE})
  if(T3D_SANITIZE MATCHES "undefined")
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize-recover=undefined>)
  endif()
endif()
