"""The one service: everything a user can ask for. The panels, the command line and scripts call it.

Example:
    >>> from lnsegfm.session import AdaptOptions, Session
    >>> with Session() as session:
    ...     result = session.segment(Path("ct.nrrd"), Path("labels.nrrd"))
    ...     print([each.short_axis_mm for each in result.lymph_nodes])
    ...     session.cases.set_use(["case-0003"], "holdout")
    ...     job = session.adapt(AdaptOptions(preset="short", name="Ours"))
    ...     model = job.wait()
    ...     session.models.accept(model.id)

Importing it is cheap: what needs SimpleITK is imported when it is first used, and torch never is; the work with a
network is done by other processes.
"""

from lnsegfm.session.adapt_options import AdaptOptions
from lnsegfm.session.session import Session

__all__ = ["AdaptOptions", "Session"]
