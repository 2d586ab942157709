"""Whether a job can work on this computer, before it starts: disk, main memory, GPU memory."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from pathlib import Path

from lnsegfm.base.computer.memory import free_memory_bytes
from lnsegfm.base.errors import UserError
from lnsegfm.base.home import Home
from lnsegfm.base.wording import data_size
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.jobs.job_spec import JobSpec
from lnsegfm.jobs.timing import Calibration
from lnsegfm.models.grid_limits import check_at_model
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_facts import ModelFacts
from lnsegfm.models.model_store import ModelStore

# A checkpoint has the weights and as much again for the optimiser, and the old one stays until the new one is complete;
# then comes the adapted model itself.
_MODEL_COPIES = 5
# A preprocessed voxel is a float32 and an int16 label; what compression saves is a reserve.
_VOXEL_BYTES = 6
_RESERVE_BYTES = 200 << 20
_QUERY_S = 10.0


def check(home: Home, spec: JobSpec, calibration: Calibration | None) -> None:
    """Refuse a job that cannot work.

    Args:
        home: Where the job will lie.
        spec: What is asked.
        calibration: What an iteration needs; None to look at the disk only.

    Raises:
        UserError: Something does not suffice; the text has the number needed and the number present. Or a case is too
            thin or too large at the model's voxel size; the text names it.
    """
    _check_grids(home, spec)
    needed, free = disk_bytes(home, spec), shutil.disk_usage(existing(home.root)).free
    _require("disk space", needed, free, "Free some, or move the data folder (LNSEGFM_HOME) to a larger disk.")
    if calibration is None:
        return
    if calibration.gpu_bytes:
        present = free_gpu_bytes(spec.device) or calibration.gpu_total_bytes
        _require(
            "GPU memory", calibration.gpu_bytes, present,
            "Close other programs that use the GPU, or choose a smaller batch size or the CPU.",
        )
    memory = free_memory_bytes()
    if memory is not None:
        _require(
            "main memory", calibration.memory_bytes, memory, "Close other programs, or choose a smaller batch size."
        )


def disk_bytes(home: Home, spec: JobSpec) -> int:
    """Return the disk space that a job will need at most, in bytes."""
    model = ModelStore(home.models).get(spec.base_model)
    cases = CaseStore(home.cases)
    facts = _facts(model)
    voxels = 0.0
    for ref in (*spec.cases, *spec.holdout):
        grid = cases.get(ref.id).geometry
        volume_mm3 = math.prod(grid.size) * math.prod(grid.spacing)
        voxels += volume_mm3 / math.prod(facts.spacing if facts is not None else grid.spacing)
    folds = model.card.folds if spec.base_folds == "all" else model.card.folds[:1]
    weights = sum(model.checkpoint(fold).stat().st_size for fold in folds)
    return int(_MODEL_COPIES * weights + _VOXEL_BYTES * voxels) + _RESERVE_BYTES


def free_gpu_bytes(device: str) -> int | None:
    """Return the free memory of the NVIDIA GPU that ``device`` means; None where the driver's tool does not say.

    Its own tool, because PyTorch, which knows it too, must not be loaded here.
    """
    number = device.partition(":")[2] or "0"
    command = ["nvidia-smi", f"--id={number}", "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=_QUERY_S, check=True, creationflags=_window_flags()
        )
        return int(answer.stdout.strip()) << 20
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _require(what: str, needed: int, present: int, todo: str) -> None:
    memory = "memory" in what
    if needed > present:
        raise UserError(
            f"There is not enough {what} for this job.",
            f"It needs {data_size(needed, memory=memory)}, and {data_size(present, memory=memory)} is free.", todo,
        )


def _check_grids(home: Home, spec: JobSpec) -> None:
    facts, cases = _facts(ModelStore(home.models).get(spec.base_model)), CaseStore(home.cases)
    if facts is None:
        return
    for ref in (*spec.cases, *spec.measured):
        todo = f"Leave the case out (lnsegfm cases use {ref.id} excluded), or store it with its right voxel size."
        check_at_model(cases.get(ref.id).geometry, facts, f"case '{ref.id}'", todo, later=True)


def _facts(model: ModelInfo) -> ModelFacts | None:
    """What the plans say; None where they cannot be read, which the job itself will say."""
    try:
        return ModelFacts.of(model)
    except UserError:
        return None


def _window_flags() -> int:
    if sys.platform == "win32":
        return subprocess.CREATE_NO_WINDOW
    return 0


def existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that exists."""
    return next(each for each in (path, *path.parents) if each.exists())
