# SPDX-License-Identifier: Apache-2.0
# Flags of all our code, and one target per folder.
add_library(constrictor_flags INTERFACE)
target_compile_features(constrictor_flags INTERFACE cxx_std_20)
# No value-changing maths flags: errno and traps do not change a result, and let loops vectorise.
target_compile_options(constrictor_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor
    -fno-math-errno -fno-trapping-math>)
# GCC 12 sees overlapping copies in its own std::string operator+ (GCC bug 105651).
target_compile_options(constrictor_flags INTERFACE $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-Wno-restrict>)
# -std by hand: CMake 3.25 does not know C++20 in CUDA and drops CMAKE_CUDA_STANDARD without a word.
target_compile_options(constrictor_flags INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:-std=c++20 --expt-relaxed-constexpr -Xcompiler=-Wall,-Wextra>)
if(CONSTRICTOR_NATIVE)
  target_compile_options(constrictor_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-march=native>)
endif()
if(CONSTRICTOR_SANITIZE)
  # GCC 12 takes std::regex for uninitialised when it adds its checks (GCC bug 105562).
  target_compile_options(constrictor_flags INTERFACE $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-Wno-maybe-uninitialized>)
  target_compile_options(constrictor_flags INTERFACE -fsanitize=${CONSTRICTOR_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(constrictor_flags INTERFACE -fsanitize=${CONSTRICTOR_SANITIZE})
endif()

# constrictor_module(NAME [FOLDER dir] [BACKEND] [USES modules...] [PACKAGES targets...])
# All *.cpp of the folder. *_gpu.cpp, *_gpu.cu and *_cuda.cpp belong to CUDA builds, *_none.cpp to the others;
# *_onednn.cpp and *_openblas.cpp likewise: callers have no #ifdef. Without CUDA the device's files are collected
# in the global property constrictor_gpu_sources: the tests compile them against an emulated device (tests/emulation).
function(constrictor_module NAME)
  cmake_parse_arguments(M "" "FOLDER" "USES;PACKAGES;CUDA_PACKAGES" ${ARGN})
  set(folder ${CMAKE_SOURCE_DIR}/src/${NAME})
  if(M_FOLDER)
    set(folder ${CMAKE_SOURCE_DIR}/${M_FOLDER})
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "_(gpu|cuda)\\.cpp$")
  file(GLOB gpu_sources CONFIGURE_DEPENDS ${folder}/*_gpu.cpp ${folder}/*_gpu.cu ${folder}/*_cuda.cpp)
  if(CONSTRICTOR_CUDA)
    list(APPEND sources ${gpu_sources})
    list(FILTER sources EXCLUDE REGEX "_none\\.cpp$")
  else()
    set_property(GLOBAL APPEND PROPERTY constrictor_gpu_sources ${gpu_sources})
  endif()
  if(CONSTRICTOR_HAS_ONEDNN)
    list(FILTER sources EXCLUDE REGEX "_openblas\\.cpp$")
  else()
    list(FILTER sources EXCLUDE REGEX "_onednn\\.cpp$")
  endif()
  list(TRANSFORM M_USES PREPEND constrictor_)
  set(scope PUBLIC)
  if(sources)
    add_library(constrictor_${NAME} STATIC ${sources})
    target_link_libraries(constrictor_${NAME} PRIVATE constrictor_flags)
    set(private PRIVATE)
  else()
    add_library(constrictor_${NAME} INTERFACE)
    set(scope INTERFACE)
    set(private INTERFACE)
  endif()
  target_include_directories(constrictor_${NAME} ${scope} ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR})
  target_link_libraries(constrictor_${NAME} ${scope} ${M_USES} OpenMP::OpenMP_CXX ${private} ${M_PACKAGES})
  if(CONSTRICTOR_CUDA)
    target_link_libraries(constrictor_${NAME} ${private} ${M_CUDA_PACKAGES})
  endif()
endfunction()
