"""The whole experiment: prepare, do what is missing, report."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from lnsegfm.base.errors import UserError
from lnsegfm.base.files import read_json, write_json
from lnsegfm.base.home import Home
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.jobs.job_spec import CaseRef
from lnsegfm.jobs.job_store import JobStore
from lnsegfm.models.model_store import ModelCard, ModelInfo, ModelStore
from lnsegfm.research.benchmark.benchmark_cases import split, store_cases
from lnsegfm.research.benchmark.benchmark_config import Config
from lnsegfm.research.benchmark.benchmark_report import write_report
from lnsegfm.research.benchmark.collect import collect, figure_cases
from lnsegfm.research.benchmark.execution import Progress, make_jobs, run_jobs
from lnsegfm.research.benchmark.planned_runs import plan_runs

_REPORT_EVERY_S = 300.0
_BASE = "base.json"

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
        """Bring model and cases into the experiment's own home and plan the runs.

        Args:
            installed: The user's models, among which the foundation model may be.
            say: Called with what is going on.

        Raises:
            UserError: The model or a case cannot be used, or there are too few cases.
        """
        config = self.config
        base = self._base(installed)
        self._splits = {}
        for dataset in config.datasets:
            ids = store_cases(dataset.source, dataset.name, config.folder, self._cases, say)
            self._splits[dataset.name] = split(self._cases, ids, config.split_seed)
        source = store_cases(config.source, "source", config.folder, self._cases, say) if config.source else ()
        latest = [(case_id, self._cases.get(case_id).latest) for case_id in source]
        self.planned = plan_runs(
            config, base, self._splits, [CaseRef(name, label.number) for name, label in latest if not label.partial]
        )
        self.jobs = make_jobs(JobStore(self.home.jobs), self.planned)

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

    def report(self) -> None:
        """Write the report of what is done so far."""
        runs = collect(self.planned, self.jobs, self._models, self.folder)
        write_report(
            self.folder, runs, planned=self.planned, gamma=self.config.gammas[0] if self.config.gammas else 1,
            notes=self.config.notes, figure_cases=figure_cases(runs, self._splits, self._cases, self.folder),
        )

    def _base(self, installed: ModelStore) -> ModelInfo:
        note = self.home.root / _BASE
        if note.is_file():
            return self._models.verify(read_json(note)["id"])
        path = self.config.folder / self.config.model
        if any(model.id == self.config.model for model in installed.list()):
            base = _copied(installed.verify(self.config.model), self._models)
        elif path.exists():
            base = self._install(self._models, path)
        else:
            known = ", ".join(model.id for model in installed.list()) or "none"
            raise UserError(
                f"There is no model '{self.config.model}'.", f"It is neither installed ({known}) nor a file or folder.",
                "Correct 'model' in the configuration.",
            )
        write_json(note, {"id": base.id, "sha256": base.sha256})
        return base


def _copied(model: ModelInfo, store: ModelStore) -> ModelInfo:
    def fill(staging: Path) -> ModelCard:
        for name in model.files:
            (staging / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(model.path / name, staging / name)
        return model.card

    return store.add(model.id, fill)
