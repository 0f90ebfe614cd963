# SPDX-License-Identifier: Apache-2.0
"""The demo model's perplexities against those of the published code (table in experiments/demo/README.md)."""

import json
import re

import numpy as np
import pytest

from analysis.read_results import load_scores
from inputs import DEMO, demo_tokens, write_deck
from program import ROOT, quantize

JOINT = {"quant.drift": "none", "quant.refine_passes": 0}  # N = 16 and nothing else
DESCENDING = {"quant.column_order": "descending", "quant.row_order": "descending"}
ROWS = {
    "INT2 BoA (`rows_at_once: 1`, both orders original)": {"quant.method": "boa"},
    "INT2 joint rows, N = 16 (F1)": JOINT,
    "INT2 F1 + drift (F2)": {"quant.refine_passes": 0},
    "INT2 F1 + refinement (F3)": {"quant.drift": "none"},
    "INT2 TurboBoA, all": {},
    "INT2 TurboBoA, all, both orders descending": DESCENDING,
    "INT3 BoA": {"quant.method": "boa", "quant.bits": 3},
    "INT3 TurboBoA, all": {"quant.bits": 3},
}


@pytest.fixture(scope="module")
def published():
    """Row of the table -> perplexity with 64 windows."""
    lines = (line.split("|") for line in (DEMO / "README.md").read_text().splitlines() if line.count("|") == 5)
    return {cells[1].strip(): float(cells[2]) for cells in lines if re.fullmatch(r"[0-9.]+", cells[2].strip())}


@pytest.fixture(scope="module")
def whole_demo(tmp_path_factory, model):
    return write_deck(tmp_path_factory.mktemp("whole") / "deck.yaml", model, demo_tokens("calibration"),
                      demo_tokens("evaluation"), sequences=64)


def scores(deck, run_dir, settings):
    quantize(deck, run_dir, {"run.products": "float32", "evaluation.kl": "false", **settings}, ranks=2, timeout=120)
    return load_scores([run_dir]).iloc[0]


@pytest.mark.parametrize("row", ROWS)
def test_perplexity_is_that_of_the_published_code(whole_demo, published, tmp_path, row):
    """At 2 bits a change in the last digits of the input moves the result by up to 4 %, so three neighbours are averaged."""
    dampings = (0.0099, 0.01, 0.0101) if row.startswith("INT2") else (0.01,)
    found = [scores(whole_demo, tmp_path / str(d), {**ROWS[row], "quant.damping": d})["perplexity"] for d in dampings]
    assert np.exp(np.log(found).mean()) == pytest.approx(published[row], rel=0.04)
    assert found == pytest.approx(len(found) * [published[row]], rel=0.08)


def test_full_precision_is_that_of_transformers(whole_demo, tmp_path):
    found = scores(whole_demo, tmp_path / "run", {"evaluation.kl": "true", "quant.method": "rtn"})
    oracle = json.loads((ROOT / "tests" / "oracle" / "demo_perplexity.json").read_text())
    assert found["full_perplexity"] == pytest.approx(oracle["perplexity_float64"], rel=1e-5)
    assert found["windows"] == oracle["windows"] and found["length"] == oracle["length"]
    assert found["tokens_sha256"] == oracle["tokens_sha256"]


def test_every_row_of_the_table_is_tested(published):
    assert set(published) - {"full precision"} == set(ROWS)


def test_bfloat16_products_change_little(whole_demo, published, tmp_path):
    found = scores(whole_demo, tmp_path / "run", {"run.products": "bfloat16", "evaluation.kl": "true"})
    assert found["perplexity"] == pytest.approx(published["INT2 TurboBoA, all"], rel=0.05)
    assert found["full_perplexity"] == pytest.approx(published["full precision"], rel=0.002)
