"""What scripts and Slicer's Python console can ask of the fine-tuning module, as steps of `SceneWork`; no panel."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from lnsegfm.base.background import Pending, Task
from lnsegfm.jobs.job_status import JobStatus
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.session import AdaptOptions, Session

Report = Callable[[float | None, str], object]


def adapt_steps(session: Session, options: AdaptOptions) -> Generator[Pending, Any, ModelInfo]:
    """Adapt a model to the stored cases and return it."""

    def work(progress: Report, is_cancelled: Callable[[], bool]) -> ModelInfo:
        handle = session.adapt(options, progress=progress, is_cancelled=is_cancelled)

        def follow(status: JobStatus) -> None:
            progress(status.iteration / status.iterations if status.iterations else None, status.stage or status.state)
            if is_cancelled():
                handle.cancel()

        return handle.wait(follow)

    model: ModelInfo = yield Task(work)
    return model
