# SPDX-License-Identifier: Apache-2.0
"""The demo model with few and short tokens, so that a whole run takes half a second."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parent)]

from inputs import demo_tokens, short_tokens, write_deck  # noqa: E402
from program import PROGRAM, ROOT  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes many seconds")
    if not PROGRAM.exists():
        raise pytest.UsageError(f"{PROGRAM} is not built; `make build` does it")


@pytest.fixture(scope="session")
def model():
    return ROOT / "experiments" / "demo" / "model"


@pytest.fixture(scope="session")
def calibration(tmp_path_factory):
    """20 sequences of 64 tokens: more than the 16 lanes, and not a multiple of them."""
    return short_tokens(demo_tokens("calibration"), tmp_path_factory.mktemp("tokens") / "calibration.tokens.h5", 20, 64)


@pytest.fixture(scope="session")
def evaluation(tmp_path_factory):
    return short_tokens(demo_tokens("evaluation"), tmp_path_factory.mktemp("tokens") / "short.tokens.h5", 6, 64)


@pytest.fixture(scope="session")
def deck(tmp_path_factory, model, calibration, evaluation):
    return write_deck(tmp_path_factory.mktemp("deck") / "deck.yaml", model, calibration, evaluation, sequences=20)
