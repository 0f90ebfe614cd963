# SPDX-License-Identifier: Apache-2.0
"""Llama folders with random bfloat16 weights, and random token files: for times and memory, not for quality."""

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from analysis import token_file  # noqa: E402


@dataclass(frozen=True)
class Shape:
    """A model of the Llama family."""
    hidden: int
    blocks: int
    heads: int
    kv_heads: int
    head_dim: int
    feed_forward: int
    vocabulary: int
    dtype: str = "bfloat16"  # of the file: bfloat16 or float32

    def tensors(self):
        """(name, shape) of every tensor."""
        attention, cache = self.heads * self.head_dim, self.kv_heads * self.head_dim
        yield "model.embed_tokens.weight", (self.vocabulary, self.hidden)
        yield "lm_head.weight", (self.vocabulary, self.hidden)
        yield "model.norm.weight", (self.hidden,)
        for block in range(self.blocks):
            at = f"model.layers.{block}."
            yield at + "input_layernorm.weight", (self.hidden,)
            yield at + "post_attention_layernorm.weight", (self.hidden,)
            yield at + "self_attn.q_proj.weight", (attention, self.hidden)
            yield at + "self_attn.k_proj.weight", (cache, self.hidden)
            yield at + "self_attn.v_proj.weight", (cache, self.hidden)
            yield at + "self_attn.o_proj.weight", (self.hidden, attention)
            yield at + "mlp.gate_proj.weight", (self.feed_forward, self.hidden)
            yield at + "mlp.up_proj.weight", (self.feed_forward, self.hidden)
            yield at + "mlp.down_proj.weight", (self.hidden, self.feed_forward)

    def config(self):
        return {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": self.hidden,
                "num_hidden_layers": self.blocks, "num_attention_heads": self.heads, "num_key_value_heads": self.kv_heads,
                "head_dim": self.head_dim, "intermediate_size": self.feed_forward, "vocab_size": self.vocabulary,
                "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
                "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": False, "torch_dtype": self.dtype}


def stored(values, dtype):
    """float32 values as the bytes of a safetensors file; bfloat16 rounds to nearest, ties to even."""
    values = np.ascontiguousarray(values, np.float32)
    if dtype == "float32":
        return values.tobytes()
    bits = values.view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()


def write_model(folder, shape, seed=0):
    """Norm weights 1, embeddings N(0, 1), matrices N(0, 1 / inputs). The same bytes for the same seed."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    header, data = {"__metadata__": {"format": "pt"}}, bytearray()
    for name, size in shape.tensors():
        if len(size) == 1:
            values = np.ones(size)
        else:
            deviation = 1 if name == "model.embed_tokens.weight" else size[1] ** -0.5
            values = generator.standard_normal(size, np.float32) * np.float32(deviation)
        first = len(data)
        data += stored(values, shape.dtype)
        header[name] = {"dtype": "BF16" if shape.dtype == "bfloat16" else "F32", "shape": list(size),
                        "data_offsets": [first, len(data)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
    (folder / "config.json").write_text(json.dumps(shape.config(), indent=1) + "\n")
    return folder


def write_tokens(path, sequences, length, vocabulary, purpose="calibration", seed=0):
    """Uniformly random ids."""
    ids = np.random.default_rng(seed).integers(0, vocabulary, (sequences, length), dtype=np.int32)
    digest = hashlib.sha256(ids.astype("<i4").tobytes()).hexdigest()
    facts = {"schema": np.int64(1), "purpose": purpose, "vocab_size": np.int64(vocabulary), "tokenizer_sha256": "",
             "text_sha256": "", "text_name": "random ids", "sampler": "windows", "seed": np.int64(seed), "bos_id": np.int64(0),
             "created_by": "tests/bench/random_model.py", "tokens_sha256": digest}
    token_file.write(path, token_file.image({"tokens": ids, "start": np.arange(sequences, dtype=np.int64) * length}, facts))
    return Path(path)
