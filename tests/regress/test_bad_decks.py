# SPDX-License-Identifier: Apache-2.0
"""Command lines and decks with one mistake: exit code 2, one sentence that names it and what is allowed, nothing created."""

import os

import pytest

from program import assert_refused, quantize_arguments, run

OVERRIDES = {
    "quant.bitz=3": ("--set quant.bitz=3", "unknown key", "bits"),
    "quantt.bits=3": ("--set quantt.bits=3", "unknown key", "quant"),
    "quant.bits=3.5": ("--set quant.bits=3.5", "'3.5' is not an integer"),
    "quant.bits=two": ("'two' is not an integer",),
    "quant.bits=9": ("out of range", "2..8"),
    "quant.bits=": ("has no value", "an integer"),
    "quant.alpha=1.5": ("out of range", "0..1"),
    "quant.alpha=.nan": ("is not a number",),
    "quant.polish=-1": ("--set quant.polish=-1: -1 is out of range", "0..100"),
    "quant.refine_zeros=maybe": ("neither true nor false",),
    "quant.symmetric=yes": ("neither true nor false",),
    "quant.method=awq": ("'awq' is not known", "rtn, gptq, boa, turboboa"),
    "quant.rounding_steps=0": ("quant.rounding_steps", "1..1000000"),
    "quant.rounding_rate=fast": ("quant.rounding_rate", "'fast' is not a number"),
    "quant.rounding_lambda=-1": ("quant.rounding_lambda", "0..1e+06"),
    "quant.column_order=sorted": ("'sorted' is not known", "original, descending, pivoted"),
    "quant.beam=65": ("--set quant.beam=65: 65 is out of range", "1..64"),
    "quant.beam=4": ("quant.beam: 4 needs quant.drift: none or exact", "sequential for self_attn.q_proj"),
    "quant.bits": ("section.key=value expected",),
    "bits=3": ("section.key=value expected",),
    "quant.group_size=33": ("quant.group_size: 33 does not divide the 128 inputs of self_attn.q_proj",),
    "quant.group_size=64": ("quant.group_size: 64 does not divide the 352 inputs of mlp.down_proj",),
    "quant.layers.mlp.downproj.bits=4": ("'mlp.downproj' matches no layer", "mlp.down_proj"),
    "quant.layers.mlp.down_proj.bits=1": ("out of range", "2..8"),
    "calibration.sequences=0": ("out of range", "1 or more"),
    "calibration.sequences=21": ("21 are asked for", "holds 20"),
    "calibration.tokens=/nowhere.tokens.h5": ("/nowhere.tokens.h5", "No such file"),
    "calibration.tokens_sha256=abc": ("calibration.tokens_sha256",),
    "evaluation.tokens=one.h5": ("a list expected",),
    "evaluation.tokens=[/nowhere.tokens.h5]": ("/nowhere.tokens.h5", "No such file"),
    "model.path=/nowhere": ("/nowhere/config.json", "No such file"),
    "run.device=cuda": ("run.device", "without CUDA", "run.device=cpu"),
    "run.device=tpu": ("run.device=tpu", "cpu, cuda"),
    "run.threads=-1": ("out of range",),
}


def refused(deck, tmp_path, settings, *words, ranks=1):
    result = run(*quantize_arguments(deck, tmp_path / "run", settings), ranks=ranks)
    assert_refused(result, 2, *words)
    assert result.out == "" and not (tmp_path / "run").exists()


@pytest.mark.parametrize("assignment", OVERRIDES)
def test_a_wrong_override(deck, tmp_path, assignment):
    result = run("quantize", deck, "--run-dir", tmp_path / "run", "--set", assignment)
    if assignment == "run.device=cuda" and result.code == 0:
        pytest.skip("this build has a GPU")
    assert_refused(result, 2, *OVERRIDES[assignment])
    assert not (tmp_path / "run").exists() and result.out == ""


