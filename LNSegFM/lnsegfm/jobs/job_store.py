"""The store of fine-tuning jobs: make, start, watch, cancel and resume them."""

from __future__ import annotations

import os
import re
import secrets
import stat
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

from lnsegfm.base import disk, schema
from lnsegfm.base.errors import UserError
from lnsegfm.base.files import new_folder, read_json, write_json
from lnsegfm.base.locks import FileLock, LockHeld
from lnsegfm.base.processes import (
    child_environment,
    is_alive,
    process_start_time,
    python_executable,
    start_detached,
)
from lnsegfm.base.reasons.missing_packages import missing_package_in
from lnsegfm.base.schema import Limits
from lnsegfm.base.text_tail import tail
from lnsegfm.jobs import log_switches
from lnsegfm.jobs.job_progress import ProgressReader
from lnsegfm.jobs.job_spec import JobSpec
from lnsegfm.jobs.job_status import (
    CANCEL,
    JOB,
    LAUNCH,
    LOG,
    PAUSE,
    PROGRESS,
    RESERVE,
    RESUMABLE,
    RUN_LOCK,
    START_LOCK,
    STATUS,
    WORK,
    JobStatus,
)
from lnsegfm.jobs.outcome import Evidence
from lnsegfm.jobs.write_failures import explain_failure

# The random part keeps an id from meaning another job after a removal: models name their job in their lineage.
_ID = re.compile(r"job-(\d{4,})-[0-9a-f]{6}")
_LOG_LINES = 15
DEVICE_VARIABLE = "LNSEGFM_JOB_DEVICE"
"""Environment variable of a runner that counts more than the device its job names."""
_READ_ATTEMPTS = 4
_HELD = ("queued", "running")  # by the process whose pid the status tells
DAMAGED = "damaged"
"""State of a job of which a file cannot be read; it can be removed."""
_starting: set[Path] = set()  # the jobs that this process is starting now


@dataclass(frozen=True)
class _Launch:
    """The process that was started for a job."""

    pid: Annotated[int, Limits(1, 1 << 60)]
    pid_started: float | None


@dataclass(frozen=True)
class _Content:
    """What ``job.json`` says."""

    created: Annotated[str, Limits(length=100)]
    spec: dict[str, Any]


