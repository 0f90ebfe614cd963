// SPDX-License-Identifier: Apache-2.0
#include "comm/session.hpp"

#include <cstdlib>
#include <string>
#include <string_view>

#include "comm/mpi_check.hpp"
#include "core/error.hpp"

namespace constrictor::comm {

void mpi_check(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  std::string words(MPI_MAX_ERROR_STRING, '\0');
  int length = 0;
  if (MPI_Error_string(code, words.data(), &length) != MPI_SUCCESS) length = 0;
  words.resize(static_cast<std::size_t>(length));
  throw LibraryError(std::string(call) + ": " + words);
}

MpiSession::MpiSession(int& argc, char**& argv) {
  int provided = MPI_THREAD_SINGLE;
  CONSTRICTOR_MPI(MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided));
  if (provided < MPI_THREAD_FUNNELED)
    throw UserError("this MPI library does not support threads (MPI_THREAD_FUNNELED)");
  CONSTRICTOR_MPI(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
}

MpiSession::~MpiSession() { MPI_Finalize(); }

void MpiSession::abort(int exit_code) {
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::abort();  // MPI_Abort does not return, but is not marked so
}

std::string mpi_library() {
  std::string words(MPI_MAX_LIBRARY_VERSION_STRING, '\0');
  int length = 0;
  CONSTRICTOR_MPI(MPI_Get_library_version(words.data(), &length));
  words.resize(static_cast<std::size_t>(length));
  return words.substr(0, words.find_first_of(std::string_view(",\n\0", 3)));
}

}  // namespace constrictor::comm
