"""What the fine-tuning jobs need of the models; the job store tells it, whether or not their module is loaded."""

from __future__ import annotations

from lnsegfm.session import Session


def jobs_using(model_id: str) -> list[str]:
    """Return the ids of the unfinished jobs that need a model."""
    return list(Session().jobs.users_of(model=model_id))
