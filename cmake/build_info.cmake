# SPDX-License-Identifier: Apache-2.0
# Writes core/build_info_values.hpp at every build, so that the git SHA in results is that of the
# sources and not that of the last configuration. The file is touched only when a value changed.
# Included by CMakeLists.txt it makes the target; run as a script (-P) it writes the file.

if(NOT CMAKE_SCRIPT_MODE_FILE)
  set(values ${CMAKE_BINARY_DIR}/generated/core/build_info_values.hpp)
  find_package(Git QUIET)
  set(command ${CMAKE_COMMAND}
      -DSOURCE=${CMAKE_SOURCE_DIR} -DGIT=${GIT_EXECUTABLE} -DVALUES=${values} -DVERSION=${PROJECT_VERSION}
      "-DCOMPILER=${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}" -DBUILD_TYPE=${CMAKE_BUILD_TYPE}
      -P ${CMAKE_SOURCE_DIR}/cmake/build_info.cmake)
  execute_process(COMMAND ${command})   # at once, so that the first build finds it
  add_custom_target(constrictor_build_info COMMAND ${command} BYPRODUCTS ${values} VERBATIM)
  add_dependencies(constrictor_core constrictor_build_info)
  target_include_directories(constrictor_core PRIVATE ${CMAKE_BINARY_DIR}/generated)
  return()
endif()

# A source archive has no .git, and may lie inside somebody else's repository.
set(GIT_SHA unknown)
if(GIT AND EXISTS ${SOURCE}/.git)
  execute_process(COMMAND ${GIT} -C ${SOURCE} rev-parse --short=12 HEAD
                  OUTPUT_VARIABLE sha OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(NOT failed)
    execute_process(COMMAND ${GIT} --no-optional-locks -C ${SOURCE} status --porcelain --untracked-files=no
                    OUTPUT_VARIABLE changes ERROR_QUIET)
    set(GIT_SHA ${sha})
    if(changes)
      string(APPEND GIT_SHA "+")
    endif()
  endif()
endif()
configure_file(${SOURCE}/src/core/build_info_values.hpp.in ${VALUES} @ONLY)
