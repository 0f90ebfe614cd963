// SPDX-License-Identifier: Apache-2.0
#include "app/help.hpp"

#include <fmt/format.h>

#include "bench/bench_shapes.hpp"
#include "comm/session.hpp"
#include "core/build_info.hpp"
#include "data/words.hpp"
#include "device/device.hpp"
#include "families/family.hpp"
#include "io/library_version.hpp"
#include "linalg/gemm.hpp"

namespace constrictor::app {

namespace {
constexpr const char* exit_codes = R"(
exit codes
  0   done
  2   bad input: command line, deck, model or token file
  3   not enough memory predicted (quantize --force starts all the same)
  4   numerical failure: NaN, Inf, a factorization that fails whatever the damping
  5   file system: disk full, folder not writable
  75  preempted by SIGTERM or SIGUSR1; run the same command again to go on
  1   anything else
)";
}  // namespace

std::string help_of_all() {
  return std::string(R"(constrictor: post-training quantization of language models

usage: constrictor COMMAND ...

  quantize DECK     model folder + tokens -> quantized blocks in HDF5, perplexity, table
  evaluate RUN      perplexity, KL, zero-shot accuracy of a finished run or of a model (--model)
  export RUN        quantized blocks -> a folder for vLLM, GPTQModel, Transformers
  inspect RUN       what happened to every layer: loss, damping, retries, seconds
  plan SWEEP        every run of a sweep: id, memory, time, disk; starts nothing
  sweep SWEEP       works on the runs of a sweep, here (--local) or as one of many Slurm tasks
  status SWEEP      what is done, running, waiting or failed, and why
  retry SWEEP       lets failed runs run again
  tokens            text -> token file (once, on a login node)
  tasks build       zero-shot tasks -> request files, by lm-evaluation-harness
  generate RUN      text after a prompt, with the quantized weights or a model's (--model)
  bench             seconds and rates of every phase on random blocks of a real model's shape
  --version         versions and what this build can do
  COMMAND --help    options and examples

examples
  constrictor quantize deck.yaml --dry-run
  mpirun -np 4 constrictor quantize deck.yaml --set quant.bits=2
  constrictor sweep sweep.yaml --local -j 2 -np 1
  sbatch --array=0-7 slurm/sweep.sbatch sweep.yaml
)") + exit_codes;
}

std::string help_of_quantize(const std::string& options) {
  return fmt::format(R"(usage: [mpirun -np RANKS] constrictor quantize DECK [options]

Quantizes block by block and evaluates. Every finished block is on disk; running the same
command again goes on where it stopped, on any number of ranks.

{}
examples
  constrictor quantize deck.yaml --dry-run
  mpirun -np 4 constrictor quantize deck.yaml --set quant.bits=2 --set quant.method=gptq
  srun constrictor quantize deck.yaml --run-dir runs/first --set "quant.layers.mlp.down_proj.bits=4"
  constrictor quantize deck.yaml --from-statistics runs/first --set quant.alpha=0.5
{})",
                     options, exit_codes);
}

std::string help_of_evaluate(const std::string& options) {
  return fmt::format(R"(usage: [mpirun -np RANKS] constrictor evaluate RUN [options]
       [mpirun -np RANKS] constrictor evaluate --model FOLDER --tokens FILES [options]
       ... --requests FILES

Perplexity; for runs also KL divergence and top-1 agreement against full precision. A model may be
stored as compressed-tensors or GPTQ codes, by whatever program. The scores of
a run are printed and stored in its run.h5.

With request files: log-likelihoods of their continuations and the accuracies of their tasks, acc
and acc_norm as lm-evaluation-harness has them, in RUN/requests/<name>.h5 (log_likelihood, greedy,
tasks/<task>), linked from run.h5. Sequences of one length go together without padding, equal ones
once; nothing depends on the number of ranks, and a killed evaluation goes on where it was.

{}
examples
  mpirun -np 4 constrictor evaluate runs/first
  constrictor evaluate runs/first --tokens tokens/c4-new.tokens.h5 --set evaluation.kl=false
  constrictor evaluate --model models/Llama-3.2-1B --tokens tokens/wikitext2-test.tokens.h5
  mpirun -np 4 constrictor evaluate runs/first --requests tasks/llama3/*.requests.h5
{})",
                     options, exit_codes);
}

std::string help_of_bench(const std::string& options) {
  std::string shapes;
  for (const std::string& name : bench::shape_names())
    shapes += (shapes.empty() ? "" : ", ") + name;
  return fmt::format(R"(usage: [mpirun -np RANKS] constrictor bench --shape NAME [options]

Quantizes random blocks of a real model's shape and says what every phase took: seconds, rates,
share of the product peak measured in the same run, peak memory, and what that makes of the whole
model. Nothing is read; one file is written for a moment among the temporary ones.

shapes: {}

{}
examples
  constrictor bench --shape demo
  constrictor bench --shape llama-3.2-1b --sequences 2 --length 512 --json bench.json
  constrictor bench --shape llama-3-8b --device cuda --blocks 3 --scaling
{})",
                     shapes, options, exit_codes);
}

std::string help_of_export(const std::string& options) {
  return fmt::format(R"(usage: constrictor export RUN --format FORMAT --to FOLDER [options]

Writes a finished run as a Hugging Face folder:

  compressed-tensors   packed codes for vLLM and Transformers, every width
  gptq                 packed codes for GPTQModel and vLLM; symmetric 4 and 8 bits in the first
                       layout, all else in gptq_v2
  dequantized          plain weights for everything, as large as the model
  all                  all three, in FOLDER/compressed-tensors, ...

Which program opens the result, and which does not and why, is said before anything is written.
What storing the scales in 16 bits changed is in FOLDER/constrictor.json, layer by layer. The
folder has its name only when it is complete; an earlier export of that name is replaced, anything
else is left alone. `constrictor evaluate --model FOLDER` reads all three back.

{}
examples
  constrictor export runs/first --format compressed-tensors --to exported/first
  constrictor export runs/first --format all --to exported/first --model /models/Llama-3.2-1B
{})",
                     options, exit_codes);
}

std::string help_of_inspect() {
  return std::string(R"(usage: constrictor inspect RUN

Prints a run folder: where it comes from, one row per layer (loss relative to the layer's output,
damping, retries, method really used, seconds), and the scores. Works while the run goes on.

example
  constrictor inspect runs/first
)") + exit_codes;
}

namespace {
/// All values of an enum of the deck.
template <class E>
std::string words_of() {
  std::string words;
  for (const auto& [value, word] : EnumWords<E>::table)
    words += (words.empty() ? "" : ", ") + std::string(word);
  return words;
}
}  // namespace

std::string version_text() {
  const BuildInfo& build = build_info();
  return fmt::format(
      "constrictor  {} ({})\ncompiler     {}, {}\nMPI          {}\nHDF5         {}\n"
      "products     {}{}\nCUDA         {}\nprocessor    {}\nfamilies     {}\nmethods      "
      "{}\nexports      {}\n",
      build.version, build.git_sha, build.compiler, build.build_type, comm::mpi_library(),
      io::hdf5_version(), linalg::product_library(),
      linalg::has_native_bfloat16() ? ", bfloat16 on the processor" : ", bfloat16 emulated",
      device::cuda_description(), device::cpu_description(), families::known(), words_of<Method>(),
      "compressed-tensors, gptq, gptq_v2, dequantized");
}

}  // namespace constrictor::app
