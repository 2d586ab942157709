"""The whole experiment: prepare, do what is missing, report."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lnsegfm.base.errors import UserError
from lnsegfm.base.files import read_json, write_json
from lnsegfm.base.home import Home
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.jobs.job_spec import CaseRef
from lnsegfm.jobs.job_store import Job, JobStore
from lnsegfm.models.model_card import ModelCard, ModelInfo
from lnsegfm.models.model_store import ModelStore
from lnsegfm.research.benchmark.benchmark_cases import check_source, split, store_cases, stored_ids
from lnsegfm.research.benchmark.benchmark_config import CaseSource, Config
from lnsegfm.research.benchmark.benchmark_report import write_report
from lnsegfm.research.benchmark.collect import collect, figure_cases
from lnsegfm.research.benchmark.execution import Progress, find_jobs, make_jobs, run_jobs
from lnsegfm.research.benchmark.experiment_record import check_grown, check_planned, check_same, note_experiment
from lnsegfm.research.benchmark.foundation import find_foundation
from lnsegfm.research.benchmark.planned_runs import plan_runs

_REPORT_EVERY_S = 300.0
_BASE = "base.json"
_SOURCE = "source"

Install = Callable[[ModelStore, Path], ModelInfo]


class Benchmark:
    """An experiment in its folder: ``home`` has its models, cases and jobs, beside them lies the report.

    Args:
        config: What is to be done.
        folder: Where; what an earlier call did there is not done again.
        install: Installs a model from a file or folder; reading checkpoints is the engine's work.
    """

    def __init__(self, config: Config, folder: Path, install: Install) -> None:
        self.config, self.folder, self._install = config, Path(folder).absolute(), install
        self.home = Home(self.folder / "home")
        self._models, self._cases = ModelStore(self.home.models), CaseStore(self.home.cases)

    def prepare(self, installed: ModelStore, say: Callable[[str], None]) -> None:
        """Bring model and cases into the experiment's own home, plan the runs and make their jobs.

        Args:
            installed: The user's models, among which the foundation model may be.
            say: Called with what is being read.

        Raises:
            UserError: The folder was made with other settings, the model or a case cannot be used, or there are too few
                cases.
        """
        config = self.config
        check_grown(self.folder, config)
        found = None if self._noted_base else find_foundation(config.model, config.folder, installed)
        for name, source in self._sources.items():
            check_source(source, name, config.folder)
        base = self._base(found, installed)
        ids = {
            name: store_cases(source, name, config.folder, self._cases, say) for name, source in self._sources.items()
        }
        self._plan(base, ids)
        note_experiment(self.folder, config)
        self.jobs: list[Job] = make_jobs(JobStore(self.home.jobs), self.planned)

    def reopen(self) -> None:
        """Plan the runs of an experiment that was begun, for its report; nothing is made.

        Raises:
            UserError: None was begun in the folder, or it was begun with other settings.
        """
        check_same(self.folder, self.config)
        ids = {
            name: stored_ids(source, name, self.config.folder, self._cases) for name, source in self._sources.items()
        } if self._noted_base else {}  # fmt: skip
        if not self._noted_base or None in ids.values():
            raise UserError(
                f"There is nothing to report in {self.folder.name}.",
                "Not all cases of this experiment were read there.",
                "Give the command without --report-only first, or choose another folder with --out.",
            )
        self._plan(self._models.get(self._noted_base), {name: each or () for name, each in ids.items()})

    @property
    def _sources(self) -> dict[str, CaseSource]:
        sources = {dataset.name: dataset.source for dataset in self.config.datasets}
        return {**sources, **({_SOURCE: self.config.source} if self.config.source else {})}

    def _plan(self, base: ModelInfo, ids: Mapping[str, Sequence[str]]) -> None:
        config = self.config
        self.base = base
        self._splits = {
            dataset.name: split(self._cases, ids[dataset.name], config.split_seed) for dataset in config.datasets
        }
        latest = [(case_id, self._cases.get(case_id).latest) for case_id in ids.get(_SOURCE, ())]
        self.planned = plan_runs(
            config, base, self._splits, [CaseRef(name, label.number) for name, label in latest if not label.partial]
        )
        check_planned(self.folder, JobStore(self.home.jobs).list(), self.planned)

    def run(self, report: Callable[[Progress], None]) -> Progress:
        """Do what is not done yet; the report is written every few minutes and at the end."""
        written = time.monotonic()

        def watch(progress: Progress) -> None:
            nonlocal written
            report(progress)
            if time.monotonic() - written > _REPORT_EVERY_S:
                self.report()
                written = time.monotonic()

        try:
            return run_jobs(self.jobs, self.config.devices, watch)
        finally:
            self.report()

    def report(self) -> int:
        """Write the report of what is done so far, and return how many runs are."""
        jobs = find_jobs(JobStore(self.home.jobs), self.planned)
        runs = collect(self.planned, jobs, self._models, self.folder)
        write_report(
            self.folder, runs, planned=self.planned, gamma=self.config.gammas[0] if self.config.gammas else 1,
            notes=self.config.notes, figure_cases=figure_cases(runs, self._splits, self._cases, self.folder),
        )
        return len(runs)

    @property
    def _noted_base(self) -> str:
        """Id of the foundation model in the experiment's own home; empty before it is there."""
        note = self.home.root / _BASE
        return str(read_json(note)["id"]) if note.is_file() else ""

    def _base(self, found: ModelInfo | Path | None, installed: ModelStore) -> ModelInfo:
        if found is None:
            return self._models.verify(self._noted_base)
        if isinstance(found, Path):
            base = self._install(self._models, found)
        else:
            base = _copied(installed.verify(found.id), self._models)
        write_json(self.home.root / _BASE, {"id": base.id, "sha256": base.sha256})
        return base


def _copied(model: ModelInfo, store: ModelStore) -> ModelInfo:
    def fill(staging: Path) -> ModelCard:
        for name in model.files:
            (staging / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(model.path / name, staging / name)
        return model.card

    return store.add(model.id, fill)
