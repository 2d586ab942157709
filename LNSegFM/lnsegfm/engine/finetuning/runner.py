"""The process of one fine-tuning job: ``python -m lnsegfm.engine.finetuning.runner JOB_FOLDER``."""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

from lnsegfm.base import disk
from lnsegfm.base.errors import Cancelled
from lnsegfm.base.home import Home
from lnsegfm.base.stopping import Stopped, stoppable
from lnsegfm.jobs.job_status import WORK
from lnsegfm.jobs.job_store import DEVICE_VARIABLE, Job
from lnsegfm.jobs.job_writer import JobWriter
from lnsegfm.jobs.training_turn import training_turn


def main(arguments: list[str]) -> int:
    """Run the job in the folder ``arguments[0]`` to its end; return the exit status."""
    folder = Path(arguments[0]).absolute()
    work = folder / WORK
    # nnU-Net reads these when a trainer is made; this process is the job's own.
    os.environ.update(nnUNet_preprocessed=str(work), nnUNet_results=str(work), nnUNet_n_proc_DA="0")
    try:
        # A computer that shuts down ends it by a signal: preprocessed CTs do not stay, and the loaders end.
        with stoppable(), JobWriter(folder) as writer, _turn(writer, folder):
            writer.status(stage="Loading PyTorch")
            from lnsegfm.engine.finetuning.adaptation import adapt

            try:
                adapt(writer, folder, Home.default())
            finally:
                with suppress(OSError):  # a resume clears it as well
                    disk.remove_tree(work)
    except Cancelled:
        return 0
    except Stopped as stopped:
        return 128 + stopped.number
    except Exception:  # the writer has recorded the reason; the log gets the details
        traceback.print_exc()
        return 1
    return 0


def _turn(writer: JobWriter, folder: Path) -> AbstractContextManager[None]:
    # Who does many jobs decides himself which of them run side by side.
    if os.environ.get(DEVICE_VARIABLE):
        return nullcontext()
    return training_turn(writer, Home.default(), Job(folder).spec.device)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
