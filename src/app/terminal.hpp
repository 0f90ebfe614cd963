// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>

namespace constrictor::app {

/// True when a person sees stdout. Open MPI's mpirun gives ranks a pseudo-terminal even when its
/// own output goes to a file: then mpirun's stdout is what counts.
bool stdout_is_terminal();

/// Width of the terminal, 80 when it is unknown.
std::size_t terminal_columns();

}  // namespace constrictor::app
