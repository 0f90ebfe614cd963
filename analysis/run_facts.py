# SPDX-License-Identifier: Apache-2.0
"""One run in one line: its state, its deck, its machine, and what a reader must be told beside its numbers.

Reads run.h5, state.json and log.jsonl, never the block files (they are a hundred times as much), unless the log does not
tell about the layers. A folder that cannot be read gives the state "unreadable" and the reason, so that one broken file
does not hide a table of a thousand runs, and does not vanish from it either.
"""

import json
import re
from pathlib import Path

from analysis.errors import UserError
from analysis.read_results import (load_layers, load_run_and_scores, load_state, task_rows, with_phases,
                                   zero_shot_averages)
from analysis.sweep_runs import resolved_deck

DECK_KEYS = ("method", "bits", "group_size")  # of quant, in the table of runs
KINDS = {  # what a warning is about -> how many of them are told
    "quantized with": "{n} fell back to a simpler method", "needed damping": "{n} needed more damping",
    "always zero": "{n} with dead inputs", "refinement raised": "{n} whose loss rose in refinement",
    "plain rounding": "{n} worse than plain rounding",
}


def run_facts(run_dir):
    """(row of the table of runs, score dicts)"""
    run = Path(run_dir)
    row = {"run": run.name, "run_dir": str(run), "state": "not started", "message": "", "warnings": ()}
    try:
        about, scores = load_run_and_scores(run)
        state = load_state(run)
        log = read_events(run / "log.jsonl")
        row |= zero_shot_averages(task_rows(run))
        row |= {"warnings": tuple(log["warnings"]) if log["layers"] else warnings_of_layers(run)}
    except UserError as error:
        return {**row, "state": "unreadable", "message": str(error)}, []
    row |= deck_facts(about.get("deck", ""))
    if log["widths"]:  # of a budget: what was really chosen, "2.494 bits a weight: ..."
        row["bits"] = log["widths"].split()[0]
    row |= {key: value for key, value in with_phases(about).items() if key not in ("deck", "schema")}
    row |= {key: state[key] for key in ("blocks_done", "blocks", "eta_seconds", "updated") if key in state}
    row["state"] = state.get("state", about.get("state", "not started"))
    row["seconds"] = quantization_seconds(row.get("seconds_by_phase"))
    if row["state"] in ("failed", "preempted", "waiting"):
        row["message"] = state.get("words") or log["last_words"]
    return row, scores


def deck_facts(text):
    """method, bits, group_size and model of a resolved deck; "2*" where layers have bits of their own."""
    deck = resolved_deck(text)
    quant = deck.get("quant") or {}
    facts = {key: quant[key] for key in DECK_KEYS if key in quant}
    overridden = {key for values in (quant.get("layers") or {}).values() for key in values}
    if isinstance(facts.get("bits"), dict):
        facts["bits"] = str(facts["bits"].get("average", ""))
    facts |= {key: facts[key] + "*" for key in overridden & set(facts)}
    if path := (deck.get("model") or {}).get("path"):
        facts["model"] = Path(path).name if Path(path).name != "model" else Path(path).parent.name
    return facts


def quantization_seconds(phases):
    """All phases of the run but those that evaluate."""
    return sum(v for name, v in phases.items() if not name.startswith("eval")) if isinstance(phases, dict) else None


def read_events(path):
    """{"warnings": sentences, each once; "last_words": of a failure; "widths": the choice under a budget; "layers": lines about layers}.

    Lines about layers are most of the file and are counted without being parsed; a half-written last line is ignored."""
    found = {"warnings": {}, "last_words": "", "layers": 0, "widths": ""}
    for line in path.read_text(errors="replace").splitlines() if path.exists() else ():
        if '"event":"layer"' in line:
            found["layers"] += 1
            continue
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if event.get("event") == "warning":
            found["warnings"][event.get("words", "")] = None
        elif event.get("event") == "widths":
            found["widths"] = event.get("words", "")
        elif event.get("event") in ("failed", "preempted"):
            found["last_words"] = event.get("words", "")
    return found


def warnings_of_layers(run):
    """The same sentences from the block files, for runs whose log does not tell (from stored statistics)."""
    if not any((run / "blocks").glob("*.h5")):
        return ()
    words = []
    for layer in load_layers([run]).to_dict("records"):
        name = f"block {layer['block']}, {layer['layer']}: "
        margin = 1e-6 * layer.get("loss_scale", 0)
        before, after, rounding = (layer.get(f"loss_{key}", float("nan")) for key in ("before", "after", "rounding"))
        if layer.get("method_used") != layer.get("method"):
            words.append(f"{name}quantized with {layer['method_used']} instead of {layer['method']}")
        if layer.get("damping_retries", 0) > 0:
            words.append(f"{name}the factorization needed damping {layer['damping']:g}")
        if layer.get("dead_columns", 0) > 0:
            words.append(f"{name}{layer['dead_columns']} inputs are always zero")
        if after > before + margin:
            words.append(f"{name}refinement raised the loss")
        if after > rounding + margin:
            words.append(f"{name}loss is above that of plain rounding")
    return tuple(words)


def warning_words(warnings):
    """"2 layers worse than plain rounding, 1 with dead inputs" from the single sentences."""
    counts = {}
    for sentence in warnings:
        kind = next((kind for kind in KINDS if kind in sentence), None)
        counts[kind] = counts.get(kind, 0) + 1
    layers = [KINDS[kind].format(n=n) for kind, n in counts.items() if kind]
    others = [f"{counts[None]} other warning{'s' * (counts[None] > 1)}"] if None in counts else []
    words = re.sub(r"^(\d+)", lambda m: m[1] + (" layer" if m[1] == "1" else " layers"), ", ".join(layers))
    return ", ".join(filter(None, [words, *others]))


def state_words(row):
    """What stands in a table where a number would: "running, 12 of 32 blocks"; "" when the run is done."""
    state = row.get("state")
    if state == "done":
        return ""
    words = str(state)
    if state in ("running", "preempted") and row.get("blocks") == row.get("blocks"):
        words += f" {row.get('blocks_done', 0):.0f}/{row['blocks']:.0f}" if row.get("blocks") else ""
    return words
