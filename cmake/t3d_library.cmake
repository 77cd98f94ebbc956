# libt3d.so: all modules in one shared library, which the program links, a C++ program of one's own, and every
# shared object that --load names. There is one of it in a process, and therefore one table of types
# (docs/design.md). What it needs at its side, configs and models, is found above its own place: core/share_folder.h.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# The version of the C++ interface, which is the library's as well.
file(STRINGS ${PROJECT_SOURCE_DIR}/src/t3d/core/plugin.h T3D_API_VERSION REGEX "^#define T3D_API_VERSION [0-9]+$")
string(REGEX REPLACE "[^0-9]*3D_API_VERSION " "" T3D_API_VERSION "${T3D_API_VERSION}")

# The names of the modules above this call.
function(t3d_module_names RESULT)
  get_property(modules GLOBAL PROPERTY T3D_MODULES)
  list(TRANSFORM modules REPLACE ":.*" "")
  set(${RESULT} ${modules} PARENT_SCOPE)
endfunction()

function(t3d_library)
  t3d_module_names(modules)
  list(TRANSFORM modules PREPEND t3d_)
  set(objects "")
  foreach(module IN LISTS modules)
    list(APPEND objects $<TARGET_OBJECTS:${module}>)
  endforeach()
  add_library(t3d_library SHARED ${objects})
  # Their archives bring the outside libraries along; every object is there already.
  target_link_libraries(t3d_library
    PRIVATE ${modules}
    INTERFACE $<BUILD_INTERFACE:t3d_torch> $<BUILD_INTERFACE:t3d_embree>
              $<INSTALL_INTERFACE:t3d::torch> Eigen3::Eigen nlohmann_json::nlohmann_json)
  target_include_directories(t3d_library INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(t3d_library INTERFACE cxx_std_${CMAKE_CXX_STANDARD})
  # Calls within the library go straight to their function, as in a program.
  target_link_options(t3d_library PRIVATE -Wl,-Bsymbolic-functions)
  set_target_properties(t3d_library PROPERTIES
    OUTPUT_NAME t3d EXPORT_NAME t3d VERSION ${PROJECT_VERSION} SOVERSION ${T3D_API_VERSION} LINKER_LANGUAGE CXX
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR} INSTALL_RPATH "$ORIGIN" INSTALL_RPATH_USE_LINK_PATH ON)
endfunction()

# cmake --install BUILD --prefix P: the program, the library, its headers, find_package(t3d), and share/t3d.
function(t3d_install)
  set(config ${CMAKE_INSTALL_LIBDIR}/cmake/t3d)
  file(RELATIVE_PATH to_library /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
  set_target_properties(t3d PROPERTIES
    INSTALL_RPATH "$ORIGIN/${to_library}" INSTALL_RPATH_USE_LINK_PATH ON BUILD_RPATH_USE_ORIGIN ON)
  install(TARGETS t3d RUNTIME)
  install(TARGETS t3d_library EXPORT t3d LIBRARY)
  # Headers of other libraries' affairs stay at home.
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/src/t3d DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h"
    PATTERN cli EXCLUDE PATTERN embree.h EXCLUDE PATTERN ffmpeg.h EXCLUDE PATTERN image_libraries.h EXCLUDE)
  install(EXPORT t3d NAMESPACE t3d:: FILE t3d-targets.cmake DESTINATION ${config})
  t3d_module_names(T3D_MODULE_NAMES)
  configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/t3d-config.cmake.in ${PROJECT_BINARY_DIR}/t3d-config.cmake
    INSTALL_DESTINATION ${config} NO_SET_AND_CHECK_MACRO)
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/t3d-config-version.cmake COMPATIBILITY SameMinorVersion)
  install(FILES ${PROJECT_BINARY_DIR}/t3d-config.cmake ${PROJECT_BINARY_DIR}/t3d-config-version.cmake
    DESTINATION ${config})
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/configs ${PROJECT_SOURCE_DIR}/models
    DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/t3d)
endfunction()
