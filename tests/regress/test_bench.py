# SPDX-License-Identifier: Apache-2.0
"""`constrictor bench` measures what it says, adds up, and refuses what makes no sense."""

import json
import re

import pytest

from program import assert_refused, run

SMALL = ("bench", "--shape", "demo", "--sequences", 4, "--length", 32)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """(what the screen showed, the JSON file)"""
    path = tmp_path_factory.mktemp("bench") / "bench.json"
    shown = run(*SMALL, "--blocks", 3, "--scaling", "--link", 10, "--json", path)
    assert shown.code == 0 and shown.err == "", shown
    return shown.out, json.loads(path.read_text())


def test_the_first_block_has_no_drift_and_the_later_ones_have(measured):
    _, file = measured
    assert [block["drift"] for block in file["blocks"]] == [False, True, True]
    first, second, third = ({phase["name"]: phase for phase in block["phases"]} for block in file["blocks"])
    for phase in ("statistics", "factor", "solve", "advance"):
        assert first[phase]["seconds"] > 0 and first[phase]["operations"] > 0
        assert second[phase]["operations"] == third[phase]["operations"]
    assert second["statistics"]["operations"] > 2 * first["statistics"]["operations"]
    assert second["advance"]["operations"] == first["advance"]["operations"]


def test_figures_add_up(measured):
    out, file = measured
    for block in file["blocks"]:
        assert block["seconds"] == pytest.approx(sum(phase["seconds"] for phase in block["phases"]))
        for phase in block["phases"]:
            if phase["seconds"] > 0:
                assert phase["operations_per_second"] == pytest.approx(phase["operations"] / phase["seconds"])
    seconds = [block["seconds"] for block in file["blocks"]]
    assert file["model_seconds"] == pytest.approx(seconds[0] + 3 * min(seconds[1:]))
    assert file["float32_peak"] > 1e8 and file["bfloat16_peak"] > 1e8
    assert file["host_peak_bytes"] > 1 << 20 and file["device_peak_bytes"] == 0
    for line in (r"^first +statistics +[\d.]+ ", r"^later +together +[\d.]+ ", r"^whole model +4 blocks: ", r"^time +about "):
        assert re.search(line, out, re.M), (line, out)


def test_one_rank_of_the_prediction_is_the_measurement(measured):
    out, file = measured
    ranks = [row["ranks"] for row in file["scaling"]]
    assert ranks == [1, 2, 4, 8, 16, 32, 64]
    assert file["scaling"][0]["seconds"] == pytest.approx(file["model_seconds"])
    for row in file["scaling"]:
        assert row["seconds"] == pytest.approx(sum(row["seconds_by_phase"].values()))
        assert row["seconds_by_phase"][row["limit"]] == max(row["seconds_by_phase"].values())
    statistics = [row["seconds_by_phase"]["statistics"] for row in file["scaling"]]
    assert statistics[1] == pytest.approx(statistics[0] / 2)
    assert statistics[2:] == pytest.approx([statistics[0] / 4] * 5)  # four sequences
    assert re.search(r"exchange 10 GB/s, not measured", out)


def test_ranks_and_methods(tmp_path):
    path = tmp_path / "bench.json"
    shown = run(*SMALL, "--blocks", 2, "--set", "quant.method=gptq", "--set", "run.reduction=fast", "--json", path, ranks=2)
    assert shown.code == 0 and shown.complaints == [], shown
    file = json.loads(path.read_text())
    assert file["ranks"] == 2 and "method: gptq" in file["deck"] and file["reduction"] == "fast"
    phases = {phase["name"]: phase for phase in file["blocks"][1]["phases"]}
    assert phases["reduce"]["bytes"] > 0 and "scaling" not in file
    assert_refused(run(*SMALL, "--scaling", ranks=2), 2, "--scaling", "one rank")


def test_one_block_is_no_model(tmp_path):
    path = tmp_path / "bench.json"
    shown = run(*SMALL, "--blocks", 1, "--json", path)
    assert shown.code == 0 and "unknown" in shown.out
    assert json.loads(path.read_text())["model_seconds"] is None


@pytest.mark.parametrize("arguments, code, words", (
    ((), 2, ("--shape is missing",)),
    (("--shape", "llama-4"), 2, ("llama-4", "llama-3-8b", "demo")),
    (("--shape", "demo", "--blocks", 5), 2, ("--blocks 5", "between 1 and 4")),
    (("--shape", "demo", "--length", 0), 2, ("--length 0", "between 1 and 2048")),
    (("--shape", "demo", "--sequences", -1), 2, ("sequences",)),
    (("--shape", "demo", "--blocks", 1, "--scaling"), 2, ("--blocks 2",)),
    (("--shape", "demo", "--link", 0), 2, ("--link",)),
    (("--shape", "demo", "--set", "evaluation.kl=false"), 2, ("evaluation.kl",)),
    (("--shape", "demo", "--set", "quant.bits=9"), 2, ("quant.bits",)),
    (("--shape", "demo", "nonsense"), 2, ("nonsense",)),
    (("--shape", "demo", "--json", "missing/bench.json"), 5, ("missing/bench.json",)),
    (("--shape", "llama-3.1-70b", "--sequences", 1000000), 3, ("not enough memory", "--sequences")),
))
def test_nonsense_is_refused(arguments, code, words):
    assert_refused(run("bench", *arguments), code, *words)
