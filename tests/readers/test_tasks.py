# SPDX-License-Identifier: Apache-2.0
"""`constrictor tasks build` and our answers against lm-evaluation-harness itself. `make test-readers` installs it; skipped
without. The data of the paper's tasks are made up here, in the columns that the hub's data sets have."""

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: `make test-readers` does it")
pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed: `make test-readers` does it")

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "regress")]

from analysis import tasks  # noqa: E402
from analysis.errors import call  # noqa: E402
from program import run  # noqa: E402

DEMO = ROOT / "experiments" / "demo"
YAML = [str(DEMO / "tasks" / f"{name}.yaml") for name in ("next_sentence", "last_word")]
TEXT = "It was a very fine day. "
PAPER = {
    "piqa": ("validation", [{"goal": TEXT, "sol1": "walk", "sol2": "not walk at all", "label": i % 2} for i in range(3)]),
    "hellaswag": ("validation", [{"activity_label": "Walking", "ctx_a": TEXT, "ctx_b": "she", "ind": i, "label": str(i),
                                  "endings": ["walks.", "[substeps] sits down.", "is.", "was there."]} for i in range(3)]),
    "arc_easy": ("test", [{"question": "What is fine?", "choices": {"text": ["day", "night", "it"], "label": list("ABC")},
                           "answerKey": "B"}]),
    "arc_challenge": ("test", [{"question": "What is it?", "choices": {"text": ["a day", "a walk"], "label": ["1", "2"]},
                                "answerKey": "2"}]),
    "winogrande": ("validation", [{"sentence": "Emma saw Jane because _ was late.", "option1": "Emma", "option2": "Jane",
                                   "answer": str(1 + i)} for i in range(2)]),
    "lambada_openai": ("test", [{"text": "She was very happy to see him"}, {"text": "I do not know what to say"}]),
    "lambada_standard": ("test", [{"text": "she was very happy to see him"}]),
    "openbookqa": ("test", [{"question_stem": "A day is", "choices": {"text": ["long", "short", "fine", "over"],
                                                                    "label": list("ABCD")}, "answerKey": "C"}]),
    "boolq": ("validation", [{"passage": TEXT, "question": "was it fine", "label": i} for i in range(2)]),
}


def build(*arguments):
    return call(tasks.main, "constrictor tasks", ["build", "--tokenizer", str(DEMO / "model"), *map(str, arguments)])


def test_the_golden_request_file_is_made_again(tmp_path):
    assert build("--tasks", "next_sentence", "last_word", "--yaml", *YAML, "--data", DEMO / "tasks",
                 "--out", tmp_path / "a.requests.h5") == 0
    with h5py.File(tmp_path / "a.requests.h5") as made, h5py.File(ROOT / "tests/oracle/demo.requests.h5") as golden:
        assert made.attrs["requests_sha256"] == golden.attrs["requests_sha256"]


@pytest.mark.parametrize("max_length", (None, 24))
def test_answers_equal_those_of_the_transformers_backend(tmp_path, max_length):
    """With 24 positions most contexts lose their begin."""
    cut = [] if max_length is None else ["--max-length", max_length]
    requests = tmp_path / "a.requests.h5"
    names = ["next_sentence", "last_word"]
    if max_length:  # next_sentence has continuations that are longer than that
        names = ["last_word"]
    assert build("--tasks", *names, "--yaml", *YAML, "--data", DEMO / "tasks", "--out", requests, *cut) == 0
    result = run("evaluate", "--model", DEMO / "model", "--requests", requests, "--out", tmp_path / "ours.h5", "--set",
                 "run.products=float32")
    assert result.code == 0, result
    subprocess.run([sys.executable, ROOT / "tests/readers/harness_scores.py", DEMO / "model", tmp_path / "theirs.json",
                    "--tasks", *names, *map(str, cut)], check=True, capture_output=True)
    theirs = json.loads((tmp_path / "theirs.json").read_text())
    with h5py.File(tmp_path / "ours.h5") as ours:
        np.testing.assert_allclose(ours["log_likelihood"][:], theirs["log_likelihood"], rtol=2e-6, atol=2e-4)
        assert ours["greedy"][:].tolist() == theirs["greedy"]
        assert (ours.attrs["truncated"] > 0) == (max_length is not None)
        for task, scores in theirs["tasks"].items():
            assert {key: ours[f"tasks/{task}"].attrs[key] for key in scores} == pytest.approx(scores, abs=1e-12)


def test_the_papers_tasks_on_local_files(tmp_path):
    for name, (split, documents) in PAPER.items():
        (tmp_path / "data" / name).mkdir(parents=True)
        lines = "".join(json.dumps(document) + "\n" for document in documents)
        (tmp_path / "data" / name / f"{split}.jsonl").write_text(lines)
    assert build("--tasks", "paper", "--data", tmp_path / "data", "--out", tmp_path / "out") == 0
    files = sorted((tmp_path / "out").glob("*.requests.h5"))
    assert len(files) == 9
    result = run("evaluate", "--model", DEMO / "model", "--requests", *files, "--out", tmp_path / "answers")
    assert result.code == 0 and "of the eight tasks of the TurboBoA protocol" in result.out, result
    with h5py.File(tmp_path / "out" / "winogrande.requests.h5") as file:  # two contexts, one continuation
        assert file["gold"][:].tolist() == [0, 0, 1, 1] and not file["tasks/winogrande"].attrs["acc_norm"]
    with h5py.File(tmp_path / "out" / "hellaswag.requests.h5") as file:
        assert file["tasks/hellaswag"].attrs["acc_norm"] and file["choice"][:4].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("arguments, sentence", [
    (("--tasks", "piqa", "--data", DEMO / "text"), "has no piqa/, piqa.jsonl"),
    (("--tasks", "piqa", "--data", f"piqa={DEMO / 'text'}"), "has no validation.jsonl"),
    (("--tasks", "piqa"), "--data says where the documents lie"),
    (("--tasks", "no_such_task"), "has no such task"),
    (("--tasks", "gsm8k", "--data", f"gsm8k={DEMO / 'tasks' / 'last_word.jsonl'}"), "is of the kind generate_until"),
])
def test_bad_input_is_one_sentence(tmp_path, capsys, arguments, sentence):
    assert build(*arguments, "--out", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert sentence in said and "Traceback" not in said, said
    assert not (tmp_path / "out").exists()
