# SPDX-License-Identifier: Apache-2.0

# unit_<module>: all tests/unit/<module>/*.cpp in one executable without MPI; skipped when there is none.
function(constrictor_add_unit_test MODULE)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/unit/${MODULE}/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(unit_${MODULE} ${sources})
  target_link_libraries(unit_${MODULE} PRIVATE constrictor_${MODULE} constrictor_flags GTest::gtest_main)
  target_compile_definitions(unit_${MODULE} PRIVATE CONSTRICTOR_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  if(MODULE STREQUAL quant OR MODULE STREQUAL hessian OR MODULE STREQUAL model OR MODULE STREQUAL eval)
    target_link_libraries(unit_${MODULE} PRIVATE constrictor_io constrictor_hessian constrictor_model)   # golden data are HDF5 and safetensors
  endif()
  add_dependencies(units unit_${MODULE})
  add_test(NAME unit_${MODULE} COMMAND unit_${MODULE})
  set_tests_properties(unit_${MODULE} PROPERTIES TIMEOUT 300 LABELS unit ENVIRONMENT OMP_WAIT_POLICY=passive)
endfunction()

# constrictor_add_mpi_test(NAME RANKS 1 2 3 USES modules): tests/NAME/*.cpp under mpirun, NAME_np<k> each.
function(constrictor_add_mpi_test NAME)
  cmake_parse_arguments(T "" "" "RANKS;USES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${NAME}/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(test_${NAME} ${sources} mpi_main.cpp)
  list(TRANSFORM T_USES PREPEND constrictor_)
  target_link_libraries(test_${NAME} PRIVATE ${T_USES} constrictor_flags GTest::gtest MPI::MPI_CXX)
  target_compile_definitions(test_${NAME} PRIVATE CONSTRICTOR_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  foreach(ranks ${T_RANKS})
    add_test(NAME ${NAME}_np${ranks}
             COMMAND ${MPIEXEC_EXECUTABLE} --oversubscribe ${MPIEXEC_NUMPROC_FLAG} ${ranks} $<TARGET_FILE:test_${NAME}>)
    set_tests_properties(${NAME}_np${ranks} PROPERTIES PROCESSORS ${ranks} TIMEOUT 120 LABELS "mpi;np${ranks}"
      ENVIRONMENT "OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;OMP_NUM_THREADS=1;OMP_WAIT_POLICY=passive")
  endforeach()
endfunction()

# constrictor_add_gpu_tests(LABEL): tests/gpu/*.cpp in one executable, test_gpu; a test <LABEL>_<topic> for each
# <topic>_test.cpp, which runs the suites that the file defines.
function(constrictor_add_gpu_tests LABEL)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/gpu/*.cpp)
  if(CONSTRICTOR_CUDA)
    list(FILTER sources EXCLUDE REGEX "/emulation[a-z_]*\\.cpp$")   # tests of the emulation itself
  endif()
  add_executable(test_gpu ${sources})
  if(CONSTRICTOR_CUDA)
    target_link_libraries(test_gpu PRIVATE CUDA::cudart CUDA::cublas CUDA::cusolver)
  else()
    target_link_libraries(test_gpu PRIVATE constrictor_emulated)
  endif()
  target_link_libraries(test_gpu PRIVATE constrictor_app constrictor_flags GTest::gtest)
  target_compile_definitions(test_gpu PRIVATE CONSTRICTOR_SOURCE_DIR="${CONSTRICTOR_DATA}")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${sources})   # suites may come and go
  foreach(source ${sources})
    get_filename_component(topic ${source} NAME_WE)
    file(STRINGS ${source} lines REGEX "^(TEST|TEST_F|TEST_P|TYPED_TEST)\\(")
    if(NOT topic MATCHES "_test$" OR NOT lines)
      continue()
    endif()
    list(TRANSFORM lines REPLACE "^[A-Z_]*\\(([A-Za-z0-9_]*).*" "\\1")
    list(REMOVE_DUPLICATES lines)
    list(TRANSFORM lines REPLACE "(.+)" "\\1.*:*/\\1.*:\\1/*")
    list(JOIN lines ":" filter)
    string(REPLACE _test "" topic ${topic})
    add_test(NAME ${LABEL}_${topic} COMMAND test_gpu --gtest_filter=${filter})
    set_tests_properties(${LABEL}_${topic} PROPERTIES TIMEOUT 300 LABELS ${LABEL} ENVIRONMENT OMP_WAIT_POLICY=passive
      SKIP_REGULAR_EXPRESSION "no CUDA device here")
  endforeach()
  if(NOT CONSTRICTOR_CUDA)   # all of it again as hardware may do it: late, and in another order
    add_test(NAME ${LABEL}_lazy_and_reversed COMMAND test_gpu --gtest_filter=-Emul*)
    set_tests_properties(${LABEL}_lazy_and_reversed PROPERTIES TIMEOUT 600 LABELS ${LABEL}
      ENVIRONMENT "OMP_WAIT_POLICY=passive;CONSTRICTOR_EMULATED_STREAMS=lazy;CONSTRICTOR_EMULATED_ORDER=reversed")
  endif()
endfunction()

# constrictor_add_gpu_mpi_tests(LABEL): tests/gpu_mpi/*.cpp in one executable, test_gpu_mpi, under mpirun with a device
# for each rank.
function(constrictor_add_gpu_mpi_tests LABEL)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/gpu_mpi/*.cpp)
  add_executable(test_gpu_mpi ${sources} mpi_main.cpp)
  if(CONSTRICTOR_CUDA)
    target_link_libraries(test_gpu_mpi PRIVATE CUDA::cudart)
  else()
    target_link_libraries(test_gpu_mpi PRIVATE constrictor_emulated)
  endif()
  target_link_libraries(test_gpu_mpi PRIVATE constrictor_app constrictor_flags GTest::gtest MPI::MPI_CXX)
  set(environment "OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;OMP_NUM_THREADS=1;OMP_WAIT_POLICY=passive")
  foreach(ranks 1 2 3)
    add_test(NAME ${LABEL}_mpi_np${ranks}
             COMMAND ${MPIEXEC_EXECUTABLE} --oversubscribe ${MPIEXEC_NUMPROC_FLAG} ${ranks} $<TARGET_FILE:test_gpu_mpi>)
    set_tests_properties(${LABEL}_mpi_np${ranks} PROPERTIES PROCESSORS ${ranks} TIMEOUT 120 LABELS ${LABEL}
      ENVIRONMENT "${environment};CONSTRICTOR_EMULATED_DEVICES=${ranks}" SKIP_REGULAR_EXPRESSION "no CUDA device here")
  endforeach()
  # A launcher that lets the others live, so that they have to notice by themselves.
  add_test(NAME ${LABEL}_mpi_rank_death
           COMMAND ${MPIEXEC_EXECUTABLE} --oversubscribe --mca orte_enable_recovery 1 ${MPIEXEC_NUMPROC_FLAG} 2 $<TARGET_FILE:test_gpu_mpi>
                   --gtest_also_run_disabled_tests --gtest_filter=DeviceRanks.DISABLED_ARankThatDiesIsNoticed)
  set_tests_properties(${LABEL}_mpi_rank_death PROPERTIES PROCESSORS 2 TIMEOUT 60 LABELS ${LABEL}
    ENVIRONMENT "${environment};CONSTRICTOR_EMULATED_DEVICES=2" SKIP_REGULAR_EXPRESSION "no CUDA device here"
    PASS_REGULAR_EXPRESSION "after less than 30 s: [^\n]*rank 1 on [^\n]* has died")
endfunction()
