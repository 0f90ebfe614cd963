# SPDX-License-Identifier: Apache-2.0
"""Reading, tabulating and drawing runs, on run folders made by the fixture."""

import json

import h5py
import pytest

from analysis import plots, read_results, tables
from analysis.errors import UserError, call


def test_load_gives_one_row_per_run_block_and_layer(make_run):
    table = read_results.load([make_run("a"), make_run("b", method="boa")])
    assert len(table) == 2 * 2 * 3 and list(table["run"].unique()) == ["a", "b"]
    row = table[(table["run"] == "b") & (table["block"] == 1) & (table["layer"] == "mlp.down_proj")].iloc[0]
    assert (row["method"], row["kind"], row["bits"], row["rank"]) == ("boa", "down_proj", 2, 1)
    assert row["relative_loss"] == pytest.approx(4 / 40)
    assert row["block.seconds_by_phase"] == {"quantize": 1.5} and row["run.seconds_by_phase"]["evaluate"] == 100
    assert row["run.run_id"] == "abc" and row["block.output_cosine"] == 0.99


def test_a_folder_of_runs_is_searched(make_run):
    run = make_run("sweep/one")
    make_run("sweep/two")
    assert [r.name for r in read_results.find_runs([run.parent])] == ["one", "two"]


def test_load_takes_the_finished_blocks_of_a_run_under_way(make_run):
    run = make_run("a")
    (run / "run.h5").unlink()
    (run / "blocks" / "0002.h5.partial").write_bytes(b"half")
    assert set(read_results.load([run])["block"]) == {0, 1} and len(read_results.load_evaluations([run])) == 0


@pytest.mark.parametrize("file", ["run.h5", "blocks/0001.h5"])
def test_an_unknown_schema_is_refused(make_run, file):
    run = make_run("a")
    with h5py.File(run / file, "r+") as h5:
        h5.attrs["schema"] = 2
    with pytest.raises(UserError, match=f"{file}: schema 2, but this version of analysis reads only 1"):
        read_results.load([run])


def test_a_broken_file_is_named(make_run):
    run = make_run("a")
    (run / "blocks" / "0001.h5").write_bytes(b"not HDF5")
    with pytest.raises(UserError, match="0001.h5: not a readable HDF5 file"):
        read_results.load([run])
    with pytest.raises(UserError, match="holds no run"):
        read_results.load([run / "blocks"])


def test_log_and_state(make_run):
    run = make_run("a")
    assert read_results.load_log(run)["event"].tolist() == ["block"]  # the second line is half-written
    assert read_results.load_state(run)["blocks_done"] == 2
    (run / "state.json").write_text(json.dumps({"schema": 9}))
    with pytest.raises(UserError, match="schema 9"):
        read_results.load_state(run)


def test_markdown_table(make_run, capsys):
    runs = [make_run("a"), make_run("b", method="turboboa", perplexity=28.151)]
    assert call(tables.main, "analysis.tables", list(map(str, runs))) == 0
    assert capsys.readouterr().out.splitlines() == [
        "| run | method   | bits | full precision | quantized | KL (nats) | top-1 (%) | seconds |",
        "|-----|----------|-----:|---------------:|----------:|----------:|----------:|--------:|",
        "| a   | gptq     |    2 |          15.66 |     30.00 |     0.700 |      62.5 |     1.5 |",
        "| b   | turboboa |    2 |          15.66 |     28.15 |     0.700 |      62.5 |     1.5 |"]


def test_latex_and_csv(make_run, capsys):
    run = str(make_run("gptq", loss=30.0))
    assert call(tables.main, "", [run, "--format", "latex"]) == 0
    said = capsys.readouterr().out
    assert r"gptq & 2 & 15.66 & 30.00 & 0.700 & 62.5 & 1.5 & 6 layers worse than rounding \\" in said
    assert said.startswith(r"\begin{tabular}{lrrrrrrl}") and r"top-1 (\%)" in said
    assert call(tables.main, "", [run, "--format", "csv"]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("run_dir,name,method,bits,")


def test_a_fallback_shows_in_the_table(make_run, capsys):
    run = make_run("a")
    with h5py.File(run / "blocks/0000.h5", "r+") as file:
        file["mlp.down_proj"].attrs["method_used"] = "rtn"
    tables.main([str(run)])
    assert "1 of 6 layers by gptq+rtn" in capsys.readouterr().out


def test_bad_paths_are_one_sentence(tmp_path, capsys):
    assert call(tables.main, "analysis.tables", [str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err == f"analysis.tables: {tmp_path / 'none'}: no such folder\n"


def test_the_picture_shows_every_run(make_run, tmp_path, capsys):
    runs = [str(make_run("a")), str(make_run("x/b", method="boa", loss=0.5)), str(make_run("y/b", method="boa", bits=3))]
    out = tmp_path / "figures" / "demo.png"
    assert call(plots.main, "analysis.plots", [*runs, "--out", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG") and capsys.readouterr().out == f"{out}: 3 runs\n"
    figure, _ = plots.draw(runs)
    bars, losses = figure.axes
    assert [t.get_text() for t in bars.get_xticklabels()] == ["gptq 2 bits", "boa 2 bits", "boa 3 bits"]
    assert [t.get_text() for t in losses.get_xticklabels()] == ["q_proj", "v_proj", "down_proj"]
    assert losses.get_yscale() == "log"
    assert call(plots.main, "analysis.plots", [runs[0], "--out", str(tmp_path / "x.gif")]) == 2
