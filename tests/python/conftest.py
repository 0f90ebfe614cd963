# SPDX-License-Identifier: Apache-2.0
"""Small run folders, a sweep over some, and a tokenizer of twelve words, made on the spot."""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

LAYERS = ("self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj")


@pytest.fixture
def demo():
    return ROOT / "experiments" / "demo"


@pytest.fixture
def word_tokenizer(tmp_path):
    """tokenizer.json: w0 .. w11 have the ids 0 .. 11, <s> is 12 and put before every text."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    tokenizer = Tokenizer(models.WordLevel({**{f"w{i}": i for i in range(12)}, "<s>": 12}, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 12)])
    tokenizer.enable_truncation(5)  # transformers ignores it for tokenizer(text), and so must we
    path = tmp_path / "words.json"
    tokenizer.save(str(path))
    return path


@pytest.fixture
def make_run(tmp_path):
    """make_run(name, method=..., perplexity=..., blocks=...) writes a run folder as formats.md has it. `quant`: more keys
    of the deck; `words`: of a warning, or of the failure when `state` is failed."""
    def make(name, method="gptq", perplexity=30.0, blocks=2, bits=2, schema=1, seconds=1.5, loss=1.0, state="done", words="",
             ranks=2, quant=()):
        run = tmp_path / name
        (run / "blocks").mkdir(parents=True)
        for block in range(blocks):
            chance = np.random.default_rng(block)
            with h5py.File(run / "blocks" / f"{block:04d}.h5", "w") as file:
                file.attrs.update({"schema": schema, "seconds_by_phase": json.dumps({"quantize": seconds}),
                                   "output_cosine": 0.99 - 0.01 * block, "output_error_relative": 0.1 + 0.1 * block,
                                   "peak_memory_bytes": 1000})
                for i, layer in enumerate(LAYERS):
                    group = file.create_group(layer)
                    group["codes"] = chance.integers(0, 4, (6, 8)).astype(np.uint8)
                    group["scale"] = chance.random((6, 1)).astype(np.float32)
                    group["zero"] = np.ones((6, 1), np.float32)
                    group["error/row_loss"] = chance.random(6).astype(np.float32)
                    group["error/column_energy"] = chance.random(8).astype(np.float32)
                    group.attrs.update({"method": method, "method_used": method, "bits": bits, "group_size": 0, "position": i,
                                        "loss_before": max(2.0, loss * (i + 1 + block)), "loss_after": loss * (i + 1 + block),
                                        "loss_rounding": 20.0, "loss_scale": 40.0, "seconds": seconds, "rank": block % 2,
                                        "symmetric": False})
        keys = {"method": method, "bits": bits, "group_size": 0, "alpha": 0.25, **dict(quant)}
        deck = (f"model:\n  path: m\nquant:\n{''.join(f'  {k}: {v}' + chr(10) for k, v in keys.items())}  layers: {{}}\n"
                f"run:\n  out: {run.parent}\n")
        (run / "deck.yaml").write_text(deck)
        with h5py.File(run / "run.h5", "w") as file:
            file.attrs.update({"schema": schema, "run_id": "abc", "deck": deck, "state": state,
                               "seconds_by_phase": json.dumps({"quantize": seconds, "evaluate": 100.0}), "ranks": ranks})
            for block in range(blocks):
                file[f"blocks/{block:04d}"] = h5py.ExternalLink(f"blocks/{block:04d}.h5", "/")
            if perplexity is not None:
                group = file.create_group("evaluation/evaluation")
                group.attrs.update({"perplexity": perplexity, "full_perplexity": 15.66, "windows": 3, "length": 8,
                                    "kl_to_full": 0.7, "top1_agreement": 0.625})
                group["nll"], group["kl"] = np.array([3.4, 3.3, 3.5]), np.array([0.6, 0.7, 0.8])
        events = [{"event": "layer", "block": 0}, {"event": "warning" if state == "done" else state, "words": words}] if words else []
        lines = [json.dumps(event, separators=(",", ":")) for event in [{"time": 1.0, "event": "block"}, *events]]
        (run / "log.jsonl").write_text("\n".join(lines) + '\n{"time": 2.0, "ev')
        (run / "state.json").write_text(json.dumps({"schema": schema, "state": state, "blocks_done": blocks, "blocks": 4}))
        return run
    return make


@pytest.fixture
def make_sweep(tmp_path):
    """make_sweep(axes, more, published): a sweep deck over runs/ in which make_run("runs/..") puts runs; axes as YAML."""
    def make(axes, more="", published=None):
        deck = tmp_path / "sweep.yaml"
        deck.write_text(f"base: {{model: {{path: m}}, quant: {{alpha: 0.250}}, run: {{out: {tmp_path / 'runs'}}}}}\n"
                        f"axes:\n{axes}\n{more}\n")
        if published is not None:
            (tmp_path / "published.yaml").write_text(published)
        return deck
    return make
