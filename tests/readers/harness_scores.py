# SPDX-License-Identifier: Apache-2.0
"""What lm-evaluation-harness's own Transformers backend (HFLM) says to the demo's tasks: the oracle of our scoring.

usage: python tests/readers/harness_scores.py MODEL OUT.json [--dtype float32] [--batch 16] [--threads 1]
                                              [--tasks NAME ..] [--max-length N] [--data FOLDER]
Writes log-likelihoods, greedy flags and accuracies, requests in the order of the request file, and the seconds that
the backend took. `tests/oracle/demo_requests.json` was made by it with its defaults.
"""
import argparse
import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
TASKS = ROOT / "experiments" / "demo" / "tasks"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tasks", nargs="+", default=["next_sentence", "last_word"])
    parser.add_argument("--max-length", type=int)
    parser.add_argument("--data", default=str(TASKS))
    options = parser.parse_args()

    from analysis import harness
    lm_eval, _, HFLM, TaskManager = harness.import_harness("")
    import torch
    from lm_eval.evaluator import simple_evaluate
    torch.set_num_threads(options.threads)
    manager = TaskManager(include_path=str(TASKS), include_defaults=False)
    tasks = [harness.load_task(manager, name, {None: Path(options.data)}) for name in options.tasks]
    model = HFLM(pretrained=options.model, dtype=options.dtype, batch_size=options.batch, device="cpu",
                 max_length=options.max_length)
    scoring, seconds = model._loglikelihood_tokens, 0.0

    def timed(*arguments, **words):
        nonlocal seconds
        start = time.perf_counter()
        try:
            return scoring(*arguments, **words)
        finally:
            seconds += time.perf_counter() - start

    model._loglikelihood_tokens = timed
    found = simple_evaluate(model=model, tasks=tasks, log_samples=True, bootstrap_iters=2)
    result = {"harness": f"lm-eval {lm_eval.__version__}", "dtype": options.dtype, "seconds": seconds,
              "log_likelihood": [], "greedy": [], "tasks": {}}
    for name in options.tasks:
        for sample in sorted(found["samples"][name], key=lambda s: s["doc_id"]):
            for (value, greedy), in sample["resps"]:
                result["log_likelihood"].append(round(float(value), 6))
                result["greedy"].append(int(greedy))
        result["tasks"][name] = {key.split(",")[0]: value for key, value in found["results"][name].items()
                                 if key.split(",")[0] in ("acc", "acc_norm", "acc_stderr", "acc_norm_stderr")
                                 and not isinstance(value, str)}
    Path(options.out).write_text(json.dumps(result) + "\n")
    print(f"{len(result['greedy'])} requests in {seconds:.2f} s, {len(result['greedy']) / seconds:.0f} a second")


if __name__ == "__main__":
    main()
