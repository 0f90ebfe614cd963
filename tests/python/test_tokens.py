# SPDX-License-Identifier: Apache-2.0
"""The command `constrictor tokens` from text to file: content, hashes, equal bytes, bad input."""

import gzip
import hashlib
import json
import lzma
import os
import resource
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest

from analysis import tokens
from analysis.errors import call

WORDS = " ".join(f"w{i % 12}" for i in range(100))


def run(*arguments):
    return call(tokens.main, "constrictor tokens", [str(a) for a in arguments])


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text(WORDS)
    return path


def test_demo_windows_are_those_of_the_golden_data(demo, tmp_path):
    out = tmp_path / "new" / "calibration.tokens.h5"
    assert run("--tokenizer", demo / "model", "--text", demo / "text" / "calibration.txt.xz", "--sampler",
               "wikitext2-train", "--sequences", 128, "--length", 256, "--out", out) == 0
    with h5py.File(out) as file, h5py.File(demo.parents[1] / "tests/oracle/solvers.h5") as golden:
        assert file["start"][:16].tolist() == golden.attrs["calibration_starts"].tolist()
        assert file["tokens"].shape == (128, 256) and file["tokens"].dtype == "<i4" and file["start"].dtype == "<i8"
    with h5py.File(out) as file, h5py.File(demo.parents[1] / "tests/oracle/demo_golden.h5") as golden:
        assert (file["tokens"][:2] == golden["tokens"][()]).all()


def test_attributes_and_hashes(word_tokenizer, text, tmp_path, capsys):
    out = tmp_path / "x.tokens.h5"
    assert run("--tokenizer", word_tokenizer, "--text", text, "--sampler", "windows", "--length", 20, "--out", out) == 0
    with h5py.File(out) as file:
        about, rows = dict(file.attrs), file["tokens"][()]
    assert rows.shape == (5, 20) and rows[0, :3].tolist() == [12, 0, 1]  # <s> once, before the text
    assert (rows[1:] != 12).all()
    assert about["tokens_sha256"] == hashlib.sha256(rows.astype("<i4").tobytes()).hexdigest()
    assert about["text_sha256"] == hashlib.sha256(WORDS.encode()).hexdigest()
    assert about["tokenizer_sha256"] == hashlib.sha256(word_tokenizer.read_bytes()).hexdigest()
    assert (about["schema"], about["vocab_size"], about["bos_id"], about["seed"]) == (1, 13, 12, 0)
    assert (about["purpose"], about["sampler"], about["text_name"]) == ("evaluation", "windows", "words.txt")
    assert about["created_by"].startswith("constrictor tokens ")
    said = capsys.readouterr().out
    assert "5 evaluation sequences x 20 tokens by windows from 101 tokens of words.txt" in said
    assert about["tokens_sha256"] in said


def test_the_same_inputs_give_the_same_bytes(word_tokenizer, text, tmp_path):
    shutil.copy(text, tmp_path / "elsewhere.txt")
    files = [tmp_path / "a.tokens.h5", tmp_path / "b.tokens.h5"]
    for file in files:  # 600 000 tokens: a dataset that is chunked and deflated; another process each
        subprocess.run([sys.executable, "-m", "analysis.tokens", "--tokenizer", word_tokenizer, "--text", text,
                        "--sampler", "wikitext2-train", "--sequences", "8000", "--length", "75", "--out", file],
                       check=True, stdout=subprocess.DEVNULL)
    assert files[0].read_bytes() == files[1].read_bytes()
    with h5py.File(files[0]) as file:
        assert file["tokens"].compression == "gzip" and file["tokens"].shuffle and file["start"].chunks is None


def test_compressed_text_and_json_lines_are_read_as_the_plain_text(word_tokenizer, tmp_path):
    records = ["w1 w2 w3", "", "w4 w5"]
    lines = "".join(json.dumps({"text": r}) + "\n" for r in records).encode()
    (tmp_path / "a.jsonl").write_bytes(lines)
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "c.txt.xz").write_bytes(lzma.compress("\n\n".join(records).encode()))
    hashes = set()
    for name in ("a.jsonl", "b.json.gz", "c.txt.xz"):
        out = tmp_path / "x.tokens.h5"
        assert run("--tokenizer", word_tokenizer, "--text", tmp_path / name, "--sampler", "windows", "--length", 3,
                   "--out", out) == 0
        with h5py.File(out) as file:
            hashes.add((file.attrs["tokens_sha256"], file.attrs["text_sha256"]))
            assert file["tokens"][()].tolist() == [[12, 1, 2], [3, 4, 5]]
    assert len(hashes) == 1


