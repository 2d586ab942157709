"""Which device the work runs on; a GPU that is not there is never replaced silently."""

from __future__ import annotations

import pytest
import torch

from lnsegfm.base.errors import UserError
from lnsegfm.engine.devices import choose_device


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1 << 30, 2 << 30))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_is_chosen_by_its_number() -> None:
    for wish, number in (("cuda:1", 1), ("cuda:0", 0), ("cuda", 0), ("auto", 0)):
        device, reason = choose_device(wish)
        assert (device.type, device.index) == ("cuda", number) and reason.startswith(f"GPU {number}, 1.0 of 2.0 GB")


@pytest.mark.usefixtures("two_gpus")
def test_a_number_that_no_gpu_has_is_refused_with_those_that_are_there() -> None:
    with pytest.raises(UserError, match=r"no GPU 'cuda:5'.*finds cuda:0, cuda:1") as refusal:
        choose_device("cuda:5")
    assert "driver" not in str(refusal.value)


def test_without_a_gpu_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="No CUDA GPU can be used"):
        choose_device("cuda:1")


@pytest.mark.parametrize("wish", ["tpu", "cuda:", "cuda:x", "cpu:1", "cuda:-1", ""])
def test_other_names_are_unknown(wish: str) -> None:
    with pytest.raises(UserError, match="Unknown device"):
        choose_device(wish)


def test_the_processor_works_with_no_more_threads_than_it_may_use_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(6)
        monkeypatch.setattr("lnsegfm.engine.devices.cpu_count", lambda: 3)
        assert "CPU with 3 threads" in choose_device("cpu")[1] and torch.get_num_threads() == 3
        torch.set_num_threads(2)
        choose_device("cpu")
        assert torch.get_num_threads() == 2, "what the user chose by OMP_NUM_THREADS stays"
    finally:
        torch.set_num_threads(before)
