# SPDX-License-Identifier: Apache-2.0
"""Text after a prompt: cached keys and values against whole sequences, seeds, the tokenizer, bad input."""

import json

import h5py
import numpy as np
import pytest

from analysis import request_file
from analysis.request_file import Request, Task
from program import ROOT, assert_refused, quantize, run

FLOAT32 = ("--set", "run.products=float32")
PROMPT = list(range(40, 60))


def generated(*arguments, tokens=24, ids=PROMPT):
    result = run("generate", *arguments, "--ids", ",".join(map(str, ids)), "--tokens", tokens)
    assert result.code == 0, result
    return [int(line) for line in result.out.split()]


def is_greedy(subject, ids, vocabulary, folder):
    """Whether `evaluate --requests`, which sees whole sequences, finds every one of these tokens the likeliest."""
    whole = PROMPT + ids
    task = Task("t", "greedy", False, "1", 1, [Request(whole, len(PROMPT), 1, 1, 0, 0, 0, False)])
    with h5py.File(ROOT / "tests/oracle/demo.requests.h5") as file:
        tokenizer = file.attrs["tokenizer_sha256"]
    request_file.write(folder / "t.requests.h5", [task], {"vocab_size": np.int64(vocabulary), "harness": "none",
                                                          "tokenizer_sha256": tokenizer})
    out = [] if len(subject) == 1 else ["--out", folder / "t.h5"]
    result = run("evaluate", *subject, "--requests", folder / "t.requests.h5", *out, *FLOAT32)
    assert result.code == 0, result
    with h5py.File(folder / "t.h5" if out else subject[0] / "requests" / "t.h5") as file:
        return bool(file["greedy"][0])


FAMILIES = ("llama_gqa", "opt_before", "opt_after", "mistral", "qwen2", "qwen3", "gemma2", "gemma3", "mixtral", "qwen3_moe")  # windows of 7 to 10


@pytest.mark.parametrize("family", ("demo", *FAMILIES))
def test_one_by_one_is_the_whole_sequence(tmp_path, family):
    subject = ("--model", ROOT / ("experiments/demo/model" if family == "demo" else f"tests/oracle/{family}"))
    vocabulary = 2048 if family == "demo" else 97
    ids = generated(*subject, *FLOAT32)
    assert len(ids) == 24 and is_greedy(subject, ids, vocabulary, tmp_path)
    assert not is_greedy(subject, ids[:-1] + [(ids[-1] + 1) % vocabulary], vocabulary, tmp_path)


def test_a_run_speaks_with_its_quantized_weights(deck, model, tmp_path):
    quantize(deck, tmp_path / "run")
    ids = generated(tmp_path / "run", *FLOAT32)
    assert is_greedy((tmp_path / "run",), ids, 2048, tmp_path)
    assert ids != generated("--model", model, *FLOAT32)


def test_seeds_top_k_and_stops(model):
    subject = ("--model", model)
    drawn = generated(*subject, "--temperature", "1", "--seed", "7")
    assert drawn == generated(*subject, "--temperature", "1", "--seed", "7")
    assert drawn != generated(*subject, "--temperature", "1", "--seed", "8")
    greedy = generated(*subject)
    assert greedy == generated(*subject, "--temperature", "1", "--top-k", "1") != drawn
    assert generated(*subject, "--stop", greedy[2]) == greedy[:greedy.index(greedy[2]) + 1]


def test_text_in_and_out(model):
    words = ("generate", "--model", model, "--prompt", "It is a", "--tokens", 12)
    result = run(*words)
    assert result.code == 0 and result.out.startswith("It is a") and "12 tokens in" in result.err, result
    told = json.loads(run(*words, "--json").out)
    assert told["text"] + "\n" == result.out and len(told["ids"]) == 12 and told["seed"] == 0


@pytest.mark.parametrize("words, sentence", [
    (("--ids", "1,2,5000"), "token 5000 of the prompt lies outside the model's vocabulary of 2048"),
    (("--ids", "1", "--tokens", "2048"), "the model has 2048 positions"),
    (("--ids", "1,,2"), "--ids takes token ids"),
    (("--ids", "1", "--temperature", "-1"), "--temperature must be at least 0"),
    (("--ids", "1", "--top-k", "-1"), "--top-k must be at least 0"),
    (("--ids", "1", "--set", "run.device=cuda"), "works on the CPU only"),
    (("runs", "--ids", "1"), "either a run folder or --model"),
])
def test_bad_input(model, words, sentence):
    assert_refused(run("generate", "--model", model, *words), 2, sentence)


def test_bad_text_input(model, tmp_path):
    for words, sentence in ((("--model", model), "--prompt"), (("--prompt", "x"), "either a run folder or --model"),
                            ((tmp_path, "--prompt", "x"), "no run folder"),
                            (("--model", tmp_path, "--prompt", "x"), "no such tokenizer"),
                            (("--model", model, "--prompt", "x", "--tokens", "0"), "positive whole number")):
        result = run("generate", *words)
        assert result.code == 2 and sentence in result.err and "Traceback" not in result.err, (words, result)
    result = run("generate", "--model", model, "--ids", "1", ranks=2)
    assert result.code == 2 and "generate works in one process" in result.err, result
