"""What an experiment is: its configuration file (TOML), read strictly."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from lnsegfm.base.errors import UserError
from lnsegfm.jobs.job_spec import CaseRef, JobSpec, preset_settings
from lnsegfm.jobs.method_names import METHODS
from lnsegfm.research.benchmark.experiment import ABLATION, TABLE_1

TEST_SHARE = 0.2
"""Section 3.1 of the paper: an 8:2 split."""

_NOT_SETTINGS = {
    "base_model", "base_sha256", "cases", "holdout", "reference", "method", "gamma", "seed", "name", "device",
}


@dataclass(frozen=True)
class CaseSource:
    """Where cases come from: a folder in nnU-Net's raw layout, or phantoms.

    Args:
        raw: The folder; relative paths start at the configuration file.
        phantom: Domain of phantoms, see `lnsegfm.phantom.make_case`.
        cases: Number of cases; of a folder the first by name, 0 for all.
        first_seed: Seed of the first phantom.
        size: Voxels of the phantoms along x, y, z.
        spacing: Their voxel size in mm.
    """

    raw: str = ""
    phantom: str = ""
    cases: int = 0
    first_seed: int = 0
    size: tuple[int, int, int] = (192, 192, 48)
    spacing: tuple[float, float, float] = (1.0, 1.0, 3.0)

    def __post_init__(self) -> None:
        if bool(self.raw) == bool(self.phantom):
            raise ValueError("either 'raw' or 'phantom' must be given")
        if self.phantom and self.cases < 1:
            raise ValueError("'cases' must say how many phantoms there are")


@dataclass(frozen=True)
class DatasetConfig:
    """One target dataset.

    Args:
        name: As the report calls it.
        source: Its cases.
        shots: Numbers of training cases of the comparison of methods.
        ablation_shots: Those of the ablation of the selection.
        gamma_shots: Number of training cases of the γ sweep; 0 for no sweep.
        all_shot: Whether to train from scratch on all training cases as well.
    """

    name: str
    source: CaseSource
    shots: tuple[int, ...]
    ablation_shots: tuple[int, ...] = ()
    gamma_shots: int = 0
    all_shot: bool = True


@dataclass(frozen=True)
class Config:
    """An experiment.

    Args:
        name: Its title.
        model: Foundation model: id of an installed one, or what ``lnsegfm models install`` takes.
        datasets: Target datasets.
        source: Cases of the model's own domain, on which forgetting is measured; None for none.
        methods: Methods of the comparison.
        ablation: Methods of the ablation.
        gammas: Values of the γ sweep.
        seeds: Each run is done with each of these seeds.
        split_seed: Seed of the split into training and test cases.
        devices: Where runs are done, each on one at a time; name a device twice for two runs at once.
        notes: Sentences for the head of the report.
        settings: Fields of a job, for all methods.
        method_settings: Fields of a job, by method; these count more.
        folder: Folder of the configuration file.
    """

    name: str
    model: str
    datasets: tuple[DatasetConfig, ...]
    source: CaseSource | None = None
    methods: tuple[str, ...] = TABLE_1
    ablation: tuple[str, ...] = ABLATION
    gammas: tuple[int, ...] = (1, 2, 3, 5, 10)
    seeds: tuple[int, ...] = (0,)
    split_seed: int = 0
    devices: tuple[str, ...] = ("auto",)
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    method_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    folder: Path = Path()

    def job_settings(self, method: str) -> dict[str, Any]:
        """Return the fields of a job of this method: the paper's, changed as the configuration says."""
        return {**preset_settings("paper", method), **self.settings, **self.method_settings.get(method, {})}


def read_config(path: Path) -> Config:
    """Read a configuration file.

    Raises:
        UserError: It cannot be read, has unknown or impossible entries, or asks for what no job can do.
    """
    try:
        content = _toml().loads(path.read_text(encoding="utf-8"))
        return _config(content, path.absolute().parent)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{path.name} cannot be used.", f"{error}.",
            "Correct it; docs/how-to/benchmark-the-paper.md has the entries.",
        ) from error


def _toml() -> Any:
    if sys.version_info >= (3, 11):
        import tomllib

        return tomllib
    import tomli

    return tomli


def _config(content: dict[str, Any], folder: Path) -> Config:
    content = dict(content)
    datasets = []
    for entry in content.pop("datasets"):
        own = dict(entry)
        names = {each.name for each in fields(CaseSource)}
        source = _build(CaseSource, {name: own.pop(name) for name in list(own) if name in names})
        datasets.append(_build(DatasetConfig, {**own, "source": source}))
    settings = content.pop("settings", {})
    common = {name: value for name, value in settings.items() if not isinstance(value, dict)}
    by_method = {name: value for name, value in settings.items() if isinstance(value, dict)}
    if "source" in content:
        content["source"] = _build(CaseSource, content["source"])
    config = _build(
        Config,
        {**content, "datasets": tuple(datasets), "settings": common, "method_settings": by_method, "folder": folder},
    )
    _check(config)
    return config


def _build(kind: Any, values: dict[str, Any]) -> Any:
    known = {each.name: each for each in fields(kind)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(f"unknown: {', '.join(unknown)}; known here: {', '.join(known)}")
    missing = [name for name, each in known.items() if name not in values
               and each.default is MISSING and each.default_factory is MISSING]
    if missing:
        raise ValueError(f"missing: {', '.join(missing)}")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def _check(config: Config) -> None:
    if not config.datasets or not config.seeds or not config.devices:
        raise ValueError("it needs at least one of datasets, seeds and devices")
    for method in (*config.methods, *config.ablation, *config.method_settings):
        if method not in METHODS:
            raise ValueError(f"unknown method '{method}'; known are {', '.join(METHODS)}")
    for each in (config.settings, *config.method_settings.values()):
        wrong = sorted(_NOT_SETTINGS & set(each))
        if wrong:
            raise ValueError(f"'settings' cannot set {', '.join(wrong)}")
    for dataset in config.datasets:
        if min((*dataset.shots, *dataset.ablation_shots, 1)) < 1:
            raise ValueError(f"{dataset.name}: the numbers of shots must be at least 1")
    for device in config.devices:
        for method in METHODS:
            # Every value is held against a job's own rules now, not after hours.
            JobSpec("model", "", (CaseRef("case", 1),), device=device, **config.job_settings(method))
