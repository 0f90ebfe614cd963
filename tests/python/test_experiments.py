# SPDX-License-Identifier: Apache-2.0
"""The decks under experiments/: every paper's sweep has its numbers, its line in the README and a small double on the demo
model with the same axes."""

import pytest

from analysis.published import load_published
from analysis.sweep_deck import load_sweep
from conftest import ROOT

EXPERIMENTS = ROOT / "experiments"
NOT_YET = {"gptaq_w4a4"}  # published numbers, and no deck: activations are not quantized
PAPERS = sorted(path.parent.name for path in EXPERIMENTS.glob("*/published.yaml"))


def test_all_published_tables_are_there():
    assert PAPERS == ["aespa_opt125m", "boa_opt125m", "gptaq_w4a4", "gptq_llama7b", "turboboa_features", "turboboa_minutes", "turboboa_rows"]
    assert {name for name in PAPERS if not (EXPERIMENTS / name / "sweep.yaml").exists()} == NOT_YET


@pytest.mark.parametrize("name", PAPERS)
def test_numbers_have_source_and_hardware_and_a_line_in_the_readme(name):
    published = load_published(EXPERIMENTS / name / "published.yaml")
    assert {"title", "source", "protocol", "hardware", "status"} <= set(published.about) and published.entries
    assert f"`{name}`" in (EXPERIMENTS / "README.md").read_text()
    if name not in NOT_YET:
        assert {"minutes", "hardware", "basis"} == set(published.about["expected"])


@pytest.mark.parametrize("name", [name for name in PAPERS if name not in NOT_YET])
def test_decks_name_models_by_variable_and_have_a_double(name):
    paper = load_sweep(EXPERIMENTS / name / "sweep.yaml")
    assert all(value.startswith("${MODELS}/") for value in (
        paper.base["model"]["path"], paper.base["calibration"]["tokens"], *paper.base["evaluation"]["tokens"]))
    assert str(paper.out) == f"runs/{name}"
    double = load_sweep(EXPERIMENTS / "demo" / "sweeps" / f"{name}.yaml")
    assert [axis.label for axis in paper.axes] == [axis.label for axis in double.axes]
    assert [len(axis.values) for axis in paper.axes] == [len(axis.values) for axis in double.axes]
    assert (paper.cell, paper.table, len(paper.members)) == (double.cell, double.table, len(double.members))


@pytest.mark.parametrize("sweep, published", [(f"{n}/sweep.yaml", f"{n}/published.yaml") for n in PAPERS if n not in NOT_YET]
                         + [("demo/sweeps/int2.yaml", "demo/sweeps/int2.published.yaml")])
def test_every_published_number_meets_a_cell_or_says_why_not(sweep, published):
    deck, numbers = load_sweep(EXPERIMENTS / sweep), load_published(EXPERIMENTS / published)
    axes = {axis.label: axis.values for axis in deck.axes}
    kept = [axis for axis in axes if axis not in deck.cell]
    for labels, _ in numbers.entries:
        strange = [axis for axis, name in labels.items() if axis not in axes or name not in axes[axis]]
        assert not strange or strange == ["rotation"], labels
        assert not labels or set(kept) <= set(labels), f"{labels} does not name every axis of {kept}"
