# SPDX-License-Identifier: Apache-2.0
"""Text after a prompt, with a run's quantized weights or a model as it is (`constrictor generate`)."""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from analysis.errors import Parser, UserError, call
from analysis.tasks import positive

HELP = """The likeliest token each time, or, with --temperature, a random one: the same seed draws the same tokens. Keys and
values of earlier tokens are kept, so that a token costs one pass over the weights. One process, on the CPU; all weights
lie in memory. Speaks until --tokens or the model's own end of text.

examples:
  constrictor generate runs/demo/turboboa --prompt "It is a truth"
  constrictor generate --model models/Llama-3.2-1B --prompt "Once" --tokens 200 --temperature 0.8 --top-k 50 --seed 7
  constrictor generate runs/first --ids 1,306,4658 --tokens 8        # token ids in and out, no tokenizer

exit codes: 0 done, 2 bad input, 3 not enough memory, 4 numerical failure"""


def parse(arguments):
    parser = Parser(prog="constrictor generate", description=__doc__, epilog=HELP,
                    formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("run", nargs="?", metavar="RUN", help="a finished run")
    parser.add_argument("--model", metavar="FOLDER", help="a model folder, instead of a run")
    parser.add_argument("--prompt", required=True, metavar="TEXT", help="what the text begins with")
    parser.add_argument("--tokens", type=positive, default=64, metavar="N", help="how many tokens at most (64)")
    parser.add_argument("--temperature", type=float, default=0.0, metavar="T", help="0 = greedy (default)")
    parser.add_argument("--top-k", type=positive, metavar="K", help="draws among the K likeliest tokens only")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers (0)")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="replaces a key of run or model.path")
    parser.add_argument("--json", action="store_true", help="prints one JSON object at the end instead of the text as it comes")
    return parser.parse_args(arguments)


def model_folder(options):
    """Where tokenizer.json lies."""
    if bool(options.run) == bool(options.model):
        raise UserError("either a run folder or --model is needed (--help shows all options)")
    for assignment in options.set:
        if assignment.startswith("model.path="):
            return Path(assignment.split("=", 1)[1])
    if options.model:
        return Path(options.model)
    from analysis.sweep_runs import resolved_deck
    deck = Path(options.run) / "deck.yaml"
    if not deck.is_file():
        raise UserError(f"{options.run}: no run folder (deck.yaml is missing)")
    return Path(resolved_deck(deck.read_text())["model"]["path"])


def end_of_text(folder):
    """Ids that end a text, of generation_config.json, else config.json."""
    for name in ("generation_config.json", "config.json"):
        try:
            ids = json.loads((folder / name).read_text()).get("eos_token_id")
        except (OSError, ValueError):
            continue
        if ids is not None:
            return ids if isinstance(ids, list) else [ids]
    return []


def program_command(options, ids, stops):
    subject = [options.run] if options.run else ["--model", options.model]
    words = [os.environ.get("CONSTRICTOR_PROGRAM", "constrictor"), "generate", *subject, "--ids", ",".join(map(str, ids)),
             "--tokens", str(options.tokens), "--temperature", repr(options.temperature), "--seed", str(options.seed)]
    words += ["--top-k", str(options.top_k)] if options.top_k else []
    words += ["--stop", ",".join(map(str, stops))] if stops else []
    return words + [word for assignment in options.set for word in ("--set", assignment)]


def main(arguments=None):
    options = parse(arguments)
    from analysis.tokens import open_tokenizer
    folder = model_folder(options)
    tokenizer, _, _ = open_tokenizer(folder)
    prompt = tokenizer.encode(options.prompt, add_special_tokens=True).ids
    if not prompt:
        raise UserError("the prompt has no tokens")
    start, ids, shown = time.perf_counter(), [], tokenizer.decode(prompt)
    if not options.json:
        print(shown, end="", flush=True)
    stops = set(end_of_text(folder))
    with subprocess.Popen(program_command(options, prompt, sorted(stops)), stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            ids.append(int(line))
            text = tokenizer.decode(prompt + [i for i in ids if i not in stops])
            if not options.json and not text.endswith("\ufffd"):  # half a character comes with the next token
                print(text[len(shown):], end="", flush=True)
                shown = text
        code = child.wait()
    if code:
        return code
    seconds = time.perf_counter() - start
    how = {"temperature": options.temperature, "top_k": options.top_k or 0, "seed": options.seed}
    if options.json:
        print(json.dumps({"prompt": options.prompt, "text": tokenizer.decode(prompt + [i for i in ids if i not in stops]),
                          "prompt_ids": prompt, "ids": ids, "seconds": round(seconds, 3), **how}, ensure_ascii=False))
    else:
        print()
        words = f"temperature {options.temperature:g}, seed {options.seed}" if options.temperature else "greedy"
        print(f"{len(ids)} tokens in {seconds:.1f} s with loading, {words}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(call(main, "constrictor generate"))
