"""What a user does in a day: segment, correct, adapt, segment again. Every step runs the product's own processes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import SimpleITK as sitk
from own_folder import empty_own_folder
from tqdm import tqdm

from lnsegfm.base.home import Home
from lnsegfm.base.processes import child_environment
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.cli.following import follow
from lnsegfm.evaluation.metrics import score_case
from lnsegfm.formats.image_files import write_image
from lnsegfm.jobs.case_selection import make_spec
from lnsegfm.jobs.job_spec import PRESETS
from lnsegfm.jobs.job_store import Job, JobStore
from lnsegfm.lymph_nodes.instances import LymphNode, measure
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_store import ModelStore
from lnsegfm.models.published.catalogue import install_bundled
from lnsegfm.phantom import make_case
from lnsegfm.segmentation.worker_client import WorkerClient

DOMAIN = "hospital"
TRAINING_SEEDS = (101, 102, 103)
HOLDOUT_SEEDS = (201, 202, 203)


@dataclass
class Scan:
    """One phantom scan of the other hospital and what happened to it.

    Args:
        name: Display name.
        ct: The scan.
        truth: Its lymph nodes.
        labels: Segmentations by model id.
        scores: DSC and NSD by model id.
    """

    name: str
    ct: sitk.Image
    truth: sitk.Image
    labels: dict[str, sitk.Image] = field(default_factory=dict)
    scores: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass
class Story:
    """Everything the report tells."""

    base: ModelInfo
    adapted: ModelInfo
    job: Job
    training: list[Scan]
    holdout: list[Scan]
    device: str
    seconds: dict[str, float]

    def mean(self, model: ModelInfo, metric: str) -> float:
        """Mean of a metric over the held-out scans."""
        return sum(scan.scores[model.id][metric] for scan in self.holdout) / len(self.holdout)

    def lymph_nodes(self, scan: Scan, model: ModelInfo) -> list[LymphNode]:
        """The lymph nodes that a model found in a scan."""
        return measure(scan.labels[model.id])[1]

    def verdict(self) -> str:
        """Say in one sentence whether the adapted model is better on the held-out scans."""
        before, after = self.mean(self.base, "dsc"), self.mean(self.adapted, "dsc")
        improved = sum(scan.scores[self.adapted.id]["dsc"] > scan.scores[self.base.id]["dsc"] for scan in self.holdout)
        change = f"mean DSC {before:.3f} before, {after:.3f} after; better in {improved} of {len(self.holdout)} scans"
        if after > before and improved * 2 > len(self.holdout):
            return f"The adapted model is better on the held-out scans: {change}."
        return f"The adapted model is NOT better on the held-out scans: {change}."


def run_story(folder: Path, *, iterations: int) -> Story:
    """Run the main job in an empty home below ``folder``.

    Args:
        folder: Is emptied first, if an earlier run made it.
        iterations: Of the fine-tuning.
    """
    empty_own_folder(folder)
    home = Home((folder / "home").absolute())
    models, cases = ModelStore(home.models), CaseStore(home.cases)
    install_bundled(models)
    base = models.list()[0]
    print(f"Installed the model '{base.name}'.")
    scans = [_scan(seed) for seed in (*TRAINING_SEEDS, *HOLDOUT_SEEDS)]
    training, holdout = scans[: len(TRAINING_SEEDS)], scans[len(TRAINING_SEEDS) :]
    seconds: dict[str, float] = {}
    worker = WorkerClient(env=child_environment(extra={"LNSEGFM_HOME": str(home.root)}))
    try:
        device = _segment(worker, base, scans, folder, seconds, "Segmenting scans of another hospital")
        for scan in scans:
            case = cases.accept(scan.ct, scan.truth, draft_model=base.id, draft_model_sha256=base.sha256)
            cases.set_use(case.id, "train" if scan in training else "holdout")
        print(f"Accepted {len(training)} corrected cases for training and {len(holdout)} as hold-out.")
        started = time.monotonic()
        length = {"epochs": 8, "iterations_per_epoch": max(1, iterations // 8), "seed": 1}
        job = JobStore(home.jobs).create(make_spec(home, base.id, **{**PRESETS["short"], **length}))
        job.start()
        follow(job)
        seconds["Fine-tuning job"] = time.monotonic() - started
        adapted = models.get(job.status().model_id)
        _segment(worker, adapted, holdout, folder, seconds, "Segmenting held-out scans again")
    finally:
        worker.close()
    return Story(base, adapted, job, training, holdout, device, seconds)


def _scan(seed: int) -> Scan:
    phantom = make_case(DOMAIN, seed)
    return Scan(f"{DOMAIN}-{seed}", phantom.ct, phantom.labels)


def _segment(
    worker: WorkerClient, model: ModelInfo, scans: list[Scan], folder: Path, seconds: dict[str, float], text: str
) -> str:
    started = time.monotonic()
    result: dict[str, Any] = {}
    for scan in tqdm(scans, desc=text):
        image = folder / "scans" / f"{scan.name}.nrrd"
        output = folder / "scans" / f"{scan.name}-{model.id}.nrrd"
        write_image(scan.ct, image)
        request = worker.request("segment", model=model.id, image=str(image), output=str(output))
        result = request.wait(timeout_s=600)
        scan.labels[model.id] = sitk.ReadImage(str(output))
        scan.scores[model.id] = score_case(scan.labels[model.id], scan.truth)
    seconds[text] = time.monotonic() - started
    return f"{result['device']} ({result['device_reason']})"