class Job:
    """One job; its folder is the truth, and every question looks there.

    Args:
        path: The job's folder.

    Raises:
        UserError: ``job.json`` cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.id = self.path.name
        self.environment: dict[str, str] = {}
        """Further environment variables of the runner that `start` starts."""
        try:
            content = schema.read_file(_Content, self.path / JOB, newer=True)
            self.created: str = content.created
            self.spec = JobSpec.from_json(content.spec)
        except UserError as error:
            raise _unreadable(self.path, f"{JOB}: {error.why}") from error
        except (OSError, ValueError) as error:
            raise _unreadable(self.path, f"{JOB}: {_reason(error)}.") from error
        self._progress = ProgressReader(self.path / PROGRESS)

    def status(self) -> JobStatus:
        """Return how the job stands now; ``damaged`` with the reason where a file of it cannot be read."""
        status = self._read_status()
        if status.state in _HELD and not is_alive(status.pid, status.pid_started):
            status = self._read_status()  # it may have ended properly since
            if status.state in _HELD and not is_alive(status.pid, status.pid_started):
                return replace(status, state="interrupted", message="Its process ended before it was done.")
        if status.state == "starting" and not self._is_launching(status):
            status = self._read_status()
            if status.state == "starting":
                return self._never_ran(status)
        return status

    def progress(self, after: int = 0) -> list[dict[str, Any]]:
        """Return the rows of the iterations after number ``after``, in order.

        Each has ``iteration``, ``loss``, ``lr``, ``seconds`` and sometimes ``pseudo_dice``. Iterations that were done
        again after a resume are returned as they were the last time. The loss of a skipped iteration is None.

        Raises:
            UserError: The file cannot be read.
        """
        return self._progress.rows(after)

    def log_tail(self, lines: int = 40) -> list[str]:
        """Return the last lines of the job's log.

        Raises:
            UserError: It cannot be read.
        """
        try:
            _check_regular(self.path)
            return tail(self.path / LOG, lines)
        except (OSError, ValueError) as error:
            raise UserError(
                "The job's log cannot be read.", f"{LOG}: {_reason(error)}.", "Resume or remove the job."
            ) from error

    @property
    def can_resume(self) -> bool:
        """Whether `resume` makes sense: it is not done, and no process works on it."""
        return self.status().state in (*RESUMABLE, DAMAGED)

    def start(self, command: Sequence[str] | None = None) -> None:
        """Start the runner as a process that outlives this one.

        Args:
            command: Its command line; by default ``python -m lnsegfm.engine.finetuning.runner <folder>``.

        Raises:
            UserError: The job is running or done already, or the process cannot be started.
        """
        try:
            with FileLock(self.path / START_LOCK):
                self._refuse_second_start()
                _starting.add(self.path.absolute())
                try:
                    self._launch(command)
                finally:
                    _starting.discard(self.path.absolute())
        except LockHeld as error:
            raise self._refusal("is being started already") from error
        except OSError as error:
            raise explain_failure(error, self.path, f"The job '{self.id}' cannot be started.") from error

    def cancel(self) -> None:
        """Ask a running job to stop; it is ``cancelled`` when it has. Nothing happens when no process works on it."""
        if self.status().active:
            disk.mark(self.path / CANCEL)

    def pause(self) -> None:
        """Ask a running job to write a checkpoint and to end; it is ``paused`` then, until `resume`."""
        if self.status().active:
            disk.mark(self.path / PAUSE)

    def resume(self, command: Sequence[str] | None = None) -> None:
        """Start again from the last checkpoint.

        Raises:
            UserError: There is nothing to resume; see also `start`.
        """
        if not self.can_resume:
            raise self._refusal(f"cannot be resumed; it is {self.status().state}")
        self.start(command)

    def remove(self) -> None:
        """Delete the job's folder.

        Raises:
            UserError: It is running.
        """
        status = self.status()
        # A damaged status does not tell of a process, its lock does.
        if status.active or (status.state == DAMAGED and _has_writer(self.path)):
            raise self._refusal("is running", "Cancel it first.")
        _delete(self.path)

    @property
    def way_on(self) -> str:
        """What a user of the command line does when the job was interrupted."""
        return f"Type: lnsegfm jobs resume {self.id}"

    @property
    def _home(self) -> Path:
        return self.path.absolute().parent.parent

    def _command(self) -> list[str]:
        return [python_executable(), "-m", "lnsegfm.engine.finetuning.runner", str(self.path.absolute())]

    def _read_status(self) -> JobStatus:
        try:
            _check_regular(self.path)
            status = JobStatus.from_json(_read_while_replaced(self.path / STATUS))
            Evidence.of(status.metrics)
        except FileNotFoundError:
            return JobStatus(iterations=self.spec.steps)
        except UserError as error:
            return self._damaged(f"{STATUS}: {error.why}")
        except (OSError, ValueError, TypeError, AttributeError) as error:
            return self._damaged(f"{STATUS}: {_reason(error)}.")
        return status

    def _damaged(self, why: str) -> JobStatus:
        reason = UserError("The job is damaged.", why, "Resume it from its last checkpoint, or remove it.")
        return JobStatus(DAMAGED, message=reason.what, error=reason.to_json(), iterations=self.spec.steps)

    def _is_launching(self, status: JobStatus) -> bool:
        """Whether the process that announced a start, or the one that it started, is still there.

        No clock is asked: it may have been set meanwhile.
        """
        try:
            launch = schema.read_file(_Launch, self.path / LAUNCH, newer=True)
        except (OSError, ValueError):  # not there yet, or torn
            lives = is_alive(status.starter, status.starter_started)
            return lives and (status.starter != os.getpid() or self.path.absolute() in _starting)
        return is_alive(launch.pid, launch.pid_started)

    def _never_ran(self, status: JobStatus) -> JobStatus:
        try:
            schema.read_file(_Launch, self.path / LAUNCH, newer=True)
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            return self._damaged(f"{LAUNCH}: {_reason(error)}.")
        try:
            lines = "\n".join(self.log_tail(_LOG_LINES))
        except UserError as error:
            return self._damaged(error.why)
        reason = missing_package_in(lines) or UserError(
            "The job's process ended before it began to work.",
            f"Its last lines were:\n{lines}" if lines else "It left nothing in its log.",
            "Correct what it says, then resume the job.",
        )
        return replace(status, state="interrupted", message=reason.what, error=reason.to_json())

    def _refuse_second_start(self) -> None:
        status = self.status()
        if status.state == "done":
            raise self._refusal("is done already", "Make a new job.")
        if status.active or _has_writer(self.path):
            raise self._refusal("is running already", "Wait for it, or cancel it first.")

    def _launch(self, command: Sequence[str] | None) -> None:
        # First, because without a Python to run nothing may say that a start is under way.
        command = command or self._command()
        before = self._read_status()
        _clear_way(self.path)
        for each in (CANCEL, PAUSE, LAUNCH):
            disk.remove_file(self.path / each)
        # Announced before the process is there: afterwards the status is the runner's to write.
        starting = replace(
            before, state="starting", stage="", message="", error=None, iterations=self.spec.steps,
            updated=time.time(), starter=os.getpid(), starter_started=process_start_time(os.getpid()),
        )
        write_json(self.path / STATUS, starting.to_json())
        environment = child_environment(
            extra={"LNSEGFM_HOME": str(self._home), **log_switches.for_job(os.environ), **self.environment}
        )
        try:
            pid = start_detached(command, environment, self.path / LOG)
        except OSError as error:
            reason = UserError("The job's process cannot be started.", f"{error}.", "Check the installation.")
            failed = replace(starting, state="failed", message=reason.what, error=reason.to_json())
            write_json(self.path / STATUS, failed.to_json())
            raise reason from error
        write_json(self.path / LAUNCH, {"pid": pid, "pid_started": process_start_time(pid)})

    def _refusal(self, why: str, todo: str = "") -> UserError:
        return UserError(f"The job '{self.id}' {why}.", "", todo)


class DamagedJob:
    """A job of which ``job.json`` cannot be read, so that nothing is known of it.

    Args:
        path: The job's folder, or what stands in its place.
        reason: Why it cannot be read.
    """

    def __init__(self, path: Path, reason: UserError) -> None:
        self.path, self.id, self.reason = Path(path), Path(path).name, reason

    def remove(self) -> None:
        """Delete the job's folder.

        Raises:
            UserError: A process works on it.
        """
        if _has_writer(self.path):
            raise UserError(f"The job '{self.id}' is running.", "", "Wait until its process has ended.")
        _delete(self.path)


class JobStore:
    """All jobs below one folder.

    Args:
        root: Folder of the jobs, ``<home>/jobs``; made when the first one is created.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def create(self, spec: JobSpec, *, token: str = "") -> Job:
        """Make a job; it waits to be started.

        Args:
            spec: What is asked for.
            token: Six hexadecimal digits for the end of its id; by default random ones.
        """
        disk.make_folder(self.root)
        try:
            with FileLock(self.root / ".lock", wait_s=10.0):
                number = 1 + max((number for number, _ in _numbered(self.root)), default=0)
                target = self.root / f"job-{number:04d}-{token or secrets.token_hex(3)}"
                created = datetime.now(timezone.utc).isoformat(timespec="seconds")
                with new_folder(target) as staging:
                    write_json(staging / JOB, {"created": created, "spec": spec.to_json()})
        except LockHeld as error:
            raise UserError(
                "The job cannot be made.", "Another process has been making one for 10 s.", "Try again in a moment."
            ) from error
        return Job(target)

    def users_of(self, *, model: str = "", case: str = "") -> list[str]:
        """Return the ids of the jobs being worked on that need a model or a case."""
        return [
            job.id for job in self.list()
            if job.status().active
            and (job.spec.base_model == model or case in {ref.id for ref in (*job.spec.cases, *job.spec.measured)})
        ]

    def forget_voxels(self) -> None:
        """Delete the preprocessed CTs that jobs left when they were killed; a resumed job makes them again."""
        for job in self.all():
            if isinstance(job, DamagedJob):
                is_idle = not _has_writer(job.path)
            else:
                status = job.status()
                is_idle = not status.active and not (status.state == DAMAGED and _has_writer(job.path))
            if is_idle:
                disk.remove_tree(job.path / WORK)

    def all(self) -> list[Job | DamagedJob]:
        """Return the jobs, oldest first, those that cannot be read among them."""
        jobs: list[Job | DamagedJob] = []
        for _, folder in sorted(_numbered(self.root)):
            try:
                jobs.append(Job(folder))
            except UserError as error:
                if os.path.lexists(folder):  # or it was removed meanwhile
                    jobs.append(DamagedJob(folder, error))
        return jobs

    def damaged(self) -> list[DamagedJob]:
        """Return the jobs that cannot be read, oldest first."""
        return [job for job in self.all() if isinstance(job, DamagedJob)]

    def list(self) -> list[Job]:
        """Return the jobs that can be read, oldest first; see `damaged` for the others."""
        return [job for job in self.all() if isinstance(job, Job)]

    def remove(self, job_id: str) -> None:
        """Delete a job's folder, whether the job can be read or not.

        Raises:
            UserError: There is none of this id, or a process works on it.
        """
        job = next((job for job in self.all() if job.id == job_id), None)
        (job or self.get(job_id)).remove()

    def get(self, job_id: str) -> Job:
        """Return one job.

        Raises:
            UserError: There is none of this id, or it cannot be read.
        """
        folder = self.root / job_id
        if not _ID.fullmatch(job_id) or not os.path.lexists(folder):
            known = ", ".join(job.id for job in self.all()) or "none"
            raise UserError(f"There is no job '{job_id}'.", f"There are: {known}.", "Choose one of these.")
        return Job(folder)


