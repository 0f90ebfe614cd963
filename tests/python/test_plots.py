# SPDX-License-Identifier: Apache-2.0
"""Pictures show every run that was given, and reports hold everything in one file."""

import re

import pytest

import analysis
from analysis import plot, plot_style
from analysis.__main__ import main
from analysis.errors import call


def drawn(what, *runs, **more):
    figure, count = plot.draw(what, analysis.load(*runs), **more)
    plot_style.plt.close(figure)
    return figure, count


@pytest.fixture
def runs(make_run):
    return [make_run("a"), make_run("x/b", method="boa", loss=0.5, perplexity=28.0),
            make_run("y/b", method="boa", bits=3, perplexity=18.0), make_run("c", bits=3, perplexity=19.0)]


def test_the_overview_shows_every_run(runs, tmp_path, capsys):
    out = tmp_path / "figures" / "demo.png"
    assert call(main, "analysis", ["plot", "overview", *map(str, runs), "--out", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG") and capsys.readouterr().out == f"{out}: 4 runs\n"
    bars, losses = drawn("overview", *runs)[0].axes
    assert [t.get_text() for t in bars.get_xticklabels()] == ["gptq, 2 bits", "boa, 2 bits", "boa, 3 bits", "gptq, 3 bits"]
    assert [t.get_text() for t in losses.get_xticklabels()] == ["q_proj", "v_proj", "down_proj"]
    assert losses.get_yscale() == "log"


def test_layers_and_growth_have_a_line_for_every_run(runs):
    figure, _ = drawn("layers", *runs)
    assert [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()] == ["q_proj", "v_proj", "down_proj"]
    lines = figure.axes[2].get_lines()
    assert len(lines) == 4 and lines[1].get_ydata().tolist() == pytest.approx([1.5 / 40, 2 / 40])
    assert len({line.get_color() for line in lines}) == len({line.get_marker() for line in lines}) == 4
    error, cosine = drawn("growth", *runs)[0].axes
    assert error.get_lines()[0].get_ydata().tolist() == pytest.approx([0.1, 0.2])
    assert cosine.get_lines()[0].get_ydata().tolist() == pytest.approx([0.01, 0.02])


def test_bits_joins_the_best_run_of_each_width(runs, make_run):
    panel, = drawn("bits", *runs, make_run("worse", perplexity=50.0, quant={"damping": 0.1}))[0].axes
    lines = {line.get_label(): line for line in panel.get_lines()}
    assert lines["gptq"].get_xydata().tolist() == [[2, 30.0], [3, 19.0]] and lines["boa"].get_xydata().tolist() == [[2, 28.0], [3, 18.0]]
    assert "full precision 15.66" in lines and any(line.get_xydata().tolist() == [[2, 50.0]] for line in panel.get_lines())


def test_phases_and_scaling(make_run):
    runs = [make_run(f"n{n}", ranks=n, seconds=8 / n + (n > 2)) for n in (1, 2, 4)]
    panel, = drawn("phases", *runs)[0].axes
    assert [text.get_text() for text in panel.texts] == ["108.0", "104.0", "103.0"]
    time, efficiency = drawn("scaling", *runs)[0].axes
    assert time.get_lines()[0].get_xydata().tolist() == [[1, 8], [2, 4], [4, 3]]
    assert efficiency.get_lines()[0].get_ydata().tolist() == pytest.approx([100, 100, 8 / 12 * 100])


def test_heat_maps_show_one_run(make_run):
    figure, count = drawn("rows", make_run("a"))
    assert count == 1 and figure.axes[0].images[0].get_array().shape == (2, 6)
    assert drawn("columns", make_run("b"))[0].axes[0].images[0].get_array().shape == (2, 8)


@pytest.mark.parametrize("arguments, sentence", [
    (["rows"], "4 runs are too many for this picture (1 at most); choose with --only AXIS=NAME (method: gptq, boa; bits: 2, 3)"),
    (["layers", "--only", "size=2"], "--only size=2: AXIS=NAME expected, with an axis out of method, bits, group_size"),
    (["layers", "--only", "bits=5"], "--only bits=5: leaves no run with a finished block"),
    (["bits", "--only", "bits=2"], "these runs have all the same bits"),
    (["scaling"], "scaling needs runs of one deck with different numbers of ranks"),
])
def test_what_cannot_be_drawn_is_said(runs, tmp_path, capsys, arguments, sentence):
    out = ["--out", str(tmp_path / "x.png")]
    runs[3].joinpath("run.h5").touch()
    assert call(main, "analysis", ["plot", arguments[0], *map(str, runs), *arguments[1:], *out]) == 2
    assert sentence in capsys.readouterr().err


def test_a_picture_has_a_known_suffix(make_run, tmp_path, capsys):
    assert call(main, "analysis", ["plot", "layers", str(make_run("a")), "--out", str(tmp_path / "x.gif")]) == 2
    assert "a picture is .png, .pdf or .svg" in capsys.readouterr().err


def test_sweeps_draw_the_best_of_each_cell(make_run, make_sweep):
    make_run("runs/a", quant={"row_order": "original"})
    make_run("runs/b", quant={"row_order": "descending"}, perplexity=20.0)
    make_run("runs/c", quant={"row_order": "descending"}, perplexity=25.0, method="boa")
    deck = make_sweep("- {key: quant.method, values: [gptq, boa]}\n- {key: quant.row_order, values: [original, descending]}",
                      "cell: {row_order: best}")
    figure, count = drawn("layers", deck)
    assert count == 2 and [text.get_text() for text in figure.legends[0].get_texts()] == ["gptq", "boa"]


def test_the_report_is_one_file(make_run, make_sweep, tmp_path, capsys):
    make_run("runs/a", words="block 0, q: 3 inputs are always zero")
    make_run("runs/b", bits=3, perplexity=20.0)
    deck = make_sweep("- {key: quant.bits, values: [2, 3, 4]}", published="title: A <table>\nsource: a paper\nnumbers: [{bits: 2, perplexity: 31}]")
    out = tmp_path / "r.html"
    assert call(main, "analysis", ["report", str(deck), "--out", str(out)]) == 0
    text = out.read_text()
    assert "<h1>A &lt;table&gt;</h1>" in text and "not started" in text and "3 inputs are always zero" in text and "a paper" in text
    assert text.count("data:image/png;base64,") == 7 and "scaling: not drawn" in text
    assert not re.search(r'(src|href)="(?!data:)', text) and "path: m" in text


def test_a_report_of_many_runs_draws_the_first_of_them(make_run, make_sweep, tmp_path):
    for number in range(9):
        make_run(f"runs/{number}", quant={"alpha": number / 10})
    deck = make_sweep("- {key: quant.alpha, values: [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]}\n- {key: quant.bits, values: [2]}",
                      "table: {columns: [alpha]}")
    out = tmp_path / "r.html"
    assert call(main, "analysis", ["report", str(deck), "--out", str(out)]) == 0
    assert out.read_text().count("data:image/png;base64,") == 6 and "8 of 9 runs: alpha 0.0; alpha 0.1;" in out.read_text()
