# SPDX-License-Identifier: Apache-2.0
"""Request files and `constrictor tasks` without lm-evaluation-harness (tests/readers has the rest); scores in tables."""

import sys

import h5py
import numpy as np
import pytest

from analysis import load, request_file, tasks
from analysis.__main__ import main
from analysis.errors import call
from analysis.request_file import Request, Task

ORACLE = "tests/oracle/demo.requests.h5"


def run(*arguments):
    return call(tasks.main, "constrictor tasks", [str(a) for a in arguments])


def test_equal_requests_are_equal_bytes(tmp_path):
    made = [Task("one", "likeliest", True, "1.0", 1, [Request([5, 6, 7], 2, 4, 4, 0, c, 1, c == 1) for c in (0, 1)]),
            Task("two", "greedy", False, "1.0", 1, [Request([5, 6], 1, 4, 5, 0, 0, 0, False)])]
    for name in ("a.h5", "b.h5"):
        request_file.write(tmp_path / name, made, {"vocab_size": np.int64(9)})
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["offset"][:].tolist() == [0, 3, 6, 8] and file["tokens"][:].tolist() == [5, 6, 7, 5, 6, 7, 5, 6]
        assert file["task"][:].tolist() == [0, 0, 1] and file.attrs["truncated"] == 1
        assert file["tasks/two"].attrs["rule"] == "greedy" and file["tasks/two"].attrs["number"] == 1


def test_the_golden_file_has_the_hash_that_it_says(demo):
    with h5py.File(demo.parents[1] / ORACLE) as file:
        known = {task.attrs["number"]: Task(name, task.attrs["rule"], bool(task.attrs["acc_norm"]), "", 0, [])
                 for name, task in file["tasks"].items()}
        arrays = {name: file[name][:] for name in ("tokens", "offset", *request_file.COLUMNS)}
        assert request_file.sha256_of(arrays, [known[n] for n in sorted(known)]) == file.attrs["requests_sha256"]


@pytest.mark.parametrize("words, sentence", [
    (("--data", "piqa=nowhere.jsonl"), "nowhere.jsonl does not exist"),
    (("--data", "boolq=x"), "'boolq' is not among --tasks (piqa)"),
    (("--limit", "0"), "invalid positive whole number value: '0'"),
])
def test_bad_command_lines(words, sentence, tmp_path, capsys):
    assert run("build", "--tokenizer", tmp_path, "--tasks", "piqa", "--out", tmp_path / "o", *words) == 2
    assert sentence in capsys.readouterr().err


def test_without_the_harness_one_sentence_says_how_to_get_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    assert run("build", "--tokenizer", tmp_path, "--tasks", "paper", "--out", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "cannot be imported" in said and "pip install torch transformers lm-eval" in said


def test_accuracies_stand_in_tables(make_run, tmp_path, capsys):
    run_dir = make_run("runs/a")
    (run_dir / "requests").mkdir()
    for name, task, scores in (("x", "piqa", {"acc": 0.5, "acc_norm": 0.75}), ("y", "lambada_openai", {"acc": 0.2}),
                               ("z", "lambada_standard", {"acc": 0.1}), ("q.unfinished", "boolq", {"acc": 1.0})):
        with h5py.File(run_dir / "requests" / f"{name}.h5", "w") as file:
            file.create_group(f"tasks/{task}").attrs.update({"documents": 4, "acc_stderr": 0.1} | scores)
    results = load(run_dir)
    assert results.tasks["task"].tolist() == ["piqa", "lambada_openai", "lambada_standard"]
    row = results.runs.iloc[0]
    assert row["zero_shot"] == pytest.approx((0.75 + 0.15) / 2) and row["acc"] == pytest.approx((0.5 + 0.15) / 2)
    assert call(main, "analysis", ["table", str(run_dir)]) == 0
    said = capsys.readouterr().out
    assert "zero-shot (%)" in said and "45.0" in said
