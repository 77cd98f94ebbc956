# t3d_module(NAME
#   SOURCES files       C++ sources
#   CUDA    files       .cu sources, compiled only where LibTorch has CUDA
#   SIMD    files       sources built with -O3 -ffast-math and per-CPU clones: kernels only
#   TESTS   files       GoogleTest sources; together they become the program test_NAME
#   TEST_LIBS targets   what the tests alone need
#   USES    modules     the modules whose headers this one may include (the modules they use come along)
#   LIBS    targets)    outside libraries, private unless named in PUBLIC_LIBS
#
# A test holds every #include against USES, so that dependencies stay one-way.
set_property(GLOBAL PROPERTY T3D_MODULES "")
set_property(GLOBAL PROPERTY T3D_TEST_PROGRAMS "")

# Programs whose tests are united under T3D_UNITY; the others still reuse names, and are compiled one by one.
set(T3D_UNITED_TESTS test_cli test_run test_system)

# What every test program has, compiled once.
function(t3d_test_support NAME SOURCE)
  if(NOT TARGET ${NAME})
    add_library(${NAME} OBJECT ${PROJECT_SOURCE_DIR}/tests/support/${SOURCE})
    target_include_directories(${NAME} PRIVATE ${PROJECT_SOURCE_DIR})
    target_compile_definitions(${NAME} PRIVATE T3D_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    target_link_libraries(${NAME} PRIVATE t3d_flags GTest::gtest GTest::gmock ${ARGN})
  endif()
endfunction()

function(t3d_test_program NAME)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${NAME} ${ARG_SOURCES})
  target_include_directories(${NAME} PRIVATE ${PROJECT_SOURCE_DIR})
  t3d_test_support(t3d_test_main test_main.cpp)
  target_link_libraries(${NAME} PRIVATE t3d_test_main ${ARG_LIBS} t3d_flags t3d_core GTest::gtest GTest::gmock)
  target_compile_definitions(${NAME} PRIVATE T3D_SOURCE_DIR="${PROJECT_SOURCE_DIR}" T3D_BINARY_DIR="${PROJECT_BINARY_DIR}")
  if(NAME IN_LIST T3D_UNITED_TESTS)
    t3d_unite(${NAME})
  endif()
  add_test(NAME ${NAME} COMMAND ${NAME} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_property(GLOBAL APPEND PROPERTY T3D_TEST_PROGRAMS ${NAME})
endfunction()

# Several sources in one go, where T3D_UNITY asks for it: most of a small file's time is LibTorch's headers.
# Files of one module, and tests of one united program, therefore don't reuse names at namespace scope.
function(t3d_unite TARGET)
  if(T3D_UNITY)
    set_target_properties(${TARGET} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 5)
  endif()
endfunction()

function(t3d_module NAME)
  cmake_parse_arguments(ARG "" "" "SOURCES;CUDA;SIMD;TESTS;TEST_LIBS;USES;LIBS;PUBLIC_LIBS" ${ARGN})
  add_library(t3d_${NAME} STATIC ${ARG_SOURCES} ${ARG_SIMD})
  target_include_directories(t3d_${NAME} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(t3d_${NAME} PUBLIC ${ARG_PUBLIC_LIBS} PRIVATE t3d_flags ${ARG_LIBS})
  foreach(module IN LISTS ARG_USES)
    target_link_libraries(t3d_${NAME} PUBLIC t3d_${module})
  endforeach()
  t3d_unite(t3d_${NAME})
  if(ARG_SIMD)
    set_source_files_properties(${ARG_SIMD} PROPERTIES COMPILE_OPTIONS "-O3;-ffast-math;-fno-math-errno")
  endif()
  if(T3D_CUDA AND ARG_CUDA)
    target_sources(t3d_${NAME} PRIVATE ${ARG_CUDA})
    # CMake 3.31 and newer unite .cu files too; each kernel file has constants and helpers of its own names.
    set_source_files_properties(${ARG_CUDA} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
  if(T3D_BUILD_TESTS AND ARG_TESTS)
    if("t3d_torch" IN_LIST ARG_PUBLIC_LIBS OR "io" IN_LIST ARG_USES OR "ops" IN_LIST ARG_USES)
      t3d_test_support(t3d_seeded_tests seeded_tests.cpp t3d_torch)
      list(APPEND ARG_TEST_LIBS t3d_seeded_tests)
    endif()
    t3d_test_program(test_${NAME} SOURCES ${ARG_TESTS} LIBS t3d_${NAME} ${ARG_LIBS} ${ARG_TEST_LIBS})
  endif()
  string(REPLACE ";" " " uses "${ARG_USES}")
  set_property(GLOBAL APPEND PROPERTY T3D_MODULES "${NAME}: ${uses}")
endfunction()

# Writes what the include test and "t3d test" read: modules.txt and tests.txt in the build folder.
function(t3d_write_module_graph)
  get_property(modules GLOBAL PROPERTY T3D_MODULES)
  set(text "")
  foreach(entry IN LISTS modules)
    string(APPEND text "${entry}\n")
  endforeach()
  get_property(tests GLOBAL PROPERTY T3D_TEST_PROGRAMS)
  set(lines "")
  foreach(test IN LISTS tests)
    string(APPEND lines "$<TARGET_FILE:${test}>\n")
  endforeach()
  file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/modules.txt CONTENT "${text}")
  file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/tests.txt CONTENT "${lines}")
endfunction()
