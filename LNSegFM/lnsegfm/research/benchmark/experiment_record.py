"""What an experiment's folder was made with, so that another configuration does not spoil it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from lnsegfm.base.errors import UserError
from lnsegfm.base.files import read_json, write_json
from lnsegfm.jobs.job_spec import JobSpec
from lnsegfm.jobs.job_store import Job
from lnsegfm.research.benchmark.benchmark_config import Config
from lnsegfm.research.benchmark.planned_runs import Planned, same_run

RECORD, _HOME = "experiment.json", "home"
# Where it runs and what is said of it may change.
_FREE = ("folder", "devices", "notes", "name")
_MAY_GROW = ("seeds", "methods", "ablation", "gammas", "shots", "ablation_shots", "all_shot", "gamma_shots")
_TODO = "Take the settings of before, or choose another folder with --out."
_SHOWN = 3

Values = dict[str, Any]


def check_grown(folder: Path, config: Config) -> None:
    """Check that a configuration is the one that a folder's experiment was begun with, or has more to do.

    More seeds, methods, shots, γ or datasets may be added to an experiment: what is done stays part of it.

    Raises:
        UserError: Something else was changed; the message says what. Or the folder holds files of others.
    """
    if folder.is_dir() and not (folder / RECORD).is_file() and not (folder / _HOME).is_dir():
        strange = sorted(each.name for each in folder.iterdir() if not each.name.startswith("."))
        if strange:
            raise UserError(
                f"{folder.name} is no folder of an experiment.", f"It holds {strange[0]}, which would lie among its "
                "results or be lost.", "Choose another folder with --out.",
            )
    _refuse(folder, [each for each in _changes(folder, config) if not _grows(*each)])


def note_experiment(folder: Path, config: Config) -> None:
    """Note in a folder what its experiment is."""
    write_json(folder / RECORD, _values(config))


def check_same(folder: Path, config: Config) -> None:
    """Check that a configuration is exactly the one that a folder's experiment was done with.

    Raises:
        UserError: It is another one; the message says what was changed.
    """
    _refuse(folder, list(_changes(folder, config)))


def check_planned(folder: Path, jobs: Sequence[Job], planned: Sequence[Planned]) -> None:
    """Check that every run of a folder is part of the plan; a report would be without the others.

    Folders of older versions have no record, and the cases of a dataset may have changed.

    Raises:
        UserError: Some are not.
    """
    others = [job for job in jobs if not any(same_run(job.spec, run.spec) for run in planned)]
    if not others:
        return
    by_name = {run.spec.name: run.spec for run in planned}
    changed = sorted({text for job in others if job.spec.name in by_name
                      for text in _differences(job.spec, by_name[job.spec.name])})  # fmt: skip
    names = ", ".join(f"'{job.spec.name}'" for job in others[:_SHOWN]) + (", ..." if len(others) > _SHOWN else "")
    why = f"{len(others)} of its {len(jobs)} runs are not part of this configuration: {names}."
    raise UserError(
        f"{folder.name} was made with other settings.", " ".join([why, *(f"{text}." for text in changed)]), _TODO
    )


def _refuse(folder: Path, changes: Sequence[tuple[str, Any, Any]]) -> None:
    if changes:
        said = "; ".join(f"{key} was {_text(before)}, now {_text(now)}" for key, before, now in changes)
        raise UserError(f"{folder.name} was made with other settings.", f"{said}.", _TODO)


def _changes(folder: Path, config: Config) -> Iterator[tuple[str, Any, Any]]:
    if not (folder / RECORD).is_file():
        return
    try:
        before = dict(read_json(folder / RECORD))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"{folder.name} cannot be used.", f"{RECORD}: {error}.", "Choose another folder with --out."
        ) from error
    now = _values(config)
    for key in dict.fromkeys((*before, *now)):
        if before.get(key) != now.get(key):
            yield key, before.get(key), now.get(key)


def _values(config: Config) -> Values:
    """Return the settings as a flat table of JSON values; a dataset's keys begin with its name."""
    values = {key: value for key, value in asdict(config).items() if key not in _FREE}
    flat: Values = {}
    for dataset in values.pop("datasets"):
        source = dataset.pop("source")
        _flatten(flat, f"datasets.{dataset.pop('name')}", {**dataset, **source})
    for name in ("settings", "method_settings", "source"):
        _flatten(flat, "settings" if name == "method_settings" else name, values.pop(name) or {})
    _flatten(flat, "", values)
    return flat


def _flatten(flat: Values, prefix: str, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, Mapping):
            _flatten(flat, name, value)
        else:
            flat[name] = list(value) if isinstance(value, tuple) else value


def _grows(key: str, before: Any, now: Any) -> bool:
    name = key.rpartition(".")[2]
    if before is None and key.startswith("datasets."):
        return True  # another dataset
    if name not in _MAY_GROW or now is None:
        return False
    if not isinstance(before, list):
        return not before
    # The tables show the first γ.
    return set(before) <= set(now) and (name != "gammas" or before[:1] == now[:1])


def _differences(job: JobSpec, wanted: JobSpec) -> Iterator[str]:
    for item in fields(JobSpec):
        before, now = getattr(job, item.name), getattr(wanted, item.name)
        if before == now or item.name in ("device", "checkpoint_seconds", "loader_processes"):
            continue
        if item.name in ("cases", "holdout", "reference"):
            yield f"{item.name}: the cases were others"
        else:
            yield f"{item.name} was {before}, now {now}"


def _text(value: Any) -> str:
    return "not there" if value is None else repr(value)
