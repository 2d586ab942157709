"""The state of a job as its folder tells it; the files' names and content in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from lnsegfm.base import schema
from lnsegfm.base.schema import Limits

JOB = "job.json"
STATUS = "status.json"
PROGRESS = "progress.jsonl"
LOG = "log.txt"
CANCEL = "cancel"
PAUSE = "pause"
RUN_LOCK = "run.lock"
START_LOCK = "start.lock"
LAUNCH = "launch.json"
RESERVE = "reserve"
WORK = "work"

ACTIVE = ("starting", "queued", "running")
ENDED = ("done", "failed", "cancelled", "paused")
RESUMABLE = ("created", "failed", "cancelled", "paused", "interrupted")
STATES = ("created", *ACTIVE, *ENDED, "interrupted")
_Count = Annotated[int, Limits(0, 1 << 60)]
_Time = Annotated[float, Limits(0)]
_Name = Annotated[str, Limits(length=200)]


@dataclass(frozen=True)
class JobStatus:
    """How a job stands.

    Args:
        state: One of `STATES`. ``interrupted``: it claims to be active, but its process is dead. ``paused``: its
            process wrote a checkpoint and ended, so that it holds neither GPU nor memory, and a resume is possible
            even after a restart of the computer. ``queued``: its process waits for another training on this computer.
        stage: What an active job does, for example ``preparing`` or ``training``.
        iteration: Iterations done.
        iterations: Iterations in all.
        epoch: The current epoch, from 0.
        loss: The latest loss.
        pseudo_dice: The latest pseudo-Dice on the hold-out cases.
        eta_s: Estimate of the seconds left.
        message: One sentence for the user.
        error: What went wrong, as `lnsegfm.base.errors.UserError.to_json`.
        model_id: Id of the finished model.
        metrics: Hold-out scores before and after.
        device: The device it runs on, and why.
        gpu_bytes: The most GPU memory that PyTorch has held for it; 0 where it uses no CUDA GPU.
        gpu_total_bytes: Memory of that GPU.
        pid: Process id of the runner.
        pid_started: `lnsegfm.base.processes.process_start_time` of it.
        heartbeat: When the runner last said that it lives, in seconds since 1970.
        updated: When anything else last changed, in seconds since 1970.
        queued_for: The device that a queued job waits for, see `lnsegfm.jobs.training_turn.device_key`.
        queued_since: Since when it waits, in seconds since the computer was started.
        waits_for: Id of the job that holds that device.
        notes: What the user should know of the cases that were prepared, a sentence each.
        starter: Of a job that is starting: id of the process that announced it.
        starter_started: `lnsegfm.base.processes.process_start_time` of it.
    """

    state: _Name = "created"
    stage: str = ""
    iteration: _Count = 0
    iterations: _Count = 0
    epoch: _Count = 0
    loss: Annotated[float | None, Limits(high=1.7e308)] = None
    pseudo_dice: float | None = None
    eta_s: float | None = None
    message: str = ""
    error: dict[str, str] | None = None
    model_id: _Name = ""
    metrics: dict[str, Any] | None = None
    device: str = ""
    gpu_bytes: _Count = 0
    gpu_total_bytes: _Count = 0
    pid: _Count = 0
    pid_started: float | None = None
    heartbeat: _Time = 0.0
    updated: _Time = 0.0
    queued_for: _Name = ""
    queued_since: _Time = 0.0
    waits_for: _Name = ""
    notes: tuple[str, ...] = ()
    starter: int = 0
    starter_started: float | None = None

    @property
    def active(self) -> bool:
        """Whether the job has a process, which works on it or waits for its turn."""
        return self.state in ACTIVE

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> JobStatus:
        """Rebuild a status; fields of a newer version are left out.

        Raises:
            SchemaError: A field is of another type, or beyond its limits.
        """
        return schema.read(cls, values, newer=True)
