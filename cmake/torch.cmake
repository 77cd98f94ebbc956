# Finds LibTorch: the one in T3D_TORCH (a prefix or its share/cmake folder) first, the system's otherwise.
# Sets T3D_CUDA, and defines the target t3d_torch that carries headers, libraries and T3D_HAS_CUDA.
option(T3D_REQUIRE_CUDA "Fail unless LibTorch has CUDA" OFF)
set(T3D_TORCH "$ENV{T3D_TORCH}" CACHE PATH "Prefix of the LibTorch to use")
if(NOT DEFINED TORCH_CUDA_ARCH_LIST AND NOT DEFINED ENV{TORCH_CUDA_ARCH_LIST})
  set(TORCH_CUDA_ARCH_LIST "8.0;8.6;8.9;9.0")
endif()
if(T3D_TORCH)
  list(PREPEND CMAKE_PREFIX_PATH ${T3D_TORCH} ${T3D_TORCH}/share/cmake)
endif()
find_package(Torch QUIET)
t3d_required(TORCH_LIBRARIES "LibTorch 1.13 or newer, T3D_TORCH names its prefix" libtorch-dev)
find_package(OpenMP QUIET)
t3d_required(OpenMP_CXX_FOUND "OpenMP for the C++ compiler" g++)

# The newest versions' headers are C++20; our sources are C++17 and compile as either.
if(TARGET torch)
  get_target_property(T3D_TORCH_STANDARD torch CXX_STANDARD)
  if(T3D_TORCH_STANDARD AND T3D_TORCH_STANDARD GREATER CMAKE_CXX_STANDARD)
    set(CMAKE_CXX_STANDARD ${T3D_TORCH_STANDARD})
  endif()
endif()

if(TARGET torch_cuda)
  set(T3D_CUDA ON)
else()
  set(T3D_CUDA OFF)
  if(T3D_REQUIRE_CUDA AND TORCH_LIBRARIES)
    message(FATAL_ERROR "LibTorch ${Torch_VERSION} at ${TORCH_INSTALL_PREFIX} has no CUDA; "
      "name one that has in T3D_TORCH (for PyTorch from pip: the output of "
      "python3 -c 'import torch; print(torch.utils.cmake_prefix_path)').")
  endif()
endif()
message(STATUS "LibTorch ${Torch_VERSION} at ${TORCH_INSTALL_PREFIX}, CUDA ${T3D_CUDA}")

add_library(t3d_torch INTERFACE)
target_link_libraries(t3d_torch INTERFACE ${TORCH_LIBRARIES} OpenMP::OpenMP_CXX)
if(T3D_CUDA)
  target_compile_definitions(t3d_torch INTERFACE T3D_HAS_CUDA=1)
endif()

# OpenBLAS's pthread flavour and libgomp's workers fight for the cores; the OpenMP flavour shares them.
# The rpath (not runpath) also reaches libraries that LibTorch loads.
find_path(T3D_OPENBLAS_OPENMP libopenblas.so.0
  PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp NO_DEFAULT_PATH)
if(T3D_OPENBLAS_OPENMP)
  add_link_options(-Wl,--disable-new-dtags -Wl,-rpath,${T3D_OPENBLAS_OPENMP})
endif()
