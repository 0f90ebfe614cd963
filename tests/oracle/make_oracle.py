# SPDX-License-Identifier: Apache-2.0
"""Writes the small model folders and golden numbers of this folder with PyTorch and Transformers; run by hand.

    python tests/oracle/make_oracle.py [NAME ...]     # from the repository root; needs torch, transformers, h5py, tokenizers

Every folder holds a tiny random model and golden.h5, float32 arithmetic with eager attention on the stored weights:
    tokens int32 [batch, length]; logits float32 [batch, length, vocab]
    hidden float32 [blocks + 1, batch, length, hidden]: input of block 0, then the output of each block (before a final norm)
Norm weights, biases and positions are far from 1 and 0, so that a forgotten or exchanged operation shows.
"""
import json
import math
import platform
import shutil
import sys
from pathlib import Path

import h5py
import numpy as np
import torch
import transformers
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
DEMO = HERE.parents[1] / "experiments" / "demo"
sys.path.insert(0, str(HERE.parents[1]))

LLAMA = dict(architectures=["LlamaForCausalLM"], model_type="llama", attention_bias=False, attention_dropout=0.0,
             bos_token_id=0, eos_token_id=1, hidden_act="silu", max_position_embeddings=64, mlp_bias=False,
             num_hidden_layers=2, rms_norm_eps=1e-5, vocab_size=97, use_cache=True, initializer_range=0.02)
OPT = dict(architectures=["OPTForCausalLM"], model_type="opt", activation_function="relu", attention_dropout=0.0,
           bos_token_id=2, eos_token_id=2, pad_token_id=1, dropout=0.0, layerdrop=0.0, enable_bias=True,
           layer_norm_elementwise_affine=True, max_position_embeddings=48, num_hidden_layers=2, vocab_size=97,
           use_cache=True, init_std=0.02, _remove_final_layer_norm=False, tie_word_embeddings=True)
DENSE = dict(attention_dropout=0.0, bos_token_id=0, eos_token_id=1, hidden_act="silu", max_position_embeddings=64, num_hidden_layers=2,
             hidden_size=32, head_dim=16, num_attention_heads=4, num_key_value_heads=2, intermediate_size=48, rms_norm_eps=1e-5,
             rope_theta=10000.0, tie_word_embeddings=False, vocab_size=97, use_cache=True, initializer_range=0.02, torch_dtype="float32")
GEMMA = dict(DENSE, attention_bias=False, hidden_act="gelu_pytorch_tanh", hidden_activation="gelu_pytorch_tanh", pad_token_id=0,
             bos_token_id=2, rms_norm_eps=1e-6, tie_word_embeddings=True, query_pre_attn_scalar=24, sliding_window=7)
