// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

namespace constrictor::comm {

/// MPI from MPI_Init_thread (funneled: only the main thread communicates) to MPI_Finalize. One in
/// main(); every Communicator ends before it.
class MpiSession {
 public:
  MpiSession(int& argc, char**& argv);
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  /// Ends all ranks at once, for failures that only this rank knows of. Does not return.
  [[noreturn]] static void abort(int exit_code);
};

/// "Open MPI v4.1.4", for --version and the record.
std::string mpi_library();

}  // namespace constrictor::comm
