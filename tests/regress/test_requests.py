# SPDX-License-Identifier: Apache-2.0
"""Zero-shot requests: the harness's own answers, the same bits on any number of ranks and after a kill, bad files."""

import h5py
import numpy as np
import pytest

from program import assert_refused, finish, kill_all, quantize, run, start, wait_for
from requests_of import GOLDEN, changed_requests, golden_answers


def answer(model, out, *more, requests=GOLDEN, ranks=1):
    result = run("evaluate", "--model", model, "--requests", requests, "--out", out, *more, ranks=ranks)
    assert result.code == 0, result
    return result


@pytest.fixture(scope="module")
def undisturbed(model, tmp_path_factory):
    out = tmp_path_factory.mktemp("answers") / "all.h5"
    answer(model, out)
    return out


def test_answers_are_those_of_the_harness(model, tmp_path):
    said = answer(model, tmp_path / "a.h5", "--set", "run.products=float32").out
    golden = golden_answers()
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_allclose(file["log_likelihood"][:], golden["log_likelihood"], rtol=2e-6, atol=1e-4)
        assert file["greedy"][:].tolist() == golden["greedy"]
        for task, scores in golden["tasks"].items():
            for name, value in scores.items():
                assert file[f"tasks/{task}"].attrs[name] == pytest.approx(value, abs=1e-12), (task, name)
    assert "31.25 ± 6.76 %" in said and "43.75 ± 7.24 %" in said and "26.04 % of 2 tasks" in said


@pytest.mark.parametrize("ranks, rank_tokens, threads", [(2, 65536, 1), (3, 500, 1), (1, 100, 2)])
def test_neither_ranks_nor_batches_change_a_bit(model, undisturbed, tmp_path, ranks, rank_tokens, threads):
    answer(model, tmp_path / "a.h5", "--rank-tokens", rank_tokens, "--set", f"run.threads={threads}", ranks=ranks)
    assert (tmp_path / "a.h5").read_bytes() == undisturbed.read_bytes()


def test_a_killed_evaluation_goes_on(model, undisturbed, tmp_path):
    arguments = ("evaluate", "--model", model, "--requests", GOLDEN, "--out", tmp_path / "a.h5", "--rank-tokens", "200")
    process = start(*arguments)
    wait_for((tmp_path / "a.unfinished.h5").exists, process)
    kill_all(process)
    process.communicate()
    assert not (tmp_path / "a.h5").exists()
    result = run(*arguments, ranks=2)
    assert result.code == 0 and "of 240 requests are answered already" in result.out, result
    assert (tmp_path / "a.h5").read_bytes() == undisturbed.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_what_belongs_to_others_is_not_gone_on_with(model, undisturbed, tmp_path):
    with h5py.File(tmp_path / "a.unfinished.h5", "w") as file:
        file.attrs.update({"schema": 1, "requests_sha256": "other"})
    result = answer(model, tmp_path / "a.h5")
    assert "starting anew" in result.err
    assert (tmp_path / "a.h5").read_bytes() == undisturbed.read_bytes()


def test_answers_of_a_run_lie_in_its_folder(deck, tmp_path):
    quantize(deck, tmp_path / "run")
    some = changed_requests(tmp_path / "some.requests.h5", keep=list(range(40)) + list(range(192, 200)))
    result = run("evaluate", tmp_path / "run", "--requests", some, ranks=2)
    assert result.code == 0 and "text" not in result.out, result  # not the deck's texts once more
    with h5py.File(tmp_path / "run" / "run.h5") as file:
        assert len(file["requests/some/log_likelihood"]) == 48
        assert file["requests/some/tasks/last_word"].attrs["documents"] == 8
        assert file["requests/some"].attrs["run_id"] == file.attrs["run_id"]
    assert not (tmp_path / "run" / "run.lock").exists()
    assert run("inspect", tmp_path / "run").code == 0  # the file with its links is read again


BAD = [
    ({"tokenizer_sha256": "0" * 64}, "was made with another tokenizer"),
    ({"vocab_size": np.int64(4096), "tokenizer_sha256": None}, "has a vocabulary of 4096"),
    ({"schema": np.int64(2)}, "has request file schema 2; this program knows 1"),
    ({"tokens": lambda t: np.where(np.arange(len(t)) == 7, 5000, t)}, "token 5000 at 7 lies outside the vocabulary"),
    ({"context_length": lambda c: c * 0}, "request 0 needs at least one token of context"),
    ({"gold": lambda g: g + 9}, "document 0 of task next_sentence is not complete"),
    ({"offset": lambda o: o[:-1]}, '"offset" does not fit the tokens'),
    ({"rehash": False, "gold": lambda g: g * 0}, "the requests were changed"),
]


@pytest.mark.parametrize("changes, sentence", BAD, ids=[sentence for _, sentence in BAD])
def test_bad_request_files(model, tmp_path, changes, sentence):
    with h5py.File(GOLDEN) as file:
        known = {name: file.attrs[name] if value is None else value for name, value in changes.items()}
    bad = changed_requests(tmp_path / "bad.requests.h5", **known)
    result = run("evaluate", "--model", model, "--requests", bad, "--out", tmp_path / "out")
    assert_refused(result, 2, bad, sentence)
    assert not (tmp_path / "out").exists()


def test_damaged_files_and_command_lines(model, tmp_path):
    cut = tmp_path / "cut.requests.h5"
    cut.write_bytes(GOLDEN.read_bytes()[:30000])
    out = ("--out", tmp_path / "out")
    evaluate = ("evaluate", "--model", model, "--requests")
    assert_refused(run(*evaluate, cut, *out), 2, cut)
    assert_refused(run(*evaluate, tmp_path / "none.h5", *out), 2, "none.h5")
    assert_refused(run(*evaluate, model / "config.json", *out), 2, "is not an HDF5 file")
    assert_refused(run(*evaluate, GOLDEN), 2, "--requests with --model needs --out")
    assert_refused(run(*evaluate, GOLDEN, GOLDEN, *out), 2, "like those of another request file")
    assert_refused(run(*evaluate, GOLDEN, *out, "--rank-tokens", "0"), 2, "--rank-tokens must be at least 1")
