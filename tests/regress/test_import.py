# SPDX-License-Identifier: Apache-2.0
"""`evaluate --model` on folders of codes, as other programs write them, and on those that cannot be read."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "python"))

import exported  # noqa: E402
from inputs import edit_config, split_safetensors  # noqa: E402
from program import assert_refused, quantize, run  # noqa: E402


@pytest.fixture(scope="module")
def folders(deck, tmp_path_factory):
    """The same run in all formats: 3 bits, groups of 32, asymmetric."""
    place = tmp_path_factory.mktemp("exports")
    quantize(deck, place / "run", {"quant.method": "rtn", "evaluation.tokens": "[]", "quant.bits": 3, "quant.group_size": 32})
    assert run("export", place / "run", "--format", "all", "--to", place).code == 0
    return place


def evaluate(folder, tokens):
    return run("evaluate", "--model", folder, "--tokens", tokens)


def perplexity(folder, tokens):
    result = evaluate(folder, tokens)
    assert result.code == 0, result
    return next(line for line in result.out.splitlines() if line.startswith("short ")).split()[5]


def replace_tensors(folder, change):
    """`change(name, dtype, shape, bytes)` -> the same for what takes its place."""
    header, data = split_safetensors(folder / "model.safetensors")
    made, out = {"__metadata__": header.pop("__metadata__")}, bytearray()
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        first, last = entry["data_offsets"]
        name, dtype, shape, stored = change(name, entry["dtype"], entry["shape"], bytes(data[first:last]))
        made[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(out), len(out) + len(stored)]}
        out += stored
    text = json.dumps(made).encode()
    text += b" " * (-len(text) % 8)
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + out)


def edit_quantization(folder, **changes):
    config = json.loads((folder / "config.json").read_text())["quantization_config"]
    edit_config(folder, quantization_config={**config, **changes})


def test_scattered_groups_of_gptq_are_honoured(folders, evaluation, tmp_path):
    """desc_act: g_idx names the group of every input, in any order."""
    gptq, dense = (shutil.copytree(folders / word, tmp_path / word) for word in ("gptq", "dequantized"))
    random = np.random.default_rng(1)

    def scatter(name, dtype, shape, stored):
        if name.endswith(".g_idx"):
            stored = random.permutation(np.frombuffer(stored, "<i4")).astype("<i4").tobytes()
        return name, dtype, shape, stored

    def same_weights(name, dtype, shape, stored):
        if name[:-len(".weight")] + ".qweight" in found:
            weight, _ = exported.gptq_weight(found, name[:-len(".weight")], 3, False)
            stored = (exported.rounded(weight, "BF16").view(np.uint32) >> 16).astype("<u2").tobytes()
        return name, dtype, shape, stored

    replace_tensors(gptq, scatter)
    edit_quantization(gptq, desc_act=True)
    found = exported.tensors(gptq)
    replace_tensors(dense, same_weights)
    assert perplexity(gptq, evaluation) == perplexity(dense, evaluation) != perplexity(folders / "gptq", evaluation)


def test_older_compressed_tensors_leave_bits_unused_and_zero_points_unpacked(folders, evaluation, tmp_path):
    """Before 0.18 ten codes of 3 bits lay in a word; before 0.11 zero points were signed bytes."""
    old = shutil.copytree(folders / "compressed-tensors", tmp_path / "old")
    found = exported.tensors(old)

    def as_before(name, dtype, shape, stored):
        module, _, kind = name.rpartition(".")
        if kind == "weight_packed":
            out, inputs = found[module + ".weight_shape"][1]
            codes = np.pad(exported.codes(found[name][1], 3, inputs), ((0, 0), (0, -inputs % 10))).reshape(out, -1, 10)
            words = (codes << (3 * np.arange(10))).sum(2).astype("<u4")
            shape, stored = list(words.shape), words.tobytes()
        if kind == "weight_zero_point":
            zero = exported.codes(found[name][1].T, 3, found[module + ".weight_shape"][1][0]).T - 4
            dtype, shape, stored = "I8", list(zero.shape), zero.astype("i1").tobytes()
        return name, dtype, shape, stored

    replace_tensors(old, as_before)
    assert perplexity(old, evaluation) == perplexity(folders / "compressed-tensors", evaluation)


def test_what_the_configuration_leaves_out_stays_as_it_is(folders, evaluation, tmp_path):
    """One layer dense and on the ignore list: its weight is taken as it is."""
    mixed = shutil.copytree(folders / "compressed-tensors", tmp_path / "mixed")
    name = "model.layers.2.mlp.up_proj"
    weight, _ = exported.compressed_tensors_weight(exported.tensors(mixed), name, 3)
    raw = (exported.rounded(weight, "BF16").view(np.uint32) >> 16).astype("<u2").tobytes()

    def put_back(key, dtype, shape, stored):
        if key == name + ".weight_packed":
            return name + ".weight", "BF16", list(weight.shape), raw
        return key, dtype, shape, stored

    replace_tensors(mixed, put_back)
    edit_quantization(mixed, ignore=["lm_head", name])
    result = evaluate(mixed, evaluation)
    assert "27 layers of 3 bits" in result.out and result.code == 0
    assert perplexity(mixed, evaluation) == perplexity(folders / "compressed-tensors", evaluation)


@pytest.mark.parametrize("word, changes, words", (
    ("gptq", {"quant_method": "awq"}, ("quant_method", "awq", "compressed-tensors and gptq")),
    ("gptq", {"bits": 12}, ("quantization_config.bits", "12", "2 to 8")),
    ("gptq", {"checkpoint_format": "marlin"}, ("checkpoint_format", "marlin", "gptq and gptq_v2")),
    ("gptq", {"group_size": 64}, ("shape", "model.layers.0")),
    ("gptq", {"lm_head": True}, ("lm_head", "head")),
    ("gptq", {"dynamic": {"+:(": {}}}, ("(", "no regular expression")),
    ("compressed-tensors", {"format": "int-quantized"}, ("format", "int-quantized", "pack-quantized")),
    ("compressed-tensors", {"kv_cache_scheme": {"num_bits": 8}}, ("kv_cache_scheme",)),
    ("compressed-tensors", {"config_groups": {"group_0": {"targets": ["Linear"], "weights": {
        "num_bits": 4, "type": "float", "strategy": "group", "group_size": 16}}}}, ("type", "float")),
    ("compressed-tensors", {"config_groups": {"group_0": {"targets": ["Linear"], "weights": {"num_bits": 3, "group_size": 32},
                                                          "input_activations": {"num_bits": 8}}}}, ("input_activations",)),
    ("compressed-tensors", {"config_groups": {}}, ("config_groups", "empty")),
    ("compressed-tensors", {"ignore": ["re:.*q_proj"]}, ("model.layers.0.self_attn.q_proj.weight",)),
))
def test_what_cannot_be_read_is_refused_in_a_sentence(folders, evaluation, tmp_path, word, changes, words):
    folder = shutil.copytree(folders / word, tmp_path / "bad")
    edit_quantization(folder, **changes)
    assert_refused(evaluate(folder, evaluation), 2, folder if word != "gptq" or "dynamic" not in changes else "", *words)


def test_groups_that_do_not_exist_and_scales_that_are_no_numbers(folders, evaluation, tmp_path):
    for number, (ending, code, words) in enumerate(((".g_idx", 2, ("names group 2139095040",)),
                                                    (".scales", 4, ("NaN or Inf", "block 0")))):
        folder = shutil.copytree(folders / "gptq", tmp_path / str(number))
        replace_tensors(folder, lambda name, dtype, shape, stored: (
            name, dtype, shape, b"\x00\x00\x80\x7f"[-4 if ending == ".g_idx" else -2:] + stored[4 if ending == ".g_idx" else 2:]
            if name == "model.layers.0.mlp.up_proj" + ending else stored))
        assert_refused(evaluate(folder, evaluation), code, "model.layers.0.mlp.up_proj" + ending, *words)


def test_codes_are_not_quantized_again(folders, deck):
    assert_refused(run("quantize", deck, "--set", f"model.path={folders / 'gptq'}"), 2, "quantized already")
    assert_refused(run("evaluate", folders / "run", "--set", f"model.path={folders / 'gptq'}", "--set",
                       "evaluation.kl=false"), 2)