def _unreadable(path: Path, why: str) -> UserError:
    return UserError(f"The job '{path.name}' cannot be read.", why, f"Remove it: lnsegfm jobs remove {path.name}")


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _has_writer(folder: Path) -> bool:
    # The status cannot tell of a runner on another computer that shares this folder; its lock can. A runner that has
    # just written its last status holds it for another moment.
    if not (folder / RUN_LOCK).is_file():
        return False  # nobody ever held it; and a damaged folder gets no new file
    try:
        with FileLock(folder / RUN_LOCK, wait_s=0.5):
            return False
    except LockHeld:
        return True
    except OSError:
        return False


def _delete(folder: Path) -> None:
    doomed = folder.with_name(f".tmp-{uuid.uuid4().hex[:8]}")
    try:
        disk.replace(folder, doomed)
        disk.remove_tree(doomed)
    except OSError as error:
        raise UserError(
            f"The job '{folder.name}' cannot be removed whole.", f"{error}.", "Delete its folder by hand."
        ) from error


def _check_regular(folder: Path) -> None:
    """Refuse what stands in the place of a file that is read while the job is shown."""
    for name in (PROGRESS, LOG):
        try:
            mode = (folder / name).stat().st_mode
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(mode):
            raise ValueError(f"what stands in the place of {name} is no file")


def _clear_way(folder: Path) -> None:
    """Remove what stands in the place of files that a runner writes."""
    for name in (STATUS, PROGRESS, LOG, LAUNCH, RESERVE, RUN_LOCK, CANCEL, PAUSE):
        path = folder / name
        if os.path.lexists(path) and not path.is_file():
            disk.remove_tree(path)


def _read_while_replaced(path: Path) -> Any:
    # On Windows a file cannot be opened in the moment in which another process replaces it.
    for _ in range(_READ_ATTEMPTS):
        try:
            return read_json(path)
        except PermissionError:
            time.sleep(0.01)
    return read_json(path)


def _numbered(root: Path) -> list[tuple[int, Path]]:
    found = ((_ID.fullmatch(folder.name), folder) for folder in root.glob("job-*"))
    return [(int(match.group(1)), folder) for match, folder in found if match]
