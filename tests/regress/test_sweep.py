# SPDX-License-Identifier: Apache-2.0
"""plan, sweep, status, retry: a table of runs from one file."""

import json
import os
import time

import pytest

from program import assert_refused, finish, quantize, run, start, wait_for
from sweeps import (assert_complete, assert_nothing_done_twice, events_of, plan, state_of, sweep_arguments, work,
                    write_sweep)
from test_ranks import assert_equal


@pytest.fixture(scope="module")
def finished(deck, tmp_path_factory):
    """A sweep of four runs that nobody disturbed: (sweep deck, folder of the runs, screen)"""
    folder = tmp_path_factory.mktemp("finished")
    sweep = write_sweep(folder / "sweep.yaml", deck)
    return sweep, folder / "runs", work(sweep, "-j", "2", "-np", "1")


def test_a_sweep_is_its_runs(deck, finished, tmp_path):
    sweep, out, screen = finished
    runs = plan(sweep)
    assert [tuple(facts["labels"].values()) for facts in runs] == [
        ("gptq", "2"), ("gptq", "3"), ("turboboa", "2"), ("turboboa", "3")]
    assert "4 runs finished here" in screen.out
    assert json.loads((out / "sweep.plan.json").read_text())["runs"][0]["run_id"] == runs[0]["run_id"]
    assert list((out / "claims").iterdir()) == [], "finished runs need no claims"
    quantize(deck, tmp_path / "alone", {"quant.method": "gptq", "quant.bits": 3})
    assert_equal(tmp_path / "alone", out / runs[1]["run_id"])


def test_status_of_a_finished_sweep(finished):
    sweep, out, _ = finished
    result = run("status", sweep, "--watch")  # ends, since nothing is left to watch
    assert result.code == 0 and "done         4, running 0, waiting 0, failed 0" in result.out, result
    core_seconds = sum(state_of(out / facts["run_id"])["core_seconds"] for facts in plan(sweep))
    spent = float(result.out.split("spent")[1].split()[0])
    assert abs(spent * 3600 - core_seconds) < 0.01 * core_seconds
    assert "turboboa" not in result.out and "method turboboa, bits 3" in run("status", sweep, "--all").out


def test_predictions_learn_from_finished_runs(finished):
    sweep, out, _ = finished
    result = run("plan", sweep)
    assert "corrected by 4 finished runs" in result.out and "0 to do" in result.out
    for facts in plan(sweep):
        state = state_of(out / facts["run_id"])
        assert 0.1 < facts["predicted"]["disk_bytes"] / state["disk_bytes"] < 10
        assert 0.5 < facts["predicted"]["bytes_per_rank"] / state["peak_memory_bytes"] < 2
        assert 0.1 < facts["predicted"]["seconds"] / state["core_seconds"] < 10


def test_a_second_worker_does_nothing(finished):
    sweep, out, _ = finished
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.h5")}
    assert "0 runs finished here" in work(sweep).out
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.h5")} == before


def test_two_workers_share_the_runs(deck, finished, tmp_path):
    sweep = write_sweep(tmp_path / "sweep.yaml", deck)
    workers = [start(*sweep_arguments(sweep)) for _ in range(2)]
    results = [finish(worker) for worker in workers]
    assert [result.code for result in results] == [0, 0], results
    done = "".join(result.out for result in results)
    runs = plan(sweep)
    assert [done.count(f"done    {facts['run_id']}") for facts in runs] == [1, 1, 1, 1], done
    assert all(len([e for e in events_of(tmp_path / "runs" / facts["run_id"]) if e["event"] == "start"]) == 1
               for facts in runs)
    assert_complete(runs, tmp_path / "runs", finished[1])


def test_runs_of_several_ranks(deck, finished, tmp_path):
    sweep = write_sweep(tmp_path / "sweep.yaml", deck)
    work(sweep, "-np", "2")
    runs = plan(sweep)
    assert all(state_of(tmp_path / "runs" / facts["run_id"])["ranks"] == 2 for facts in runs)
    assert_complete(runs, tmp_path / "runs", finished[1])


def test_preempted_and_taken_up_again(deck, finished, tmp_path):
    sweep = write_sweep(tmp_path / "sweep.yaml", deck)
    worker = start(*sweep_arguments(sweep, "-j", "2"))
    wait_for(lambda: list(tmp_path.glob("runs/*/blocks/0001.h5")), worker)
    status = run("status", sweep)
    assert "running 2, waiting 2" in status.out and "of 4" in status.out, status
    os.kill(worker.pid, 10)  # SIGUSR1, as Slurm's warning
    assert_refused(finish(worker), 75, "SIGUSR1", "run the same command again")
    runs = plan(sweep)
    assert "preempted" in {state_of(tmp_path / "runs" / facts["run_id"])["state"] for facts in runs[:2]}
    assert "running 0" in run("status", sweep).out
    work(sweep)
    assert_complete(runs, tmp_path / "runs", finished[1])