# name -> config.json as published models have it (rope_scaling and torch_dtype; llama_bias: the newer spelling)
MODELS = {
    "llama_gqa": dict(LLAMA, hidden_size=40, head_dim=16, num_attention_heads=4, num_key_value_heads=2,
                      intermediate_size=56, rope_theta=10000.0, tie_word_embeddings=False, torch_dtype="float32",
                      rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                        original_max_position_embeddings=16)),
    "llama_linear": dict(LLAMA, hidden_size=32, num_attention_heads=4, num_key_value_heads=4, intermediate_size=48,
                         rope_theta=500.0, tie_word_embeddings=True, torch_dtype="bfloat16",
                         rope_scaling=dict(type="linear", factor=2.5)),
    "llama_bias": dict(LLAMA, hidden_size=32, head_dim=8, num_attention_heads=4, num_key_value_heads=1,
                       intermediate_size=48, tie_word_embeddings=False, dtype="bfloat16", attention_bias=True,
                       mlp_bias=True, rope_parameters=dict(rope_type="default", rope_theta=20000.0)),
    "opt_before": dict(OPT, hidden_size=32, word_embed_proj_dim=32, ffn_dim=64, num_attention_heads=4,
                       do_layer_norm_before=True, torch_dtype="float16"),
    "opt_after": dict(OPT, hidden_size=48, word_embed_proj_dim=24, ffn_dim=64, num_attention_heads=3,
                      do_layer_norm_before=False, torch_dtype="float32"),
    "mistral": dict(DENSE, architectures=["MistralForCausalLM"], model_type="mistral", sliding_window=9, torch_dtype="bfloat16"),
    "qwen2": dict({key: value for key, value in DENSE.items() if key != "head_dim"}, architectures=["Qwen2ForCausalLM"],
                  model_type="qwen2", num_hidden_layers=3, use_sliding_window=True, sliding_window=10, max_window_layers=1, tie_word_embeddings=True, torch_dtype="bfloat16"),
    "qwen3": dict(DENSE, architectures=["Qwen3ForCausalLM"], model_type="qwen3", attention_bias=False, use_sliding_window=False,
                  sliding_window=None, max_window_layers=2, rope_scaling=None, rope_theta=1000000.0, torch_dtype="bfloat16"),
    "gemma2": dict(GEMMA, architectures=["Gemma2ForCausalLM"], model_type="gemma2", num_hidden_layers=3,
                   attn_logit_softcapping=5.0, final_logit_softcapping=3.0),
    "gemma3": dict(GEMMA, architectures=["Gemma3ForCausalLM"], model_type="gemma3_text", num_hidden_layers=6, hidden_size=24,
                   intermediate_size=32, num_key_value_heads=1, rope_theta=1000000.0, rope_local_base_freq=100.0,
                   rope_scaling=dict(rope_type="linear", factor=8.0), sliding_window_pattern=3, attn_logit_softcapping=None,
                   final_logit_softcapping=None, cache_implementation="hybrid"),
    "mixtral": dict(DENSE, architectures=["MixtralForCausalLM"], model_type="mixtral", num_local_experts=4, num_experts_per_tok=2,
                    intermediate_size=20, sliding_window=None, rope_theta=1000000.0, torch_dtype="bfloat16"),
    "qwen3_moe": dict(DENSE, architectures=["Qwen3MoeForCausalLM"], model_type="qwen3_moe", num_experts=6, num_experts_per_tok=3,
                      moe_intermediate_size=16, norm_topk_prob=True, decoder_sparse_step=1, mlp_only_layers=[],
                      sliding_window=None, use_sliding_window=False, max_window_layers=2, rope_theta=1000000.0, torch_dtype="bfloat16"),
}
# The converter of the published OPT checkpoints saved the bare OPTModel: its names lack the leading "model."
BARE_NAMES = {"opt_after"}
SHARDED = {"llama_gqa"}


def versions():
    return {"torch": str(torch.__version__), "transformers": transformers.__version__, "python": platform.python_version()}


def load(folder):
    """The stored weights, computed with in float32."""
    return transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager").eval()


