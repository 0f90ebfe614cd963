// SPDX-License-Identifier: Apache-2.0
#include "app/help.hpp"

namespace constrictor::app {

std::string help_of_plan(const std::string& options) {
  return R"(usage: constrictor plan SWEEP [options]

Lists every run of a sweep deck with its id and the memory, time and disk that it will need, and
their totals; starts nothing. Once runs of the sweep are finished, the predictions are corrected by
what these took, and it says how far they were off. Two runs with the same id are refused.

)" + options +
         R"(
a sweep deck
  base: ../demo/int2.yaml          a deck, relative to this file; or the deck itself
  axes:                            crossed; the first varies slowest
    - {key: quant.method, values: [gptq, turboboa]}
    - label: ordering              several keys that move together
      keys: [quant.column_order, quant.row_order]
      values: [[original, original], [descending, descending]]
      names: [plain, sorted]       in tables; without them the text of the values
  zip: [[method, bits]]            axes that advance together
  exclude: [{method: gptq, ordering: [sorted]}]
  cell: {ordering: best}           best | mean: axes that share one cell of a table
  table: {rows: [method], columns: [bits], value: perplexity}
                                   how `python -m analysis table` lays it out

  ${NAME} in a path comes from the environment: path: ${MODELS}/Llama-3.2-1B

examples
  constrictor plan sweep.yaml -np 4
  constrictor plan sweep.yaml --json
)";
}

std::string help_of_sweep(const std::string& options) {
  return R"(usage: constrictor sweep SWEEP [options]

Works on the runs of a sweep deck, in the order of `plan`, until none is left. As many of these as
you like may work on one sweep, on any hosts that share its folder: each run is claimed in
<out>/claims, and taken over when its worker dies. A run that is interrupted goes on where it was;
one that fails is left alone until `constrictor retry`. SIGUSR1 or SIGTERM: the runs stop at the
next safe place, exit code 75. What a run prints is in <out>/<run id>/output.txt.

)" + options +
         R"(
examples
  constrictor sweep sweep.yaml --local -j 2 -np 1
  sbatch --array=0-7 slurm/sweep.sbatch sweep.yaml -np 4
)";
}

std::string help_of_status(const std::string& options) {
  return R"(usage: constrictor status SWEEP [options]

What is done, running (block, time to go, where), waiting, or failed and why; hours spent and to go.
Reads state.json files and claims only.

)" + options +
         R"(
examples
  constrictor status sweep.yaml
  constrictor status sweep.yaml --watch
)";
}

std::string help_of_retry(const std::string& options) {
  return R"(usage: constrictor retry SWEEP --failed

Lets runs that failed run again: the next worker (constrictor sweep) takes them. Finished blocks are
kept.

)" + options +
         R"(
example
  constrictor retry sweep.yaml --failed
)";
}

}  // namespace constrictor::app
