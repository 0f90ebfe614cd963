# SPDX-License-Identifier: Apache-2.0
"""Exported folders against the run they come from, by an unpacker of our own (tests/python/exported.py)."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "python"))

import exported  # noqa: E402
from inputs import copied_model, edit_tensor  # noqa: E402
from program import assert_refused, quantize, run  # noqa: E402

MIXED = '{"mlp.down_proj": {bits: 4, group_size: 32, symmetric: true}, "1.self_attn.*": {bits: 8, symmetric: true}}'
VARIANTS = {
    "two": {"quant.bits": 2},
    "three": {"quant.bits": 3, "quant.group_size": 32, "quant.symmetric": "true"},
    "four": {"quant.bits": 4, "quant.symmetric": "true"},
    "five": {"quant.bits": 5, "quant.group_size": 32},
    "mixed": {"quant.bits": 2, "quant.layers": MIXED},
}


@pytest.fixture(scope="module")
def runs(deck, tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("runs"), {}

    def make(name):
        if name not in made:
            made[name] = folder / name
            quantize(deck, made[name], {"quant.method": "rtn", "evaluation.tokens": "[]", **VARIANTS[name]})
        return made[name]
    return make


def export(run_dir, word, to, *more):
    return run("export", run_dir, "--format", word, "--to", to, *more)


def module(block, name):
    return f"model.layers.{block}.{name}"


@pytest.mark.parametrize("name", VARIANTS)
def test_what_is_read_back_is_what_the_run_holds(runs, model, tmp_path, name):
    result = export(runs(name), "all", tmp_path / "out")
    assert result.code == 0, result
    source = exported.tensors(model)
    layers = list(exported.run_layers(runs(name)))
    assert len(layers) == 28
    for word in ("compressed-tensors", "gptq", "dequantized"):
        folder = tmp_path / "out" / word
        found = exported.tensors(folder)
        record = json.loads((folder / "constrictor.json").read_text())
        first_gptq = json.loads((folder / "config.json").read_text()).get("quantization_config", {}) \
            .get("checkpoint_format") == "gptq"
        assert first_gptq == (word == "gptq" and name == "four")
        replaced = set()
        for block, layer, data in layers:
            full, bits = module(block, layer), int(data["bits"])
            replaced.add(full + ".weight")
            steps = (data["codes"] - exported.spread(data["zero"], data["codes"].shape[1])).astype(np.float32)
            q = exported.spread(data["scale"], steps.shape[1]) * steps
            if word == "dequantized":
                got, want = found[full + ".weight"][1], exported.rounded(q, "BF16")
            else:
                got, scale = (exported.compressed_tensors_weight(found, full, bits) if word == "compressed-tensors"
                              else exported.gptq_weight(found, full, bits, first_gptq))
                assert np.array_equal(scale, exported.rounded(data["scale"], "BF16" if word[0] == "c" else "F16"))
                want = exported.spread(scale, steps.shape[1]) * steps
            assert np.array_equal(got, want), (word, full)
            norm = np.linalg.norm(q.astype(np.float64))
            assert record["layers"][full]["rounding"] == pytest.approx(np.linalg.norm(want - q) / norm, rel=1e-4)
        kept = {name for name in found if name in source}
        assert kept - replaced == set(source) - replaced  # embeddings stay, and stay tied
        assert all(np.array_equal(found[name][1], source[name][1]) for name in kept - replaced)
        for path in model.iterdir():
            if path.name not in ("config.json", "model.safetensors"):
                assert (folder / path.name).read_bytes() == path.read_bytes()
    assert "Transformers  yes" in result.out and "changes Q by" in result.out


def test_a_group_for_each_scheme(runs, tmp_path):
    assert export(runs("mixed"), "compressed-tensors", tmp_path / "ct").code == 0
    config = json.loads((tmp_path / "ct" / "config.json").read_text())["quantization_config"]
    assert config["ignore"] == ["lm_head"]
    groups = {group["weights"]["num_bits"]: group for group in config["config_groups"].values()}
    assert sorted(groups) == [2, 4, 8]
    assert groups[4]["targets"] == [r"re:.*layers\.(0|1|2|3)\.mlp\.down_proj$"]
    assert groups[4]["weights"]["strategy"] == "group" and groups[4]["weights"]["group_size"] == 32
    assert groups[8]["weights"]["strategy"] == "channel" and groups[8]["weights"]["group_size"] is None
    assert len(groups[8]["targets"]) == 4 and groups[8]["weights"]["symmetric"] is True
    assert export(runs("mixed"), "gptq", tmp_path / "gptq").code == 0
    config = json.loads((tmp_path / "gptq" / "quantize_config.json").read_text())
    assert config["bits"] == 2 and config["checkpoint_format"] == "gptq_v2"
    assert config["dynamic"][r"+:.*layers\.1\.self_attn\.q_proj$"] == {"bits": 8, "group_size": -1, "sym": True}


def test_an_earlier_export_is_replaced_and_nothing_else(runs, tmp_path):
    to = tmp_path / "out"
    assert export(runs("two"), "gptq", to).code == 0
    assert export(runs("four"), "compressed-tensors", f"{to}/").code == 0
    assert not (to / "quantize_config.json").exists() and sorted(tmp_path.iterdir()) == [to]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    assert_refused(export(runs("two"), "gptq", tmp_path / "mine"), 2, tmp_path / "mine", "no export of constrictor")
    assert_refused(export(runs("two"), "gptq", tmp_path / "mine" / "thesis.tex"), 2, "no folder")
    assert list((tmp_path / "mine").iterdir()) == [tmp_path / "mine" / "thesis.tex"]


def test_what_a_killed_export_left_is_cleared_away(runs, tmp_path):
    left = tmp_path / "out.partial"
    left.mkdir()
    (left / "constrictor.json").write_text("{}\n")
    (left / "model-00007-of-00009.safetensors").write_text("half")
    assert export(runs("two"), "compressed-tensors", tmp_path / "out").code == 0
    assert sorted(tmp_path.iterdir()) == [tmp_path / "out"]
    assert not list((tmp_path / "out").glob("*00007*"))


def test_incomplete_changed_and_wrong(runs, model, tmp_path):
    broken = shutil.copytree(runs("two"), tmp_path / "broken")
    (broken / "blocks" / "0001.h5").unlink()
    assert_refused(export(broken, "gptq", tmp_path / "out"), 2, broken, "blocks missing: 1;")
    other = copied_model(model, tmp_path / "model")
    edit_tensor(other, "model.layers.0.mlp.up_proj.weight", lambda w: w.__setitem__((0, 0), 1.0))
    assert_refused(export(runs("two"), "gptq", tmp_path / "out", "--model", other), 2, "made from another model", other)
    assert_refused(export(runs("two"), "awq", tmp_path / "out"), 2, "awq", "compressed-tensors, gptq, dequantized and all")
    assert_refused(run("export", runs("two"), "--format", "gptq"), 2, "--to is missing")
    assert_refused(export(tmp_path / "nowhere", "gptq", tmp_path / "out"), 2, "no run folder")
    with h5py.File(broken / "blocks" / "0000.h5", "r+") as file:
        file["mlp.up_proj"]["zero"][3, 0] = 4
    shutil.copy(runs("two") / "blocks" / "0001.h5", broken / "blocks" / "0001.h5")
    assert_refused(export(broken, "gptq", tmp_path / "out"), 2, "0000.h5", "mlp.up_proj", "from 0 to 3")
    with h5py.File(broken / "blocks" / "0000.h5", "r+") as file:
        file["mlp.up_proj"]["zero"][3, 0] = 1
        file["mlp.up_proj"]["scale"][3, 0] = 1e5
    assert_refused(export(broken, "all", tmp_path / "out"), 2, "gptq", "block 0 mlp.up_proj", "beyond float16")
    assert export(broken, "compressed-tensors", tmp_path / "out").code == 0  # bfloat16 holds it
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "model", "out"]


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options):
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder],
                                               capture_output=True).returncode != 0:
            pytest.skip("no permission to mount")
        return folder
    yield mount
    subprocess.run(["umount", str(folder)], capture_output=True)


@pytest.mark.parametrize("kilobytes", (4, 300, 720, 900))
def test_the_disk_fills_up(runs, small_disk, kilobytes):
    disk = small_disk(f"size={kilobytes}k")
    result = export(runs("two"), "all", disk / "out")
    assert_refused(result, 5, disk, "No space left on device")
    assert [path for path in disk.rglob("*") if path.is_file()] == []
    small_disk("remount,size=8m")
    assert export(runs("two"), "all", disk / "out").code == 0
