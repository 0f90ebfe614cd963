# SPDX-License-Identifier: Apache-2.0
"""Reading run folders and the table of single runs, on run folders made by the fixture."""

import json
import runpy
import sys

import h5py
import numpy as np
import pytest

import analysis
from analysis import read_results
from analysis.__main__ import main
from analysis.errors import UserError, call
from conftest import ROOT


def table(*arguments):
    return call(main, "analysis", ["table", *map(str, arguments)])


def test_layers_give_one_row_per_run_block_and_layer(make_run):
    layers = read_results.load_layers([make_run("a"), make_run("b", method="boa")])
    assert len(layers) == 2 * 2 * 3 and list(layers["run"].unique()) == ["a", "b"]
    row = layers[(layers["run"] == "b") & (layers["block"] == 1) & (layers["layer"] == "mlp.down_proj")].iloc[0]
    assert (row["method"], row["kind"], row["bits"], row["rank"]) == ("boa", "down_proj", 2, 1)
    assert row["relative_loss"] == pytest.approx(4 / 40)
    assert row["block.seconds_by_phase"] == {"quantize": 1.5} and row["run.seconds_by_phase"]["evaluate"] == 100
    assert row["run.run_id"] == "abc" and row["block.output_cosine"] == pytest.approx(0.98)


def test_losses_by_stage_are_named(make_run):
    run = make_run("a")
    with h5py.File(run / "blocks/0000.h5", "r+") as file:
        file["mlp.down_proj"].attrs["stages"] = "solver refine"
        file["mlp.down_proj/error/loss_by_stage"] = np.array([3.0, 2.0])
    layers = read_results.load_layers([run])
    found = layers[(layers["block"] == 0) & (layers["layer"] == "mlp.down_proj")]["loss_by_stage"].item()
    assert found == {"0 solver": 3.0, "1 refine": 2.0}


def test_load_joins_all_tables(make_run):
    results = analysis.load(make_run("a"), make_run("b", perplexity=None, blocks=1, state="running"))
    assert results.runs[["run", "state", "method", "bits", "blocks_done", "blocks"]].values.tolist() == [
        ["a", "done", "gptq", "2", 2, 4], ["b", "running", "gptq", "2", 1, 4]]
    assert results.scores[["run", "dataset", "perplexity"]].values.tolist() == [["a", "evaluation", 30.0]]
    assert len(results.layers) == 9 and results.blocks["output_error_relative"].tolist() == pytest.approx([0.1, 0.2, 0.1])
    assert results.windows[["run", "window", "nll", "kl"]].values.tolist() == [["a", 0, 3.4, 0.6], ["a", 1, 3.3, 0.7], ["a", 2, 3.5, 0.8]]


def test_errors_are_shares(make_run):
    run = make_run("a")
    with h5py.File(run / "blocks/0000.h5", "r+") as file:
        file["mlp.down_proj/error/row_loss"][...] = [40, 0, 0, 0, 0, 0]
        file["mlp.down_proj/error/column_energy"][...] = [8, 0, 0, 0, 0, 0, 0, 0]
    assert read_results.load_errors(run, "row")[0, "mlp.down_proj"].tolist() == [6, 0, 0, 0, 0, 0]  # loss_scale is 40
    assert read_results.load_errors(run, "column")[0, "mlp.down_proj"].tolist() == [8, 0, 0, 0, 0, 0, 0, 0]


def test_a_folder_of_runs_is_searched(make_run):
    run = make_run("sweep/one")
    make_run("sweep/deeper/two")
    assert [r.name for r in read_results.find_runs([run.parent, run])] == ["two", "one"]


def test_the_finished_blocks_of_a_run_under_way_are_read(make_run):
    run = make_run("a")
    (run / "run.h5").unlink()
    (run / "blocks" / "0002.h5.partial").write_bytes(b"half")
    assert set(read_results.load_layers([run])["block"]) == {0, 1} and len(read_results.load_scores([run])) == 0


@pytest.mark.parametrize("file", ["run.h5", "blocks/0001.h5"])
def test_an_unknown_schema_is_refused(make_run, file):
    run = make_run("a")
    with h5py.File(run / file, "r+") as h5:
        h5.attrs["schema"] = 2
    with pytest.raises(UserError, match=f"{file}: schema 2, but this version of analysis reads only 1"):
        read_results.load_layers([run])


def test_a_broken_file_is_named(make_run):
    run = make_run("a")
    (run / "blocks" / "0001.h5").write_bytes(b"not HDF5")
    with pytest.raises(UserError, match="0001.h5: not a readable HDF5 file"):
        read_results.load_layers([run])
    with pytest.raises(UserError, match="holds no run"):
        read_results.load_layers([run / "blocks"])


