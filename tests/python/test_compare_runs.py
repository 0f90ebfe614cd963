# SPDX-License-Identifier: Apache-2.0
"""compare_runs finds a planted difference, and only true ones."""

import h5py
import numpy as np
import pytest

from analysis import compare_runs
from analysis.errors import call


def compare(a, b, *more):
    return call(compare_runs.main, "analysis.compare_runs", [str(a), str(b), *more])


def test_equal_runs_may_differ_in_what_the_machine_decides(make_run, capsys):
    a, b = make_run("a"), make_run("b", seconds=9.0)
    with h5py.File(b / "run.h5", "r+") as file:
        file.attrs["ranks"] = 4
        file.attrs["git_sha"] = "only here"
    assert compare(a, b) == 0
    # 2 blocks x (root, 3 layers, 3 x error) + run.h5 x (root, blocks, evaluation, its data set)
    assert capsys.readouterr().out == "equal: 3 files, 18 groups, 20 datasets\n"


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
    assert said.startswith("blocks/0001.h5: ") and sentence in said and said.count("\n") == 1


def test_a_missing_block_and_all_differences(make_run, capsys):
    a, b = make_run("a", perplexity=29.0), make_run("b", blocks=1)
    assert compare(a, b, "--all") == 1
    said = capsys.readouterr().out
    assert "blocks/0001.h5: is only in A" in said and "evaluation/evaluation: attribute perplexity is 29.0 in A" in said


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
