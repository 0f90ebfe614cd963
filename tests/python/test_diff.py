# SPDX-License-Identifier: Apache-2.0
"""`analysis diff` finds a planted difference, and only true ones, and says by how much."""

import h5py
import numpy as np
import pytest

from analysis.__main__ import main
from analysis.errors import call


def compare(a, b, *more):
    return call(main, "analysis", ["diff", str(a), str(b), *more])


def test_equal_runs_may_differ_in_what_the_machine_decides(make_run, capsys):
    a, b = make_run("a"), make_run("b", seconds=9.0)
    with h5py.File(b / "run.h5", "r+") as file:
        file.attrs["ranks"] = 4
        file.attrs["git_sha"] = "only here"
    assert compare(a, b) == 0
    said = capsys.readouterr().out
    # 2 blocks x (root, 3 layers, 3 x error) + run.h5 x (root, blocks, evaluation, its data set)
    assert said == "equal: 3 files, 18 groups, 32 datasets\n"


def plant_last_bit(file):
    scale = file["self_attn.v_proj/scale"]
    values = scale[()]
    values[4, 0] = np.nextafter(values[4, 0], np.float32(9))
    scale[...] = values


def plant_attribute(file):
    file["mlp.down_proj"].attrs["loss_after"] = np.nextafter(file["mlp.down_proj"].attrs["loss_after"], 9)


def plant_sign_of_zero(file):
    file["self_attn.q_proj"].attrs["loss_before"] = -0.0


def plant_type(file):
    values = file["self_attn.q_proj/codes"][()].astype(np.int32)
    del file["self_attn.q_proj/codes"]
    file["self_attn.q_proj/codes"] = values


def plant_dataset(file):
    file["self_attn.q_proj/column_order"] = np.arange(8)


PLANTED = [(plant_last_bit, "self_attn.v_proj/scale: differs first at [4, 0]"),
           (plant_attribute, "mlp.down_proj: attribute loss_after is"),
           (plant_sign_of_zero, "self_attn.q_proj: attribute loss_before is 0.0 in A and -0.0 in B"),
           (plant_type, "self_attn.q_proj/codes: uint8 [6, 8] in A and int32 [6, 8] in B"),
           (plant_dataset, "self_attn.q_proj/column_order: is only in B")]


@pytest.mark.parametrize("plant, sentence", PLANTED, ids=[p[0].__name__ for p in PLANTED])
def test_a_planted_difference_is_found(make_run, capsys, plant, sentence):
    a, b = make_run("a"), make_run("b")
    with h5py.File(a / "blocks" / "0001.h5", "r+") as file:
        file["self_attn.q_proj"].attrs["loss_before"] = 0.0
    with h5py.File(b / "blocks" / "0001.h5", "r+") as file:
        file["self_attn.q_proj"].attrs["loss_before"] = 0.0
        plant(file)
    assert compare(a, b) == 1
    said = capsys.readouterr().out
    assert f"first value that differs:\n  blocks/0001.h5: {sentence}" in said and said.count("blocks/0001.h5") == 1


def test_a_missing_block_and_all_differences(make_run, capsys):
    a, b = make_run("a", perplexity=29.0), make_run("b", blocks=1)
    assert compare(a, b, "--all") == 1
    said = capsys.readouterr().out
    assert "blocks/0001.h5: is only in A" in said and "evaluation/evaluation: attribute perplexity is 29.0 in A" in said


def test_how_far_runs_are_apart(make_run, capsys):
    a, b = make_run("a", perplexity=29.0), make_run("b", perplexity=31.5, bits=3)
    with h5py.File(a / "blocks/0001.h5", "r+") as file, h5py.File(b / "blocks/0001.h5", "r+") as other:
        for h5 in (file, other):
            h5["self_attn.v_proj/codes"][...] = 3
            h5["self_attn.v_proj/scale"][...] = 0.5
        other["self_attn.v_proj/codes"][0, :4] = 2
    assert compare(a, b) == 1
    said = capsys.readouterr().out
    assert "deck: quant.bits: 2 in A, 3 in B\n" in said
    # 4 of 48 weights are 0.5 instead of 1.0: |Q_A - Q_B| / |Q_A| = sqrt(4 * 0.25 / 48)
    assert ("first layer that differs: block 1, self_attn.v_proj: 4 of 48 codes (8.3 %), |Q_A - Q_B| / |Q_A| = 0.144, "
            "loss 3 in A, 3 in B") in said
    assert "|     0 |             0 of 3 |            0.1 |            0.1 |" in said
    assert "|     1 |             1 of 3 |            0.2 |            0.2 |" in said
    assert "| evaluation: perplexity     |    29 |  31.5 |  +2.5 |" in said


def test_runs_of_other_shape_are_no_crash(make_run, capsys):
    a, b = make_run("a"), make_run("b")
    with h5py.File(b / "blocks/0000.h5", "r+") as file:
        del file["self_attn.q_proj/codes"]
        file["self_attn.q_proj/codes"] = np.zeros((2, 8), np.uint8)
    assert compare(a, b) == 1
    assert "block 0, self_attn.q_proj: codes is [6, 8] in A and [2, 8] in B" in capsys.readouterr().out


def test_nan_equals_nan(make_run):
    runs = [make_run("a"), make_run("b")]
    for run in runs:
        with h5py.File(run / "run.h5", "r+") as file:
            file["evaluation/evaluation"].attrs["kl_to_full"] = np.nan
            file["evaluation/evaluation/kl"][0] = np.nan
    assert compare(*runs) == 0


def test_two_names_are_needed(make_run, tmp_path, capsys):
    a = make_run("a")
    assert compare(a, tmp_path / "none") == 2
    assert "no such folder" in capsys.readouterr().err
    make_run("many/b")
    make_run("many/c")
    assert compare(a, tmp_path / "many") == 2
    assert "holds several runs, one is needed" in capsys.readouterr().err