def published(model_type, model):
    """name -> shape as published folders have them: Transformers fuses the experts of a block when it reads them."""
    gate, up, down = ("w1", "w3", "w2") if model_type == "mixtral" else ("gate_proj", "up_proj", "down_proj")
    names = {}
    for name, p in model.named_parameters():
        shape = tuple(p.shape)
        if model_type == "mixtral":
            name = name.replace(".mlp.", ".block_sparse_moe.")
        if not name.endswith(("gate_up_proj", "down_proj")) or len(shape) != 3:
            names[name] = shape
            continue
        for expert in range(shape[0]):
            place = f"{name.rsplit('.', 1)[0]}.{expert}."
            if name.endswith("gate_up_proj"):
                names[place + gate + ".weight"] = names[place + up + ".weight"] = (shape[1] // 2, shape[2])
            else:
                names[place + down + ".weight"] = shape[1:]
    return names


def random_weights(config, seed):
    """name -> tensor; matrices of variance 1 / inputs, norm weights around 1.2, everything else around 0."""
    with torch.device("meta"):
        names = published(config.model_type, transformers.AutoModelForCausalLM.from_config(config))
    chance, weights = np.random.default_rng(seed), {}
    for name, shape in sorted(names.items()):
        values = chance.standard_normal(shape)
        if name.endswith("norm.weight"):  # Gemma adds 1 itself
            values = (0.2 if "gemma" in config.model_type else 1.2) + 0.4 * values
        elif len(shape) == 1:
            values = 0.3 * values
        elif "embed" not in name:
            values *= 1.5 / math.sqrt(shape[1])
        weights[name] = torch.from_numpy(values)
    return weights


def write_model(folder, settings, seed):
    """config.json and safetensors, as a published model folder has them."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")
    dtype = getattr(torch, settings.get("torch_dtype") or settings["dtype"])
    weights = {name: values.to(dtype).contiguous() for name, values in
               random_weights(transformers.AutoConfig.from_pretrained(folder), seed).items()}
    if folder.name in BARE_NAMES:
        weights = {name.removeprefix("model."): values for name, values in weights.items()}
    if folder.name not in SHARDED:
        return save_file(weights, folder / "model.safetensors", {"format": "pt"})
    shards = [{}, {}]
    for number, (name, values) in enumerate(sorted(weights.items())):
        shards[number % 2][name] = values  # a block's tensors lie in both shards
    files = [f"model-{i + 1:05d}-of-{len(shards):05d}.safetensors" for i in range(len(shards))]
    for file, shard in zip(files, shards):
        save_file(shard, folder / file, {"format": "pt"})
    index = {"metadata": {"total_size": sum(v.numel() * v.element_size() for v in weights.values())},
             "weight_map": {name: file for file, shard in zip(files, shards) for name in sorted(shard)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")


@torch.no_grad()
def forward(model, tokens):
    """(logits, hidden) by hooks: output_hidden_states would show the last one after the final norm."""
    base = model.model.decoder if hasattr(model.model, "decoder") else model.model
    hidden = []
    hooks = [base.layers[0].register_forward_pre_hook(lambda _, args, kwargs: hidden.append(
        args[0] if args else kwargs["hidden_states"]), with_kwargs=True)]
    hooks += [block.register_forward_hook(lambda _m, _a, out: hidden.append(out[0] if isinstance(out, tuple) else out))
              for block in base.layers]
    logits = model(torch.as_tensor(tokens, dtype=torch.int64)).logits
    for hook in hooks:
        hook.remove()
    return logits.numpy(), np.stack([h.numpy() for h in hidden])


def write_h5(path, attributes, **datasets):
    with h5py.File(path, "w", libver=("earliest", "v110")) as file:
        for name, value in attributes.items():
            file.attrs[name] = value
        for name, values in datasets.items():
            file.create_dataset(name, data=values, track_times=False, compression="gzip", shuffle=True)


def make_model(name, settings, seed):
    folder = HERE / name
    write_model(folder, settings, seed)
    model = load(folder)
    tokens = np.random.default_rng(1000 + seed).integers(0, settings["vocab_size"], (3, 24)).astype(np.int32)
    logits, hidden = forward(model, tokens)
    write_h5(folder / "golden.h5", versions(), tokens=tokens, logits=logits, hidden=hidden)
    effect = ""
    if settings.get("rope_scaling") and settings["model_type"] == "llama":  # the scaling must matter, or a missing one would pass unseen
        model.config.rope_parameters = {"rope_type": "default", "rope_theta": settings["rope_theta"]}
        plain = transformers.AutoModelForCausalLM.from_config(model.config, attn_implementation="eager").eval()
        plain.load_state_dict(model.state_dict())
        effect = f", without rope_scaling {abs(forward(plain, tokens)[0] - logits).max():.3f} apart"
    print(f"{name}: logits {logits.std():.3f} rms, hidden {hidden.std():.3f}{effect}")


@torch.no_grad()
def demo():
    """Two calibration windows in detail, and the perplexity of the evaluation windows."""
    from analysis import samplers, tokens as tool

    def windows(text, sampler, count):
        options = tool.parse(["--tokenizer", str(DEMO / "model"), "--text", str(DEMO / "text" / text), "--length", "256",
                              "--sampler", sampler, "--sequences", str(count), "--out", "-"])
        return tool.build(options)

    def losses(model, tokens):  # [windows, length - 1]
        ids = torch.as_tensor(tokens, dtype=torch.int64)
        logits = model(ids).logits
        nll = -torch.log_softmax(logits.double(), -1)[:, :-1].gather(-1, ids[:, 1:, None])
        return logits, nll[..., 0].numpy()

    model = load(DEMO / "model")
    calibration, about = windows("calibration.txt.xz", "wikitext2-train", 2)
    logits, nll = losses(model, calibration.tokens)
    write_h5(HERE / "demo_golden.h5", versions(), tokens=calibration.tokens, nll=nll.astype(np.float32),
             last_logits=logits[:, -8:].numpy())
    evaluation, about = windows("evaluation.txt.xz", "windows", 256)
    result = {"windows": 256, "length": 256, "tokens_sha256": about["tokens_sha256"], "versions": versions()}
    for name, model in (("float32", model), ("float64", load(DEMO / "model").double())):
        nll = np.concatenate([losses(model, part)[1].mean(1) for part in np.split(evaluation.tokens, 32)])
        result[f"perplexity_{name}"] = float(np.exp(nll.mean()))
        result[f"first_window_losses_{name}"] = [float(x) for x in nll[:8]]
    (HERE / "demo_perplexity.json").write_text(json.dumps(result, indent=2) + "\n")
    print("demo:", result["perplexity_float32"], result["perplexity_float64"])


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    wanted = sys.argv[1:] or [*MODELS, "demo"]
    for seed, (name, settings) in enumerate(MODELS.items()):
        if name in wanted:
            make_model(name, settings, seed)
    if "demo" in wanted:
        demo()
