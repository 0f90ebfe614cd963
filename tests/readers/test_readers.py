# SPDX-License-Identifier: Apache-2.0
"""Exported folders in the hands of the programs they are for. `make test-readers` installs those; skipped without."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: `make test-readers` does it")
transformers = pytest.importorskip("transformers", reason="Transformers is not installed: `make test-readers` does it")
compressed_tensors = pytest.importorskip(
    "compressed_tensors", reason="compressed-tensors is not installed: `make test-readers` does it")

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / name) for name in ("regress", "python")]

from compressed_tensors.compressors import BaseCompressor  # noqa: E402
from compressed_tensors.quantization import QuantizationConfig  # noqa: E402
from compressed_tensors.utils.match import match_name  # noqa: E402
from safetensors import safe_open  # noqa: E402

import exported  # noqa: E402
from conftest import calibration, deck, evaluation, model  # noqa: E402, F401  (fixtures)
from program import quantize, run  # noqa: E402

MIXED = ('{"mlp.down_proj": {bits: 4, group_size: 32, symmetric: true}, "1.self_attn.*": {bits: 8, symmetric: true}, '
         '"2.mlp.up_proj": {bits: 3}}')
VARIANTS = {f"{bits} bits, groups of {group}, {'symmetric' if symmetric else 'asymmetric'}":
            {"quant.bits": bits, "quant.group_size": group, "quant.symmetric": str(symmetric).lower()}
            for bits in (2, 3, 4, 8) for group in (0, 32) for symmetric in (False, True)}
VARIANTS["5 bits"] = {"quant.bits": 5}
VARIANTS["7 bits"] = {"quant.bits": 7, "quant.group_size": 32, "quant.symmetric": "true"}
VARIANTS["mixed"] = {"quant.bits": 2, "quant.layers": MIXED}
VARIANTS["mixed, symmetric"] = {"quant.bits": 2, "quant.symmetric": "true", "quant.layers": MIXED}


@pytest.fixture(scope="module", params=VARIANTS)
def folder(request, deck, tmp_path_factory):  # noqa: F811
    """A run and its exports."""
    place = tmp_path_factory.mktemp("variant")
    quantize(deck, place / "run", {"quant.method": "rtn", "evaluation.kl": "false", **VARIANTS[request.param]})
    result = run("export", place / "run", "--format", "all", "--to", place)
    assert result.code == 0, result
    return place


def scheme_of(config, name):
    """The scheme whose targets fit a linear layer of this name, by the reader's own rule."""
    fitting = [scheme for scheme in config.config_groups.values()
               if any(target == "Linear" or match_name(name, target) for target in scheme.targets)]
    assert len(fitting) == 1, name
    return fitting[0]


def test_compressed_tensors_decompresses_to_q(folder):
    place = folder / "compressed-tensors"
    config = QuantizationConfig(**json.loads((place / "config.json").read_text())["quantization_config"])
    compressor = BaseCompressor.get_value_from_registry("pack-quantized")
    layers = list(exported.run_layers(folder / "run"))
    assert len(layers) == 28
    with safe_open(place / "model.safetensors", "pt") as file:
        for block, layer, data in layers:
            name = f"model.layers.{block}.{layer}"
            state = {key[len(name) + 1:]: file.get_tensor(key) for key in file.keys() if key.startswith(name + ".")}
            scheme = scheme_of(config, name)
            assert scheme.weights.num_bits == data["bits"]
            weight = compressor.decompress(state, scheme)["weight"]
            steps = data["codes"] - exported.spread(data["zero"], data["codes"].shape[1])
            scale = exported.spread(exported.rounded(data["scale"], "BF16"), steps.shape[1])
            want = exported.rounded(scale * steps.astype(np.float32), "BF16")  # the reader rounds products, too
            assert weight.dtype == torch.bfloat16
            assert np.array_equal(weight.float().numpy(), want), name


def nll(place, ids):
    """Mean cross-entropy of every window, by Transformers on the CPU, as in the program: bfloat16 weights."""
    quantization = json.loads((place / "config.json").read_text()).get("quantization_config", {})
    groups = quantization.get("config_groups", {}).values()
    options = {}
    if not all(group["weights"]["symmetric"] for group in groups):
        options["quantization_config"] = transformers.CompressedTensorsConfig(dequantize=True)
    network = transformers.AutoModelForCausalLM.from_pretrained(place, dtype=torch.bfloat16, **options).eval()
    with torch.no_grad():
        logits = network(torch.from_numpy(ids)).logits.float()
    return torch.nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2), torch.from_numpy(ids[:, 1:]),
                                             reduction="none").mean(1).numpy()


def told_to_open(place):
    return json.loads((place / "constrictor.json").read_text())["runtimes"]["Transformers"]["opens"]


@pytest.mark.parametrize("word", ("compressed-tensors", "dequantized"))
def test_transformers_computes_what_the_run_computed(folder, evaluation, word):  # noqa: F811
    import h5py

    if not told_to_open(folder / word):
        with pytest.raises(Exception):  # the day this fails, export/runtimes.cpp has to learn it
            nll(folder / word, np.zeros((1, 4), np.int64))
        return
    with h5py.File(evaluation) as file:
        ids = file["tokens"][:].astype(np.int64)
    with h5py.File(folder / "run" / "run.h5") as file:
        ours = next(iter(file["evaluation"].values()))["nll"][:]
    theirs = nll(folder / word, ids)
    assert theirs == pytest.approx(ours, abs=0.03), (theirs, ours)
    assert theirs.mean() == pytest.approx(ours.mean(), abs=0.01)