def test_log_and_state(make_run):
    run = make_run("a")
    assert read_results.load_log(run)["event"].tolist() == ["block"]  # the second line is half-written
    assert read_results.load_state(run)["blocks_done"] == 2
    (run / "state.json").write_text("")  # as a stale cache of a network file system shows it
    assert read_results.load_state(run) == {}
    (run / "state.json").write_text(json.dumps({"schema": 9}))
    with pytest.raises(UserError, match="schema 9"):
        read_results.load_state(run)


def test_markdown_table(make_run, capsys):
    assert table(make_run("a"), make_run("b", method="turboboa", perplexity=28.151)) == 0
    assert capsys.readouterr().out.splitlines() == [
        "| run | method   | bits | full precision | quantized | KL (nats) | top-1 (%) | seconds |",
        "|-----|----------|-----:|---------------:|----------:|----------:|----------:|--------:|",
        "| a   | gptq     |    2 |          15.66 |     30.00 |     0.700 |      62.5 |     1.5 |",
        "| b   | turboboa |    2 |          15.66 |     28.15 |     0.700 |      62.5 |     1.5 |"]


def test_latex_and_csv(make_run, tmp_path, capsys):
    run = make_run("gptq", loss=30.0)
    assert table(run, "--format", "latex") == 0
    said = capsys.readouterr().out
    assert r"gptq & 2 & 15.66 & 30.00 & 0.700 & 62.5 & 1.5 & 6 layers worse than plain rounding \\" in said
    assert said.startswith(r"\begin{tabular}{lrrrrrrl}") and r"top-1 (\%)" in said
    assert table(run, "--format", "csv", "--out", tmp_path / "new" / "t.csv") == 0
    assert (tmp_path / "new" / "t.csv").read_text().splitlines()[0].startswith("run_dir,run,model,method,bits,")


def test_nothing_is_left_out_silently(make_run, capsys):
    fallback = make_run("fallback", words="block 0, mlp.down_proj: quantized with rtn instead of gptq: its Hessian ..")
    failed = make_run("failed", state="failed", perplexity=None, words="disk full")
    running = make_run("running", state="running", perplexity=None)
    broken = make_run("broken")
    (broken / "run.h5").write_bytes(b"")
    assert table(fallback, failed, running, broken) == 0
    lines = capsys.readouterr().out.splitlines()[2:]
    for line, words in zip(lines, ["1 layer fell back to a simpler method", "failed, disk full", "running 2/4", "unreadable, "]):
        assert words in line, line
    assert "run.h5: not a readable HDF5 file" in lines[3]


def test_a_fallback_shows_even_when_the_log_is_silent(make_run, capsys):
    run = make_run("a")
    with h5py.File(run / "blocks/0000.h5", "r+") as file:
        file["mlp.down_proj"].attrs["method_used"] = "rtn"
        file["self_attn.q_proj"].attrs.update({"loss_before": 0.5, "damping_retries": np.int64(2), "damping": 0.1})
    assert table(run) == 0
    said = capsys.readouterr().out
    assert "1 layer fell back to a simpler method" in said
    assert "1 whose loss rose in refinement" in said and "1 needed more damping" in said


def test_bad_input_is_one_sentence(tmp_path, make_run, capsys):
    run = make_run("a")
    for arguments, sentence in [
            ([tmp_path / "none"], f"{tmp_path / 'none'}: no such folder"),
            ([run, "--dataset", "c4"], "no run was scored on 'c4'; there is evaluation"),
            ([], "the following arguments are required: SOURCE (--help shows all options)"),
            ([run, "--all"], "--value, --published and --all are for a sweep deck"),
            ([tmp_path / "no.yaml"], f"{tmp_path / 'no.yaml'}: cannot be read: No such file or directory"),
            ([tmp_path / "no.yaml", run], f"{tmp_path / 'no.yaml'}: a sweep deck stands alone; give it without other runs")]:
        assert table(*arguments) == 2
        assert capsys.readouterr().err == f"analysis: {sentence}\n"


def test_an_unwritable_table_is_a_file_system_error(make_run, capsys):
    assert table(make_run("a"), "--out", "/proc/none/t.md") == 5
    assert "/proc/none/t.md: cannot be written" in capsys.readouterr().err


def test_the_example_runs(make_run, monkeypatch, capsys):
    runs = [make_run("a"), make_run("b", method="boa", perplexity=20.0)]
    monkeypatch.setattr(sys, "argv", ["explore_sweep.py", *map(str, runs)])
    runpy.run_path(str(ROOT / "analysis" / "examples" / "explore_sweep.py"))
    said = capsys.readouterr().out
    assert "worst layer: block 1, mlp.down_proj, relative loss 0.1000" in said and "second best" in said
