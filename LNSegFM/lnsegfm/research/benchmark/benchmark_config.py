"""What an experiment is: its configuration file (TOML), read strictly."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from lnsegfm.base.errors import UserError
from lnsegfm.jobs.job_spec import CaseRef, JobSpec, preset_settings
from lnsegfm.jobs.method_names import METHODS
from lnsegfm.research.benchmark.config_tables import TOP, build, check_keys, check_present, is_table, needed
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
        datasets: Target datasets.
        model: Foundation model: id of an installed one or a beginning that only one has, or what ``lnsegfm models
            install`` takes; empty for the default model, where that is a foundation model.
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
    datasets: tuple[DatasetConfig, ...]
    model: str = ""
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
        UserError: It cannot be read, has unknown or impossible entries, or asks for what no job can do. The message
            names the key and its table.
    """
    try:
        content = _toml().loads(path.read_text(encoding="utf-8"))
        return _config(content, path.absolute().parent)
    except (OSError, ValueError) as error:
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


_TABLES = ("settings", "source", "datasets")
_TOP_KEYS = tuple(each.name for each in fields(Config) if each.name not in (*_TABLES, "method_settings", "folder"))
_SOURCE_KEYS = tuple(each.name for each in fields(CaseSource))
_DATASET_KEYS = tuple(each.name for each in fields(DatasetConfig) if each.name != "source")
_SETTING_KEYS = tuple(each.name for each in fields(JobSpec) if each.name not in _NOT_SETTINGS)


def _config(content: dict[str, Any], folder: Path) -> Config:
    check_keys(TOP, content, (*_TOP_KEYS, *_TABLES))
    check_present(TOP, content, ("name", "datasets"))
    common, by_method = _settings(content)
    values: dict[str, Any] = {key: content[key] for key in _TOP_KEYS if key in content}
    if "source" in content:
        values["source"] = _source("[source]", is_table("source", content["source"]), _SOURCE_KEYS)
    config = build(
        Config, TOP,
        {**values, "datasets": _datasets(content["datasets"]), "settings": common, "method_settings": by_method,
         "folder": folder},
    )  # fmt: skip
    _check(config)
    return config


def _settings(content: dict[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    table = is_table("settings", content.get("settings", {}))
    by_method = {name: value for name, value in table.items() if isinstance(value, dict)}
    common = {name: value for name, value in table.items() if name not in by_method}
    check_keys("[settings]", by_method, (*METHODS, *_SETTING_KEYS))
    for name, values in (("[settings]", common), *((f"[settings.{each}]", by_method[each]) for each in by_method)):
        wrong = sorted(_NOT_SETTINGS & set(values))
        if wrong:
            raise ValueError(f"{name} cannot set {', '.join(wrong)}: the experiment does")
        check_keys(name, values, _SETTING_KEYS)
    return common, by_method


def _source(table: str, values: dict[str, Any], known: Sequence[str]) -> CaseSource:
    check_keys(table, values, known)
    source: CaseSource = build(CaseSource, table, {key: values[key] for key in _SOURCE_KEYS if key in values})
    return source


def _datasets(tables: Any) -> tuple[DatasetConfig, ...]:
    if not isinstance(tables, list):
        raise ValueError("'datasets' must be tables that begin with [[datasets]]")
    datasets: list[DatasetConfig] = []
    for each in tables:
        values = is_table("datasets", each)
        table = f"[[datasets]] '{values['name']}'" if "name" in values else "[[datasets]]"
        source = _source(table, values, (*_DATASET_KEYS, *_SOURCE_KEYS))
        check_present(table, values, (key for key in needed(DatasetConfig) if key != "source"))
        own = {key: values[key] for key in _DATASET_KEYS if key in values}
        datasets.append(build(DatasetConfig, table, {**own, "source": source}))
        if [dataset.name for dataset in datasets].count(datasets[-1].name) > 1:
            raise ValueError(f"two [[datasets]] have the name '{datasets[-1].name}'")
    return tuple(datasets)


def _check(config: Config) -> None:
    if not config.datasets or not config.seeds or not config.devices:
        raise ValueError("it needs at least one of datasets, seeds and devices")
    for key in ("methods", "ablation"):
        for method in getattr(config, key):
            if method not in METHODS:
                near = difflib.get_close_matches(method, METHODS, 1)
                hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(METHODS)}"
                raise ValueError(f"unknown method '{method}' in '{key}'; {hint}")
    for dataset in config.datasets:
        if dataset.name == "source":
            raise ValueError("no [[datasets]] can have the name 'source'; [source] has it")
        if min((*dataset.shots, *dataset.ablation_shots, 1)) < 1:
            raise ValueError(f"{dataset.name}: the numbers of shots must be at least 1")
    for device in config.devices:
        for method in METHODS:
            _check_job(config, method, device)


def _check_job(config: Config, method: str, device: str) -> None:
    # Every value is held against a job's own rules now, not after hours.
    try:
        JobSpec("model", "", (CaseRef("case", 1),), device=device, **config.job_settings(method))
    except UserError as error:
        key = error.why.split("'")[1] if "'" in error.why else ""
        own = key in config.method_settings.get(method, {})
        table = f"[settings.{method}]" if own else "'devices'" if key == "device" else "[settings]"
        raise ValueError(f"{table}: {error.why.rstrip('.')}") from error
