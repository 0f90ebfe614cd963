# SPDX-License-Identifier: Apache-2.0
"""Makes the demo's two zero-shot tasks from the bundled evaluation text, always the same bytes.

next_sentence   which of four sentences comes next (multiple choice, acc and acc_norm)
last_word       the last word of a sentence (as LAMBADA: greedy decoding must hit it)

usage: python experiments/demo/tasks/make_tasks.py
"""
import json
import lzma
import random
import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
DOCUMENTS = 48


def sentences():
    text = lzma.open(HERE.parent / "text" / "evaluation.txt.xz", "rt", encoding="utf-8").read()
    found = (re.sub(r"\s+", " ", part).strip() for part in re.split(r"(?<=[.!?])\s+(?=[A-Z])", text))
    return [s for s in dict.fromkeys(found) if 20 < len(s) < 160 and s.count('"') % 2 == 0]


def main():
    generator, text = random.Random(0), sentences()
    tasks = {"next_sentence": [], "last_word": []}
    for _ in range(DOCUMENTS):
        at = generator.randrange(len(text) - 2)
        choices = [text[at + 1]] + generator.sample(text, 3)
        generator.shuffle(choices)
        tasks["next_sentence"].append({"context": text[at], "choices": choices, "label": choices.index(text[at + 1])})
        words = " ".join(text[at:at + 2]).rstrip(".!?\"'").split(" ")
        tasks["last_word"].append({"context": " ".join(words[:-1]), "word": words[-1]})
    for name, documents in tasks.items():
        lines = "".join(json.dumps(document, ensure_ascii=False) + "\n" for document in documents)
        (HERE / f"{name}.jsonl").write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    main()
