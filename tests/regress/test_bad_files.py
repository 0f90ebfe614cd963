# SPDX-License-Identifier: Apache-2.0
"""Models and token files with one thing wrong: refused before the run folder exists, by file and name."""

import json

import h5py
import numpy as np
import pytest

from inputs import copied_model, edit_config, edit_tensor, join_safetensors, split_safetensors, write_deck, write_tokens
from program import assert_refused, quantize_arguments, run

WEIGHTS = "model.safetensors"


@pytest.fixture
def own_model(model, tmp_path):
    return copied_model(model, tmp_path / "model")


def refused(deck, tmp_path, settings, code, *words, ranks=1):
    result = run(*quantize_arguments(deck, tmp_path / "run", settings), ranks=ranks)
    assert_refused(result, code, *words)
    assert not (tmp_path / "run").exists()
    return result


def truncate(folder):
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[:len(data) // 2])


def truncate_header(folder):
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:100])


def empty(folder):
    (folder / WEIGHTS).write_bytes(b"")


def reshape(folder):
    header, data = split_safetensors(folder / WEIGHTS)
    header["model.layers.1.mlp.up_proj.weight"]["shape"].reverse()
    join_safetensors(folder / WEIGHTS, header, data)


def lose_a_tensor(folder):
    header, data = split_safetensors(folder / WEIGHTS)
    header["model.layers.1.mlp.lost.weight"] = header.pop("model.layers.1.mlp.up_proj.weight")
    join_safetensors(folder / WEIGHTS, header, data)


def integers(folder):
    header, data = split_safetensors(folder / WEIGHTS)
    header["model.layers.1.mlp.up_proj.weight"]["dtype"] = "I16"
    join_safetensors(folder / WEIGHTS, header, data)


def overlap(folder):
    header, data = split_safetensors(folder / WEIGHTS)
    header["model.layers.1.mlp.up_proj.weight"]["data_offsets"] = \
        header["model.layers.1.mlp.gate_proj.weight"]["data_offsets"]
    join_safetensors(folder / WEIGHTS, header, data)


def pickle_only(folder):
    (folder / WEIGHTS).rename(folder / "pytorch_model.bin")


def no_weights(folder):
    (folder / WEIGHTS).unlink()


def no_config(folder):
    (folder / "config.json").unlink()


def broken_config(folder):
    (folder / "config.json").write_text('{"model_type": "llama",')


def a_missing_shard(folder):
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors"}}))
    (folder / WEIGHTS).unlink()


MODELS = {
    truncate: (WEIGHTS, "truncated"),
    truncate_header: (WEIGHTS, "truncated"),
    empty: (WEIGHTS, "too short"),
    reshape: (WEIGHTS, "model.layers.1.mlp.up_proj.weight has shape [128, 352]", "config.json asks for [352, 128]"),
    lose_a_tensor: (WEIGHTS, "no tensor model.layers.1.mlp.up_proj.weight"),
    integers: (WEIGHTS, "model.layers.1.mlp.up_proj.weight", "I16", "F32, F16 or BF16"),
    overlap: (WEIGHTS, "overlaps"),
    pickle_only: ("pytorch_model.bin", "pickle", "safe_serialization"),
    no_weights: ("neither model.safetensors nor",),
    no_config: ("config.json", "No such file"),
    broken_config: ("config.json", "not valid JSON"),
    a_missing_shard: ("model-00001-of-00002.safetensors", "is missing"),
}


@pytest.mark.parametrize("damage", MODELS, ids=lambda damage: damage.__name__)
def test_a_damaged_model(deck, own_model, tmp_path, damage):
    damage(own_model)
    refused(deck, tmp_path, {"model.path": own_model}, 2, own_model, *MODELS[damage])


@pytest.mark.parametrize("changes, words", [
    ({"model_type": "mamba"}, ("model_type", "mamba", "known are llama", "state-space layers")),
    ({"model_type": None}, ("model_type",)),
    ({"architectures": ["LlamaForSequenceClassification"]}, ("architectures", "LlamaForCausalLM")),
    ({"hidden_act": "gelu"}, ("hidden_act", "gelu", "silu")),
    ({"hidden_size": 0}, ("hidden_size",)),
    ({"num_key_value_heads": 3}, ("3",)),
    ({"num_hidden_layers": 5}, ("no tensor model.layers.4",)),
    ({"vocab_size": 1000}, ("shape [2048, 128]", "[1000, 128]")),
    ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, ("yarn", "linear")),
    ({"quantization_config": {"quant_method": "gptq"}}, ("quantized already",)),
    ({"max_position_embeddings": 32}, ("sequences of 64 tokens", "32 positions")),
])
def test_a_config_we_do_not_know(deck, own_model, tmp_path, changes, words):
    edit_config(own_model, **changes)
    refused(deck, tmp_path, {"model.path": own_model}, 2, *words)