@pytest.mark.parametrize("assignment", ("quant.bits=9", "quant.group_size=33", "model.path=/nowhere"))
def test_two_ranks_complain_once(deck, tmp_path, assignment):
    key, value = assignment.split("=")
    refused(deck, tmp_path, {key: value}, *OVERRIDES[assignment], ranks=2)


BROKEN = {  # below two lines with the required keys
    "unknown section": ("modell:\n  path: x\n", ("deck.yaml:3", "modell", "unknown key")),
    "unknown key": ("quant:\n  bits: 2\n  group-size: 32\n", ("deck.yaml:5", "quant.group-size", "group_size")),
    "wrong type": ("quant:\n  bits: [2, 3]\n", ("deck.yaml:4", "quant.bits", "is a list")),
    "text for a number": ('quant:\n  bits: "2"\n', ("deck.yaml:4", "quant.bits", "is not an integer")),
    "key twice": ("quant:\n  bits: 2\n  bits: 3\n", ("deck.yaml:5", "quant.bits", "second time")),
    "no YAML": ("quant: {bits: 2\n", ("deck.yaml:", "not YAML")),
    "a tab": ("quant:\n\tbits: 2\n", ("deck.yaml:4", "not YAML")),
    "scalar section": ("quant: 2\n", ("deck.yaml:3", "quant", "section")),
}


@pytest.mark.parametrize("mistake", BROKEN)
def test_a_wrong_deck(tmp_path, mistake):
    text, words = BROKEN[mistake]
    broken = tmp_path / "deck.yaml"
    broken.write_text("model: {path: m}\ncalibration: {tokens: t}\n" + text)
    refused(broken, tmp_path, {}, *words)


def test_decks_that_say_nothing(tmp_path, deck):
    empty = tmp_path / "deck.yaml"
    empty.write_text("")
    refused(empty, tmp_path, {}, empty, "empty")
    empty.write_text("- quant\n")
    refused(empty, tmp_path, {}, "deck.yaml:1", "sections")
    empty.write_text("quant:\n  bits: 2\n")
    refused(empty, tmp_path, {}, "model.path")
    refused(tmp_path / "missing.yaml", tmp_path, {}, "missing.yaml", "No such file")
    refused(tmp_path, tmp_path, {}, tmp_path, "Is a directory")


@pytest.mark.parametrize("arguments, words", [
    (("quantise", "x"), ("'quantise' is no command", "quantize, evaluate, inspect, plan, sweep, status, retry, tokens, tasks, generate, bench, export")),
    (("quantize",), ("a deck is missing", "--help")),
    (("quantize", "a", "b"), ("too many arguments",)),
    (("quantize", "a", "--dryrun"), ("--dryrun", "--help")),
    (("quantize", "a", "--set"), ("--set", "--help")),
    (("evaluate",), ("a run folder or --model",)),
    (("evaluate", "--model", "m"), ("--tokens",)),
    (("evaluate", "/nowhere"), ("/nowhere", "no run folder")),
    (("inspect",), ("a run folder is missing",)),
    (("inspect", "/nowhere"), ("/nowhere/run.h5", "No such file")),
])
def test_a_wrong_command_line(arguments, words):
    result = run(*arguments)
    assert_refused(result, 2, *words)
    assert result.out == ""


@pytest.mark.parametrize("place", ("below a file", "below /proc"))
def test_an_output_folder_that_cannot_be(deck, tmp_path, place):
    (tmp_path / "file").write_text("")
    run_dir = tmp_path / "file" / "run" if place == "below a file" else "/proc/run"
    for ranks in (1, 2):
        assert_refused(run(*quantize_arguments(deck, run_dir, {}), ranks=ranks), 5, run_dir, "cannot be created")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(deck, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    result = run(*quantize_arguments(deck, tmp_path / "locked" / "run", {}))
    assert_refused(result, 5, tmp_path / "locked" / "run", "Permission denied")