def test_lines_are_documents_as_in_the_published_wikitext(word_tokenizer, tmp_path):
    (tmp_path / "raw.txt").write_text(" \n = w1 = \n \n w2\x0cw3 \n")  # the form feed does not end a line
    from analysis.text_input import read_documents
    assert read_documents(tmp_path / "raw.txt", lines=True) == ["", " = w1 = \n", "", " w2\x0cw3 \n"]


BAD = [
    (("--sampler", "nonsense"), 2, "unknown sampler 'nonsense'; known are wikitext2-train"),
    (("--text", "missing.txt"), 2, "missing.txt: no such file"),
    (("--tokenizer", "missing.json"), 2, "missing.json: no such tokenizer"),
    (("--tokenizer", "text.txt"), 2, "text.txt: not a usable tokenizer"),
    (("--tokenizer", "empty"), 2, "AutoTokenizer.from_pretrained"),
    (("--text", "broken.txt.xz"), 2, "broken.txt.xz: cannot be read"),
    (("--text", "latin.txt"), 2, "latin.txt: not UTF-8 text (byte 1)"),
    (("--text", "broken.jsonl"), 2, 'broken.jsonl:2: not a JSON object with a string "text"'),
    (("--length", "101"), 2, "the text has 101 tokens, random windows of 101 need at least 102"),
    (("--length", "0"), 2, "argument --length: invalid positive whole number value: '0'"),
    (("--sequences", "many"), 2, "argument --sequences"),
    (("--out", "text.txt/x.tokens.h5"), 5, "cannot be written"),
    (("--out", "empty"), 5, "cannot be written"),
]


@pytest.mark.parametrize("change, code, message", BAD, ids=[" ".join(b[0]) for b in BAD])
def test_bad_input_is_one_sentence_and_leaves_nothing(change, code, message, word_tokenizer, tmp_path, capsys,
                                                      monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(WORDS)
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.txt.xz").write_bytes(lzma.compress(WORDS.encode())[:-9])
    (tmp_path / "latin.txt").write_bytes(b"w\xe9 w1")
    (tmp_path / "broken.jsonl").write_text('{"text": "w1"}\n{"text": 3}\n')
    before = sorted(os.listdir(tmp_path))
    arguments = {"--tokenizer": str(word_tokenizer), "--text": "text.txt", "--sampler": "wikitext2-train", "--length": "20",
                 "--out": "x.tokens.h5"} | dict([change])
    assert run(*[part for pair in arguments.items() for part in pair]) == code
    said = capsys.readouterr()
    assert message in said.err and said.err.startswith("constrictor tokens: ") and said.err.count("\n") == 1
    assert said.out == "" and sorted(os.listdir(tmp_path)) == before


def test_a_vocabulary_that_is_too_small_is_found_before_writing(word_tokenizer, text, tmp_path, capsys):
    (tmp_path / "model").mkdir()
    shutil.copy(word_tokenizer, tmp_path / "model" / "tokenizer.json")
    (tmp_path / "model" / "config.json").write_text('{"vocab_size": 11}')
    assert run("--tokenizer", tmp_path / "model", "--text", text, "--sampler", "windows", "--length", 20, "--out",
               tmp_path / "x.tokens.h5") == 2
    assert "do not belong together" in capsys.readouterr().err and not (tmp_path / "x.tokens.h5").exists()


def test_a_full_disk_leaves_the_old_file(word_tokenizer, text, tmp_path, capsys):
    out = tmp_path / "x.tokens.h5"
    out.write_bytes(b"old")

    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    ended = subprocess.run([sys.executable, "-c", "import signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
                            "from analysis import tokens, errors; sys.exit(errors.call(tokens.main, 'constrictor tokens'))",
                            "--tokenizer", word_tokenizer, "--text", text, "--sampler", "wikitext2-train", "--length", "75",
                            "--out", out], preexec_fn=small_files, capture_output=True, text=True)
    assert ended.returncode == 5 and ended.stderr.count("\n") == 1 and "cannot be written" in ended.stderr
    assert out.read_bytes() == b"old" and not list(tmp_path.glob("*.partial"))


def test_help_shows_every_sampler(capsys):
    with pytest.raises(SystemExit) as ended:
        tokens.main(["--help"])
    said = capsys.readouterr().out
    from analysis.samplers import SAMPLERS
    assert ended.value.code == 0 and all(name in said for name in SAMPLERS) and "examples:" in said


def test_numbers_are_int32_whatever_the_tokenizer_gives(word_tokenizer, text, tmp_path):
    assert run("--tokenizer", word_tokenizer, "--text", text, text, "--sampler", "documents", "--length", 500, "--out",
               tmp_path / "x.tokens.h5") == 0
    with h5py.File(tmp_path / "x.tokens.h5") as file:
        assert file["tokens"].shape == (2, 101) and file["length"][()].tolist() == [101, 101]
        assert file["length"].dtype == np.dtype("<i4") and file["document"][()].tolist() == [0, 1]
