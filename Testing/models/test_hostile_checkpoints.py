"""Small checkpoints that claim gigabytes: refused by name, and a process of its own tells how much memory that took."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from hostile_checkpoints import CHECKPOINTS, WEIGHT
from lnsegfm.base.errors import UserError
from lnsegfm.engine.networks.checkpoints import load_checkpoint, read_tensors
from lnsegfm.engine.networks.model_install import install_model
from lnsegfm.models.model_store import ModelStore
from tiny_models import make_model, tiny_checkpoint
from tiny_plans import tiny_plans

_MOST_GROWTH = 256 << 20
_CHILD = """
import json, sys
from pathlib import Path
from lnsegfm.base.errors import UserError
from lnsegfm.engine.networks.model_install import install_model
from lnsegfm.models.model_store import ModelStore

def peak():
    # Not getrusage: what a new process is told there begins with the peak of the one that started it.
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:")), 0)

folder = Path(sys.argv[1])
store, told = ModelStore(folder / "models"), {}
install_model(store, folder / "good.pth")
before = peak()
for path in sorted((folder / "hostile").iterdir()):
    try:
        install_model(store, path)
        told[path.stem] = ["installed", ""]
    except UserError as error:
        told[path.stem] = [error.what, error.why]
print(json.dumps({"growth": peak() - before, "told": told}))
"""


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process of its own made of all of them."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "hostile").mkdir()
    torch.save(tiny_checkpoint(tiny_plans()), folder / "good.pth")
    for name, (make, _word) in CHECKPOINTS.items():
        make(folder / "hostile" / f"{name}.pth")
    done = subprocess.run([sys.executable, "-c", _CHILD, str(folder)], check=True, stdout=subprocess.PIPE)
    left = [path.name for path in (folder / "models").iterdir()]
    for path in (folder / "hostile").iterdir():
        path.unlink()
    return {**json.loads(done.stdout), "left": left}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_it_is_refused_with_file_and_field(outcome: dict[str, Any], name: str) -> None:
    what, why = outcome["told"][name]
    assert f"{name}.pth" in what
    assert CHECKPOINTS[name][1] in why


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is not told")
def test_no_memory_is_taken_for_what_they_claim(outcome: dict[str, Any]) -> None:
    assert 0 < outcome["growth"] < _MOST_GROWTH


def test_nothing_of_them_is_left(outcome: dict[str, Any]) -> None:
    assert set(outcome["left"]) - {".lock"} == {"good"}


def test_the_state_of_the_optimizer_is_not_read(tmp_path: Path) -> None:
    """It may be larger than the weights, as those of Adam are, and is not looked at."""
    folder = make_model(tmp_path / "results")
    path = folder / "fold_0" / "checkpoint_final.pth"
    content = torch.load(path, weights_only=False)
    content["optimizer_state"] = {"state": {0: {"exp_avg": torch.zeros(1).expand(1 << 40)}}, "param_groups": []}
    torch.save(content, path)
    assert install_model(ModelStore(tmp_path / "models"), folder).card.folds == ("0",)


@pytest.mark.parametrize("name", ["repeated_numbers", "claimed_storage", "compressed_zeros"])
def test_they_are_refused_wherever_tensors_are_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / "checkpoint.pth"
    CHECKPOINTS[name][0](path)
    for read in (load_checkpoint, read_tensors):
        with pytest.raises(UserError, match=r"checkpoint\.pth"):
            read(path)


def test_weights_of_other_memory_orders_and_shared_ones_are_read_as_they_are(tmp_path: Path) -> None:
    content = tiny_checkpoint(tiny_plans())
    weights = content["network_weights"]
    whole = torch.arange(1000.0)
    weights[WEIGHT] = whole[100 : 100 + weights[WEIGHT].numel()].reshape(weights[WEIGHT].shape)
    last = next(name for name, value in weights.items() if value.ndim == 5 and value.shape[1] > 1)
    weights[last] = torch.randn(weights[last].shape).contiguous(memory_format=torch.channels_last_3d)
    torch.save(content, tmp_path / "a.pth")
    found = load_checkpoint(tmp_path / "a.pth")["network_weights"]
    assert all(torch.equal(found[name], value) for name, value in weights.items())
    assert found[WEIGHT].untyped_storage().nbytes() == found[WEIGHT].nbytes