def changed_ids(path, calibration, **attributes):
    with h5py.File(calibration) as file:
        ids, facts = file["tokens"][()], dict(file.attrs)
    facts.pop("tokens_sha256")
    edit = attributes.pop("edit", lambda ids: ids)
    return write_tokens(path, edit(ids), **{**facts, **attributes})


def with_id(value):
    def edit(ids):
        ids[2, 3] = value
        return ids
    return edit


def test_a_token_beyond_the_vocabulary(deck, calibration, tmp_path):
    for value in (2048, -1):
        path = changed_ids(tmp_path / "bad.tokens.h5", calibration, edit=with_id(value))
        refused(deck, tmp_path, {"calibration.tokens": path}, 2, path, f"token {value} at [2, 3]", "vocabulary of 2048")


@pytest.mark.parametrize("attributes, words", [
    ({"tokenizer_sha256": "0" * 64}, ("another tokenizer", "0" * 64)),
    ({"tokens_sha256": "1" * 64}, ("tokens were changed", "1" * 64)),
    ({"vocab_size": np.int64(4096)}, ("vocabulary of 4096", "2048")),
    ({"schema": np.int64(9)}, ("schema 9", "knows 1")),
    ({"edit": lambda ids: ids[:0]}, ("no tokens",)),
])
def test_a_token_file_that_does_not_fit(deck, calibration, tmp_path, attributes, words):
    path = changed_ids(tmp_path / "bad.tokens.h5", calibration, **attributes)
    refused(deck, tmp_path, {"calibration.tokens": path}, 2, path, *words)
    refused(deck, tmp_path, {"evaluation.tokens": f"[{path}]"}, 2, path, *words)


def test_the_hash_of_the_deck(deck, calibration, tmp_path):
    refused(deck, tmp_path, {"calibration.tokens_sha256": "2" * 64}, 2, calibration, "2" * 64)


@pytest.mark.parametrize("content", (b"", b"some text", b"\x89HDF\r\n\x1a\n" + 100 * b"x"))
def test_a_file_that_holds_no_tokens(deck, tmp_path, content):
    path = tmp_path / "no.tokens.h5"
    path.write_bytes(content)
    refused(deck, tmp_path, {"calibration.tokens": path}, 2, path)


def test_a_truncated_token_file(deck, calibration, tmp_path):
    path = tmp_path / "short.tokens.h5"
    path.write_bytes(calibration.read_bytes()[:-500])
    refused(deck, tmp_path, {"calibration.tokens": path}, 2, path)


@pytest.mark.parametrize("value, word", ((np.nan, "NaN"), (np.inf, "Inf")))
@pytest.mark.parametrize("ranks", (1, 2))
def test_nan_planted_in_a_weight(deck, own_model, tmp_path, value, word, ranks):
    """Found when the block is read: the blocks before it are finished and stay."""
    def plant(values):
        values[7, 5] = value
    edit_tensor(own_model, "model.layers.2.mlp.up_proj.weight", plant)
    result = run(*quantize_arguments(deck, tmp_path / "run", {"model.path": own_model}), ranks=ranks)
    assert_refused(result, 4, "block 2", "model.layers.2.mlp.up_proj.weight", word, "[7, 5]")
    assert sorted(path.name for path in (tmp_path / "run" / "blocks").iterdir()) == ["0000.h5", "0001.h5"]
    assert json.loads((tmp_path / "run" / "state.json").read_text())["state"] == "failed"


def test_nan_in_the_embedding(deck, own_model, tmp_path):
    def plant(values):
        values[:, 5] = np.nan
    edit_tensor(own_model, "model.embed_tokens.weight", plant)
    result = run(*quantize_arguments(deck, tmp_path / "run", {"model.path": own_model}))
    assert_refused(result, 4, "model.embed_tokens.weight", "NaN", "[0, 5]")
