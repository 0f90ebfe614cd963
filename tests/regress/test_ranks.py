# SPDX-License-Identifier: Apache-2.0
"""The same bits on any number of ranks and threads, for every option and model family."""

import h5py
import numpy as np
import pytest

from analysis.compare_runs import differences
from analysis.read_results import load_scores
from inputs import write_deck, write_tokens
from program import ROOT, quantize

VARIANTS = {
    "turboboa": {},
    "gptq": {"quant.method": "gptq", "quant.grid": "mse", "quant.symmetric": "true"},
    "everything": {"quant.group_size": 32, "quant.column_order": "descending", "quant.row_order": "descending",
                   "quant.value_row_metric": "output", "quant.drift": "exact", "quant.refine_passes": 2},
}
KEEP = {"run.keep.statistics": "true", "run.keep.activations": 100}


def assert_equal(a, b):
    counts = dict.fromkeys(("files", "groups", "datasets"), 0)
    assert list(differences(a, b, counts)) == []
    assert counts["datasets"] > 10


@pytest.fixture(scope="module")
def one_rank(deck, tmp_path_factory):
    """Run folders of one rank with one thread, by variant."""
    runs = {}

    def run_of(name):
        if name not in runs:
            runs[name] = tmp_path_factory.mktemp("one") / name
            quantize(deck, runs[name], {**VARIANTS[name], **KEEP, "run.threads": 1})
        return runs[name]
    return run_of


@pytest.mark.parametrize("ranks", (2, 3, 4))
@pytest.mark.parametrize("variant", VARIANTS)
def test_ranks_do_not_change_a_bit(deck, one_rank, tmp_path, variant, ranks):
    quantize(deck, tmp_path / "run", {**VARIANTS[variant], **KEEP}, ranks=ranks)
    assert_equal(one_rank(variant), tmp_path / "run")


@pytest.mark.parametrize("variant, threads", [*((variant, 2) for variant in VARIANTS), ("everything", 3)])
def test_threads_do_not_change_a_bit(deck, one_rank, tmp_path, variant, threads):
    quantize(deck, tmp_path / "run", {**VARIANTS[variant], **KEEP, "run.threads": threads})
    assert_equal(one_rank(variant), tmp_path / "run")


def test_more_ranks_than_sequences_works_and_says_so(deck, tmp_path):
    few = {"calibration.sequences": 2}
    alone = quantize(deck, tmp_path / "a", few)
    crowd = quantize(deck, tmp_path / "b", few, ranks=3)
    assert_equal(tmp_path / "a", tmp_path / "b")
    assert "more ranks than calibration sequences" in crowd.out
    assert "more ranks" not in alone.out


def test_fast_reduction_is_near(deck, one_rank, tmp_path):
    quantize(deck, tmp_path / "run", {"run.reduction": "fast"}, ranks=3)
    exact, fast = (load_scores([run]).iloc[0] for run in (one_rank("turboboa"), tmp_path / "run"))
    assert fast["perplexity"] == pytest.approx(exact["perplexity"], rel=0.02)
    same = []
    for block in sorted((tmp_path / "run" / "blocks").glob("*.h5")):
        with h5py.File(block) as a, h5py.File(one_rank("turboboa") / "blocks" / block.name) as b:
            same += [(a[layer]["codes"][()] == b[layer]["codes"][()]).mean() for layer in a]
    assert np.mean(same) > 0.97


@pytest.mark.parametrize("family", ("llama_gqa", "llama_linear", "llama_bias", "opt_before", "opt_after", "mistral", "qwen2", "qwen3",
                                    "gemma2", "gemma3", "mixtral", "qwen3_moe"))
def test_every_family_on_three_ranks(tmp_path, family):
    """Two blocks of odd sizes; bfloat16, float16 and float32 files, one of them in shards."""
    ids = np.random.default_rng(7).integers(0, 97, (9, 40))
    tokens = write_tokens(tmp_path / "c.tokens.h5", ids[:5], vocab_size=np.int64(97))
    heldout = write_tokens(tmp_path / "e.tokens.h5", ids[5:], vocab_size=np.int64(97))
    deck = write_deck(tmp_path / "deck.yaml", ROOT / "tests" / "oracle" / family, tokens, heldout, sequences=5)
    quantize(deck, tmp_path / "a", KEEP)
    quantize(deck, tmp_path / "b", KEEP, ranks=3)
    assert_equal(tmp_path / "a", tmp_path / "b")
