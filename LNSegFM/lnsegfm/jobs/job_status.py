"""The state of a job as its folder tells it; the files' names and content in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

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

    state: str = "created"
    stage: str = ""
    iteration: int = 0
    iterations: int = 0
    epoch: int = 0
    loss: float | None = None
    pseudo_dice: float | None = None
    eta_s: float | None = None
    message: str = ""
    error: dict[str, str] | None = None
    model_id: str = ""
    metrics: dict[str, Any] | None = None
    device: str = ""
    gpu_bytes: int = 0
    gpu_total_bytes: int = 0
    pid: int = 0
    pid_started: float | None = None
    heartbeat: float = 0.0
    updated: float = 0.0
    queued_for: str = ""
    queued_since: float = 0.0
    waits_for: str = ""
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
        """Rebuild a status; fields of a newer version are left out."""
        known = {item.name for item in fields(cls)}
        kept = {name: value for name, value in values.items() if name in known}
        return cls(**{**kept, "notes": tuple(values.get("notes", ()))})
