# SPDX-License-Identifier: Apache-2.0
"""`device: cuda` where it cannot be had, and `device: cpu`, which every binary knows; run with the CUDA build by `make test-cuda`."""

from program import assert_refused, quantize, quantize_arguments, run


def test_cuda_that_cannot_be_had_is_refused(deck, tmp_path):
    result = run(*quantize_arguments(deck, tmp_path / "run", {"run.device": "cuda"}))
    assert_refused(result, 2, "run.device: cuda: ", "run.device=cpu")
    assert not (tmp_path / "run").exists()


def test_cpu_always_works(deck, tmp_path):
    quantize(deck, tmp_path / "run", {"run.device": "cpu", "quant.method": "rtn"})
    assert (tmp_path / "run" / "run.h5").exists()
