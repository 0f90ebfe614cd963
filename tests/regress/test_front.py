# SPDX-License-Identifier: Apache-2.0
"""--version, --help, --dry-run, inspect, evaluate and --from-statistics tell the truth about a run."""

import json
import re

import h5py
import pytest

from analysis.read_results import load_layers, load_scores
from inputs import demo_tokens, short_tokens
from program import ROOT, assert_refused, quantize, quantize_arguments, run
from test_ranks import assert_equal


@pytest.fixture(scope="module")
def finished(deck, tmp_path_factory):
    """(run folder, what the screen showed)"""
    run_dir = tmp_path_factory.mktemp("finished") / "run"
    return run_dir, quantize(deck, run_dir, {"run.keep.statistics": "true"}, ranks=2)


def table_of(result):
    lines = result.out.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("text "))
    return lines[first:first + 3]


def test_version_and_help():
    version = run("--version")
    assert version.code == 0 and re.search(r"constrictor +\d+\.\d+\.\d+ \([0-9a-f]+\+?\)", version.out)
    for line in ("compiler", "MPI", "HDF5         1.", "products", "CUDA", "processor", "families     llama", "methods      rtn, gptq"):
        assert line in version.out
    assert run().out == run("--help").out == run("help").out == run("-h").out
    for command in ("quantize", "evaluate", "inspect", "bench"):
        shown = run(command, "--help")
        assert shown.code == 0 and shown.err == "" and f"constrictor {command}" in shown.out
        assert "PRESETS" not in shown.out and max(map(len, shown.out.splitlines())) <= 110
    for code in ("0 ", "2 ", "3 ", "4 ", "5 ", "75 ", "1 "):
        assert f"  {code}" in run("--help").out


@pytest.mark.parametrize("ranks", (1, 2))
def test_dry_run_prints_the_deck_and_creates_nothing(deck, tmp_path, ranks):
    settings = {"quant.layers.mlp.down_proj.bits": 4, "quant.method": "boa", "run.out": tmp_path / "runs"}
    arguments = [*quantize_arguments(deck, None, settings), "--dry-run"]
    shown = run(*arguments, ranks=ranks)
    assert shown.code == 0 and shown.complaints == []
    assert list(tmp_path.iterdir()) == []
    text, predictions = shown.out.split("\n\n", 1)
    assert "method: boa" in text and "rows_at_once: 1 " in text and "{bits: 4}" in text
    for pattern in (r"memory of one rank", r"memory of this node +[\d.]+ \w+ predicted, [\d.]+ \w+ available",
                    r"disk +[\d.]+ \w+ in .*/runs/[0-9a-f]+", r"time +about [\d.]+ s", "nothing was started"):
        assert re.search(pattern, predictions), (pattern, predictions)
    again = tmp_path / "resolved.yaml"
    again.write_text(text)
    second = run("quantize", again, "--dry-run")
    assert second.out.split("\n\n", 1)[0] == text
    assert re.search("/runs/[0-9a-f]+", second.out)[0] == re.search("/runs/[0-9a-f]+", shown.out)[0]


def test_the_resolved_deck_lies_with_the_results_and_repeats_them(finished, tmp_path):
    run_dir, _ = finished
    with h5py.File(run_dir / "run.h5") as file:
        assert file.attrs["deck"] == (run_dir / "deck.yaml").read_text()
    quantize(run_dir / "deck.yaml", tmp_path / "again")
    assert_equal(run_dir, tmp_path / "again")


def test_disk_and_memory_are_near_the_prediction(deck, model, tmp_path):
    settings = {"calibration.tokens": demo_tokens("calibration"), "calibration.sequences": 64,
                "evaluation.tokens": f"[{demo_tokens('evaluation')}]"}
    shown = run(*quantize_arguments(deck, tmp_path / "run", settings), "--dry-run").out
    quantize(deck, tmp_path / "run", settings)
    unit = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}

    def predicted(what):
        number, name = re.search(rf"^{what} +([\d.]+) (\w+)", shown, re.M).groups()
        return float(number) * unit[name]
    used = sum(path.stat().st_size for path in (tmp_path / "run").rglob("*") if path.is_file())
    assert 0.5 * predicted("disk") < used < 1.2 * predicted("disk")
    peak = max(load_layers([tmp_path / "run"])["block.peak_memory_bytes"])  # before the evaluation
    assert peak < 1.2 * predicted("together")


