# SPDX-License-Identifier: Apache-2.0
"""Looking at runs by hand: cells as in a notebook (VS Code, Spyder and Jupytext run them one by one). As a script:

    python analysis/examples/explore_sweep.py runs/demo/*
    python analysis/examples/explore_sweep.py experiments/demo/sweeps/turboboa_features.yaml
"""

# %% All tables at once. Give a sweep deck, or run folders.
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from analysis import load  # noqa: E402

results = load(*(sys.argv[1:] or ["runs/demo"]))
axes = results.axes or ["method", "bits"]
print(results.runs[[*axes, "run", "state", "seconds"]].to_string(index=False), "\n")

# %% The best run, by KL to the full-precision model: it moves less by chance than perplexity does.
scores = results.scores.dropna(subset=["perplexity"])
best = scores.loc[scores["kl_to_full"].fillna(scores["perplexity"]).idxmin()]
print(f"best: {best['run']} with perplexity {best['perplexity']:.2f} (full precision {best['full_perplexity']:.2f})\n")

# %% Which kinds of layers lose most in it, and in which block?
layers = results.layers[results.layers["run_dir"] == best["run_dir"]]
print(layers.pivot_table(index="block", columns="kind", values="relative_loss", sort=False).round(4).to_string(), "\n")
worst = layers.loc[layers["relative_loss"].idxmax()]
print(f"worst layer: block {worst['block']}, {worst['layer']}, relative loss {worst['relative_loss']:.4f}, "
      f"damping {worst.get('damping', float('nan')):g}\n")

# %% Is the difference between the best run and the second larger than what windows vary? Paired over windows.
table = results.windows[results.windows["dataset"] == best["dataset"]].pivot(index="window", columns="run_dir", values="nll")
others = [run for run in scores.sort_values("perplexity")["run_dir"] if run != best["run_dir"] and run in table]
if others:
    gap = table[others[0]] - table[best["run_dir"]]
    error = gap.std() / len(gap) ** 0.5
    print(f"second best: {others[0]}, {gap.mean():+.4f} nats a token, standard error {error:.4f} over {len(gap)} windows\n")

# %% Does the loss of layers foretell the error of the block's output?
mean_loss = layers.groupby("block")["relative_loss"].mean().rename("mean relative loss")
error = results.blocks[results.blocks["run_dir"] == best["run_dir"]].set_index("block")["output_error_relative"]
print(mean_loss.to_frame().join(error).round(4).to_string())
