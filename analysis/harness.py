# SPDX-License-Identifier: Apache-2.0
"""Requests of tasks by lm-evaluation-harness: its tasks, its prompts, its way to cut context and continuation."""

import contextlib
import hashlib
import io
import json
import logging
import os
import random
import tempfile
from pathlib import Path

import numpy as np

from analysis.errors import UserError
from analysis.request_file import Request, Task

FORMATS = {".jsonl": "json", ".json": "json", ".parquet": "parquet"}


def import_harness(pip_line):
    """The harness's modules, without network and without its chatter."""
    os.environ.update(HF_DATASETS_OFFLINE="1", HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1",
                      HF_DATASETS_DISABLE_PROGRESS_BARS="1", TOKENIZERS_PARALLELISM="false")
    try:
        import lm_eval
        import transformers
        from lm_eval.models.huggingface import HFLM
        from lm_eval.tasks import TaskManager
    except ImportError as error:
        raise UserError(f"lm-evaluation-harness cannot be imported ({error}); {pip_line}, then set "
                        "CONSTRICTOR_PYTHON to that python") from None
    logging.disable(logging.WARNING)
    return lm_eval, transformers, HFLM, TaskManager


def open_tokenizer(folder, transformers, wanted_length):
    """(tokenizer, hash of tokenizer.json, vocabulary, tokens that the model reads at most)."""
    folder = Path(folder)
    for name in ("config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            raise UserError(f"{folder}: no {name}; --tokenizer takes a model folder")
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
        config = json.loads((folder / "config.json").read_text())
        vocabulary = int(config["vocab_size"])
        length = wanted_length or int(config["max_position_embeddings"])
    except Exception as error:
        raise UserError(f"{folder}: not a usable tokenizer: {error}") from None
    return tokenizer, hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest(), vocabulary, length


def encoder(HFLM, tokenizer):
    """The harness's Transformers backend without a model: pairs() hands back tokens instead of log-likelihoods."""
    from lm_eval.api.model import TemplateLM

    class Encoder(HFLM):
        def __init__(self):
            self.tokenizer, self.add_bos_token, self.custom_prefix_token_id = tokenizer, None, None
            self.backend = "causal"

        def pairs(self, instances):
            return TemplateLM.loglikelihood(self, instances, disable_tqdm=True)

        def _loglikelihood_tokens(self, requests, **_):
            return [(context, continuation) for _, context, continuation in requests]

    return Encoder()


def files_of_split(place, split, part, task):
    """Files below the folder `place` that hold `split` of the data set's part."""
    place = place / part if part and (place / part).is_dir() else place
    found = sorted(p for p in place.rglob("*") if p.suffix in FORMATS and p.stem.split("-")[0] == split)
    if not found:
        raise UserError(f"task {task}: {place} has no {split}.jsonl, .json or .parquet "
                        f"(nor {split}-00000-of-00001.parquet)")
    return found


def data_of(task, split, part, places):
    """(format, files) of a task's documents, or None when --data says nothing."""
    place = places.get(task)
    if place is None and None in places:
        candidates = [places[None] / task] + [places[None] / (task + suffix) for suffix in FORMATS]
        place = next((c for c in candidates if c.exists()), None)
        if place is None:
            raise UserError(f"task {task}: {places[None]} has no {task}/, {task}.jsonl, .json or .parquet")
    if place is None:
        return None
    files = files_of_split(place, split, part, task) if place.is_dir() else [place]
    formats = {FORMATS.get(p.suffix) for p in files}
    if len(formats) != 1 or None in formats:
        raise UserError(f"task {task}: {files[0]}: documents must be .jsonl, .json or .parquet, of one kind")
    return formats.pop(), [str(p) for p in files]


def load_task(manager, name, places):
    """The harness's task on local data."""
    from lm_eval.tasks._yaml_loader import load_yaml
    entry = manager.task_index.get(name)
    if entry is None or entry.yaml_path is None:
        raise UserError(f"task {name}: lm-evaluation-harness has no such task with a YAML file (--yaml adds one)")
    config = load_yaml(entry.yaml_path, resolve_func=True)
    if (kind := config.get("output_type")) not in ("multiple_choice", "loglikelihood"):
        raise UserError(f"task {name}: is of the kind {kind}; multiple_choice and loglikelihood are known")
    split = config.get("test_split") or config.get("validation_split")
    data = data_of(name, split, config.get("dataset_name"), places)
    overrides = {"num_fewshot": 0}
    if data is not None:
        overrides |= {"dataset_path": data[0], "dataset_name": None, "training_split": None, "fewshot_split": None,
                      "validation_split": None if config.get("test_split") else split,
                      "dataset_kwargs": {"data_files": {split: data[1]}}}
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            loaded = manager.load(config | overrides)
    except Exception as error:
        hint = "" if data else "; nothing is downloaded, --data says where the documents lie"
        raise UserError(f"task {name}: its data cannot be loaded: {str(error).splitlines()[0]}{hint}") from None
    return loaded["tasks"][name]


def gold_of(task, doc, choices):
    gold = task.doc_to_text(doc) if task.multiple_input else task.doc_to_target(doc)
    if isinstance(gold, str):
        gold = choices.index(gold) if gold in choices else -1
    return gold if isinstance(gold, int) and 0 <= gold < len(choices) else -1


def check_rule(name, harness_task, doc, requests, rule, generator):
    """Our rules on made-up answers must say what the harness's own say."""
    values = [(-50 * generator.random(), generator.random() < 0.5) for _ in requests]
    theirs = harness_task.process_results(doc, values)
    if rule == "greedy":
        ours = {"acc": int(values[0][1])}
    else:
        lls = np.asarray([value for value, _ in values])
        ours = {"acc": int(np.argmax(lls) == requests[0].gold),
                "acc_norm": int(np.argmax(lls / [max(r.characters, 1) for r in requests]) == requests[0].gold)}
    for metric in ours.keys() & theirs.keys():
        if theirs[metric] != ours[metric]:
            raise UserError(f"task {name}: document {requests[0].document} is judged by rules that this program does "
                            f"not know (several right choices?)")


def requests_of(name, task, encoder, max_length, limit):
    """A Task of all requests, in the order of documents and choices."""
    with contextlib.redirect_stderr(io.StringIO()):  # a progress bar
        task.build_all_requests(limit=limit, rank=0, world_size=1)
    metrics = {entry["metric"] for entry in task.config.metric_list}
    if not metrics & {"acc", "acc_norm"}:
        raise UserError(f"task {name}: has neither acc nor acc_norm among its metrics ({', '.join(sorted(metrics))})")
    rule = "greedy" if task.config.output_type == "loglikelihood" else "likeliest"
    instances = sorted(task.instances, key=lambda i: (i.doc_id, i.idx))
    if not instances:
        raise UserError(f"task {name}: its data has no documents")
    by_document = {}
    for instance, pair in zip(instances, encoder.pairs(instances)):
        by_document.setdefault(instance.doc_id, []).append((instance, pair))
    generator, requests = random.Random(0), []
    for number, asked in by_document.items():
        doc = asked[0][0].doc
        choices = [asked[0][0].args[1]] if rule == "greedy" else task.doc_to_choice(doc)
        gold = 0 if rule == "greedy" else gold_of(task, doc, choices)
        if gold < 0 or len(asked) != len(choices):
            raise UserError(f"task {name}: document {number} has {len(asked)} requests for {len(choices)} choices and "
                            f"the gold choice {task.doc_to_target(doc)!r}; one gold choice each is known")
        made = [one_request(name, number, c, gold, choices[c], pair, max_length) for c, (_, pair) in enumerate(asked)]
        check_rule(name, task, doc, made, rule, generator)
        requests += made
    return Task(name, rule, rule == "likeliest" and "acc_norm" in metrics, str(task.VERSION), len(by_document), requests)


def one_request(name, document, choice, gold, text, tokens, max_length):
    """As HFLM feeds the model: the last max_length + 1 tokens, of which the very last is only predicted."""
    context, continuation = (list(map(int, part)) for part in tokens)
    if not continuation or len(continuation) > max_length:
        raise UserError(f"task {name}: document {document}, choice {choice}: {len(continuation)} tokens of continuation; "
                        f"1 to {max_length} are possible")
    whole = (context + continuation)[-(max_length + 1):]
    return Request(whole, len(whole) - len(continuation), len(text), len(text.encode()), document, choice, gold,
                   len(whole) < len(context) + len(continuation))


def built_tasks(options, names, places, pip_line):
    """([Task], attributes that all request files share)."""
    lm_eval, transformers, HFLM, TaskManager = import_harness(pip_line)
    tokenizer, sha256, vocabulary, max_length = open_tokenizer(options.tokenizer, transformers, options.max_length)
    for path in options.yaml:
        if not Path(path).is_file():
            raise UserError(f"--yaml {path}: no such file")
    own = [str(Path(path).resolve().parent) for path in options.yaml]
    with tempfile.TemporaryDirectory() as cache:
        import datasets
        datasets.config.HF_DATASETS_CACHE = Path(cache)  # what `datasets` makes of the files is not kept
        manager = TaskManager(include_path=own, include_defaults=False)
        if not set(names) <= set(manager.all_tasks):  # reading all of the harness's YAML takes a while
            manager = TaskManager(include_path=own)
        encode = encoder(HFLM, tokenizer)
        tasks = [requests_of(name, load_task(manager, name, places), encode, max_length, options.limit)
                 for name in names]
    largest = max(token for task in tasks for request in task.requests for token in request.tokens)
    if largest >= vocabulary:
        raise UserError(f"{options.tokenizer}: the tokenizer gave id {largest}, but config.json has a vocabulary of "
                        f"{vocabulary}; tokenizer and model do not belong together")
    return tasks, {"vocab_size": np.int64(max(tokenizer.get_vocab().values()) + 1), "tokenizer_sha256": sha256,
                   "max_length": np.int64(max_length), "harness": f"lm-eval {lm_eval.__version__}"}