def test_the_deck_is_edited_half_way(deck, finished, tmp_path):
    """New values add runs, finished ones are kept, changed ones get other ids."""
    sweep = write_sweep(tmp_path / "sweep.yaml", deck, axes="\n  - {key: quant.bits, values: [2, 3]}\n")
    work(sweep, "-j", "2")
    before = plan(sweep)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/blocks/*.h5")}
    text = sweep.read_text().replace("[2, 3]", "[2, 3, 4]")
    sweep.write_text(text)
    assert "3 in" in run("plan", sweep).out and "1 to do" in run("plan", sweep).out
    work(sweep)
    after = plan(sweep)
    assert after[:2] == [{**facts, "predicted": after[i]["predicted"]} for i, facts in enumerate(before)]
    assert {path: path.stat().st_mtime_ns for path in files} == files
    sweep.write_text(text.replace("method: turboboa", "method: turboboa\n    damping: 0.02"))
    assert not {facts["run_id"] for facts in plan(sweep)} & {facts["run_id"] for facts in after}
    assert "3 to do" in run("plan", sweep).out


def test_where_the_model_lies_does_not_change_a_run(deck, model, finished, tmp_path, monkeypatch):
    text = finished[0].read_text()
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(text.replace(str(model), "${CONSTRICTOR_TEST_MODELS}/model"))
    assert_refused(run("plan", sweep), 2, f"{sweep}:3: model.path", "CONSTRICTOR_TEST_MODELS is not set")
    (tmp_path / "model").symlink_to(model)
    from program import ENVIRONMENT
    monkeypatch.setitem(ENVIRONMENT, "CONSTRICTOR_TEST_MODELS", str(tmp_path))
    assert [facts["run_id"] for facts in plan(sweep)] == [facts["run_id"] for facts in plan(finished[0])]


@pytest.mark.parametrize("axes, words", (
    ("\n  - {key: quant.bits, values: [2, 9]}\n", (":", "quant.bits: 9 is out of range")),
    ("\n  - {key: quant.group_size, values: [0, 48]}\n", ("run 'group_size 48'", "does not divide")),
    ("\n  - {key: calibration.sequences, values: [2, 99]}\n", ("run 'sequences 99'", "99 are asked for")),
    ("\n  - {key: evaluation.kl, values: [true, false]}\n", ("two runs are the same", "'kl true'", "'kl false'")),
    ("\n  - {key: quant.bits, values: [2]}\nzip: 3\n", ("zip: a list expected",))))
def test_bad_sweep_decks_are_refused(deck, tmp_path, axes, words):
    sweep = write_sweep(tmp_path / "sweep.yaml", deck, axes=axes)
    for command in (["plan"], ["sweep", "--local"], ["status"], ["retry", "--failed"]):
        assert_refused(run(command[0], sweep, *command[1:]), 2, sweep, *words)
    assert not (tmp_path / "runs").exists()


def test_command_line(finished):
    sweep = finished[0]
    assert_refused(run("retry", sweep), 2, "say which runs: --failed")
    assert_refused(run("plan"), 2, "plan: a sweep deck is missing")
    assert_refused(run("sweep", sweep, "-j", "0"), 2, "--jobs must be at least 1")
    for command in ("plan", "sweep", "status", "retry"):
        assert f"usage: constrictor {command} SWEEP" in run(command, "--help").out


def test_thousands_of_runs_are_seen_at_once(deck, finished, tmp_path):
    """Bounds are those of a busy machine; README has the times of a quiet one."""
    values = ", ".join(str(i / 1000) for i in range(1, 1001))
    axes = f"\n  - {{key: quant.bits, values: [2, 3, 4, 5, 6]}}\n  - {{key: quant.alpha, values: [{values}]}}\n"
    sweep = write_sweep(tmp_path / "plan.yaml", deck, axes=axes + "  - {key: quant.damping, values: [0.01, 0.02]}\n")
    begin = time.monotonic()
    assert "10000 in" in run("plan", sweep).out
    assert time.monotonic() - begin < 10
    sweep = write_sweep(tmp_path / "status.yaml", deck, axes=f"\n  - {{key: quant.alpha, values: [{values}]}}\n")
    text = (finished[1] / plan(finished[0])[0]["run_id"] / "state.json").read_text()
    for facts in plan(sweep):
        folder = tmp_path / "runs" / facts["run_id"]
        folder.mkdir(parents=True)
        (folder / "state.json").write_text(text)
    begin = time.monotonic()
    assert "done         1000," in run("status", sweep).out
    assert time.monotonic() - begin < 10


def test_nothing_is_done_twice_is_a_test(finished, tmp_path):
    """The tester tested: a layer that is logged twice is found."""
    (tmp_path / "log.jsonl").write_text('{"event": "layer", "block": 1, "layer": "a"}\n' * 2)
    with pytest.raises(AssertionError):
        assert_nothing_done_twice(tmp_path)
