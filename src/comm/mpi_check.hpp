// SPDX-License-Identifier: Apache-2.0
#pragma once
// Inside comm/ only: every MPI call goes through CONSTRICTOR_MPI.
#include <mpi.h>

namespace constrictor::comm {

/// LibraryError with the call, MPI's own words and the rank, unless `code` is MPI_SUCCESS.
void mpi_check(int code, const char* call);

}  // namespace constrictor::comm

#define CONSTRICTOR_MPI(call) ::constrictor::comm::mpi_check((call), #call)
