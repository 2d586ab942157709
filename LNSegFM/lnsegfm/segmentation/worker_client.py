"""The client of the segmentation worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lnsegfm.base.serving.process_client import LOG_LINES, ProcessClient, WorkerRequest

__all__ = ["LOG_LINES", "WorkerClient", "WorkerRequest"]


class WorkerClient(ProcessClient):
    """Starts the segmentation worker, see `lnsegfm.base.serving.process_client.ProcessClient`.

    Args:
        command: Command line of the worker; by default ``python -m lnsegfm.engine.inference.worker``.
        env: Environment of the worker; by default `lnsegfm.base.processes.child_environment`.
        cancel_grace_s: Seconds the worker has to confirm a cancel before it is killed.
    """

    def __init__(
        self,
        command: Sequence[str] | None = None,
        *,
        env: Mapping[str, str] | None = None,
        cancel_grace_s: float = 0.8,
    ) -> None:
        super().__init__(
            "lnsegfm.engine.inference.worker", command, name="segmentation process", env=env,
            cancel_grace_s=cancel_grace_s,
        )

    def start(self) -> None:
        """Start the process, so that the first request finds its packages imported; what fails, that request says."""
        if not self.running and not self.busy and self._command is None:
            self.request("warm_up")
