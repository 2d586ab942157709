"""How long an iteration takes on this computer and how much memory it needs: measured once, then remembered."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

from lnsegfm.base import schema
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.files import read_json, write_json
from lnsegfm.base.home import Home
from lnsegfm.base.processes import child_environment, kill_tree, python_executable, start_piped
from lnsegfm.base.reasons.missing_packages import missing_package_in
from lnsegfm.base.schema import Limits, SchemaError
from lnsegfm.base.text_tail import tail
from lnsegfm.jobs.job_spec import CaseRef, JobSpec

SPEC = "spec.json"
RESULT = "result.json"
CASE = "case-0000"
"""Id of the made-up case that iterations are measured on."""
_LOG = "log.txt"
_LOG_LINES = 15
_POLL_S = 0.1
_FILE = "calibrations.json"
_Bytes = Annotated[int, Limits(0, 1 << 60)]


@dataclass(frozen=True)
class Calibration:
    """What an iteration costs.

    Args:
        seconds: Duration of an iteration once warm.
        device: The device it ran on, and why.
        gpu_bytes: Most GPU memory held, the driver's own share included; 0 without a CUDA GPU.
        gpu_total_bytes: Memory of that GPU.
        memory_bytes: Most main memory held; 0 where the system does not say.
    """

    seconds: Annotated[float, Limits(0, 1e6)]
    device: Annotated[str, Limits(length=1000)]
    gpu_bytes: _Bytes = 0
    gpu_total_bytes: _Bytes = 0
    memory_bytes: _Bytes = 0


@dataclass(frozen=True)
class _Failure:
    """What the process that measures has written where it could not."""

    error: dict[str, str]


class Calibrations:
    """What was measured on this computer until now, from one file of the home.

    Args:
        home: Where it lies; None for nothing at all.
    """

    def __init__(self, home: Home | None = None) -> None:
        self._path = home.root / _FILE if home is not None else None
        self._measured = self._read()

    def find(
        self, *, base_sha256: str, device: str, method: str, batch_size: int, precision: str = "auto"
    ) -> Calibration | None:
        """Return what an iteration costs; None when it was not measured for these.

        DGST's γ and all else that only changes numbers costs nothing.
        """
        values = self._measured.get(_key(base_sha256, device, method, batch_size, precision))
        try:
            return schema.read(Calibration, values)
        except SchemaError:
            return None  # measured again

    def keep(self, spec: JobSpec, calibration: Calibration) -> None:
        """Remember a measurement, for other objects of this class too."""
        key = _key(spec.base_sha256, spec.device, spec.method, spec.batch_size, spec.precision)
        self._measured[key] = asdict(calibration)
        if self._path is not None:
            write_json(self._path, self._measured)

    def _read(self) -> dict[str, object]:
        try:
            content = read_json(self._path) if self._path is not None else {}
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}


def calibrate(
    home: Home,
    spec: JobSpec,
    *,
    command: Callable[[Path], Sequence[str]] | None = None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Calibration:
    """Measure some iterations in a process of their own, remember the result and return it; takes up to a minute.

    Args:
        home: Where the model lies, and where the result goes.
        spec: The job; only its model, method, batch size, device and precision matter.
        command: Makes the command line of that process from its folder; the real one by default.
        is_cancelled: Asked again and again; the process is killed when it says so.

    Raises:
        UserError: Nothing could be measured, with the reason; so a job would fail as well.
        Cancelled: The user cancelled.
    """
    with tempfile.TemporaryDirectory(prefix="lnsegfm-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        on_made_up_case = replace(spec, cases=(CaseRef(CASE, 1),), holdout=(), reference=(), loader_processes=-1)
        write_json(folder / SPEC, on_made_up_case.to_json())
        environment = child_environment(
            extra={"LNSEGFM_HOME": str(home.root)}
        )
        default = [python_executable(), "-m", "lnsegfm.engine.finetuning.iteration_timing", str(folder)]
        process = start_piped(command(folder) if command else default, environment, folder / _LOG)
        _wait(process, is_cancelled)
        calibration = _result(folder)
    Calibrations(home).keep(spec, calibration)
    return calibration


def _wait(process: subprocess.Popen[bytes], is_cancelled: Callable[[], bool]) -> None:
    try:
        while True:
            try:
                process.communicate(timeout=_POLL_S)
                return
            except subprocess.TimeoutExpired:
                if is_cancelled():
                    raise Cancelled from None
    except (Cancelled, KeyboardInterrupt):
        # It has a group of its own, which Ctrl-C on a terminal does not reach.
        kill_tree(process.pid)
        process.communicate()
        raise


def _result(folder: Path) -> Calibration:
    try:
        values = read_json(folder / RESULT)
        failed = schema.read(_Failure, values).error if "error" in values else None
        result = schema.read(Calibration, values) if failed is None else None
    except (OSError, ValueError, TypeError) as error:
        lines = "\n".join(tail(folder / _LOG, _LOG_LINES)).replace(str(folder), "")
        package = missing_package_in(lines)
        if package is not None:
            raise package from error
        raise UserError(
            "Time and memory could not be measured.",
            f"The process for it ended early. Its last lines were:\n{lines}" if lines else "Its process ended early.",
            "Correct what it says, then try again.",
        ) from error
    if result is None:
        raise UserError.from_json(failed or {})
    return result


def _key(base_sha256: str, device: str, method: str, batch_size: int, precision: str) -> str:
    return f"{base_sha256} {device} {method} batch {batch_size} {precision}"