def test_inspect_shows_what_is_stored(finished):
    run_dir, quantized = finished
    shown = run("inspect", run_dir)
    assert shown.code == 0 and table_of(shown) == table_of(quantized)
    for _, layer in load_layers([run_dir]).iterrows():
        row = next(line.split() for line in shown.out.splitlines() if line.split()[:2] == [str(layer["block"]), layer["layer"]])
        assert row[2:4] == [layer["method_used"], str(layer["bits"])]
        assert float(row[4]) == pytest.approx(layer["relative_loss"], rel=1e-3)
    with h5py.File(run_dir / "run.h5") as file:
        for name in ("run_id", "tokens_sha256", "model_sha256", "state"):
            assert re.search(rf"^{name} +{file.attrs[name]}$", shown.out, re.M)


@pytest.mark.parametrize("ranks", (1, 2))
def test_evaluate_agrees_with_quantize(finished, tmp_path, ranks):
    run_dir, quantized = finished

    def stored():
        with h5py.File(run_dir / "run.h5") as file:
            group = file["evaluation/short"]
            return group["nll"][()].tobytes(), group["kl"][()].tobytes(), group.attrs["perplexity"]
    before = stored()
    evaluated = run("evaluate", run_dir, ranks=ranks)
    assert evaluated.code == 0 and evaluated.complaints == []
    assert table_of(evaluated) == table_of(quantized)
    assert stored() == before

    other = short_tokens(demo_tokens("evaluation"), tmp_path / "longer.tokens.h5", 3, 128)
    assert run("evaluate", run_dir, "--tokens", other, "--set", "evaluation.kl=false", ranks=ranks).code == 0
    scores = load_scores([run_dir]).set_index("dataset")
    assert {"short", "longer"} <= set(scores.index) and scores.loc["longer", "windows"] == 3
    assert stored() == before


def test_evaluate_a_model_as_it_is(model, tmp_path):
    oracle = json.loads((ROOT / "tests" / "oracle" / "demo_perplexity.json").read_text())
    shown = run("evaluate", "--model", model, "--tokens", demo_tokens("evaluation"), "--set", "run.products=float32", ranks=2)
    assert shown.code == 0, shown
    assert re.search(rf"256 x 256 .* {oracle['perplexity_float32']:.2f} ", shown.out)


def test_evaluate_refuses_a_run_that_is_not_complete(deck, tmp_path):
    quantize(deck, tmp_path / "run")
    (tmp_path / "run" / "blocks" / "0002.h5").unlink()
    assert_refused(run("evaluate", tmp_path / "run"), 2, tmp_path / "run", "not complete", "missing: 2")


def test_evaluate_takes_nothing_that_the_run_settled(finished):
    assert_refused(run("evaluate", finished[0], "--set", "quant.bits=3"), 2, "quant.bits=3", "evaluation.*")


def test_stored_statistics_give_the_same_codes(deck, finished, tmp_path):
    run_dir, _ = finished
    result = run(*quantize_arguments(deck, tmp_path / "again", {}), "--from-statistics", run_dir)
    assert result.code == 0, result
    for path in sorted((run_dir / "blocks").glob("*.h5")):
        with h5py.File(path) as a, h5py.File(tmp_path / "again" / "blocks" / path.name) as b:
            for layer in a:
                assert a[layer]["codes"][()].tobytes() == b[layer]["codes"][()].tobytes()
                assert a[layer]["scale"][()].tobytes() == b[layer]["scale"][()].tobytes()


def test_statistics_that_were_not_kept(deck, tmp_path):
    quantize(deck, tmp_path / "run")
    result = run(*quantize_arguments(deck, tmp_path / "again", {}), "--from-statistics", tmp_path / "run")
    assert_refused(result, 2, tmp_path / "run", "statistics")
    assert not (tmp_path / "again").exists()
