# SPDX-License-Identifier: Apache-2.0
"""What the user sees: plain lines in a file, one live line on a terminal, each thing once whatever the ranks."""

import os
import pty
import re
import subprocess

import pytest

from program import ENVIRONMENT, command, quantize, quantize_arguments

FACTS = ("model ", "method ", "calibration ", "machine ", "products ", "memory ", "run ")


@pytest.mark.parametrize("ranks", (1, 2))
def test_a_log_file_has_plain_lines_each_once(deck, tmp_path, ranks):
    result = quantize(deck, tmp_path / "run", ranks=ranks)
    assert result.complaints == []
    assert "\r" not in result.out and "\x1b" not in result.out and "%]" not in result.out
    lines = result.out.splitlines()
    for fact in FACTS:
        assert sum(line.startswith(fact) for line in lines) == 1
    blocks = [line for line in lines if line.startswith("block ")]
    assert len(blocks) == 4
    for number, line in enumerate(blocks, 1):
        pattern = rf"block {number} of 4   loss [\d.e-]+ \(worst \S+ [\d.e-]+\)   output error [\d.e-]+   [\d.]+ s"
        assert re.match(pattern, line) and line.endswith(" to go") == (number < 4)
    table = next(i for i, line in enumerate(lines) if line.startswith("text "))
    assert "full precision" in lines[table] and lines[table + 2].startswith("short ")
    assert sum(line.startswith("seconds ") for line in lines) == 1
    assert lines[-1] == f"results      {tmp_path / 'run'}"
    assert f"{ranks} rank" in next(line for line in lines if line.startswith("machine "))
    assert max(map(len, lines)) < 200


def seen_on_a_terminal(arguments, ranks):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command(*arguments, ranks=ranks), stdin=theirs, stdout=theirs, stderr=theirs, env=ENVIRONMENT)
    os.close(theirs)
    text = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        text += part
    os.close(ours)
    assert process.wait(timeout=60) == 0, text
    return text.decode()


@pytest.mark.parametrize("ranks", (1, 2))
def test_a_terminal_has_a_live_line(deck, tmp_path, ranks):
    text = seen_on_a_terminal(quantize_arguments(deck, tmp_path / "run", {}), ranks)
    shown = re.findall(r"\r\x1b\[K(\[ *\d+ %\] [^\r\x1b]*)", text)
    assert shown and any("block 1 of 4" in line for line in shown)
    assert all(len(line) < 80 for line in shown)
    # What stays when the live line has been cleared is what a log file gets.
    kept = re.sub(r"[^\n]*\r\x1b\[K", "", text.replace("\r\n", "\n"))
    assert "\x1b" not in kept and "%]" not in kept
    assert len(re.findall(r"^block \d of 4", kept, re.M)) == 4
    assert kept.rstrip().endswith(f"results      {tmp_path / 'run'}")
