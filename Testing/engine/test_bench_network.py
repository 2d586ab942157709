"""The network of the benchmark fits the patches that it is measured on: the paper's, and a smaller one on CPUs."""

from __future__ import annotations

import pytest
import torch

from bench.network import PATCH, paper_network


@pytest.mark.parametrize("patch", [PATCH, (32, 64, 96)])
def test_the_network_takes_the_patch_whole(patch: tuple[int, int, int]) -> None:
    with torch.device("meta"):
        network = paper_network()
        outputs = network(torch.empty(2, 1, *patch))
    assert [tuple(outputs[0].shape), len(outputs)] == [(2, 2, *patch), 5]
    assert 30e6 < sum(parameter.numel() for parameter in network.parameters()) < 32e6
