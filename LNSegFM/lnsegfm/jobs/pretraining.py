"""What a pre-training is asked to do, and the folder it works in."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from lnsegfm.base import schema
from lnsegfm.base.errors import UserError
from lnsegfm.base.files import write_json
from lnsegfm.base.home import Home
from lnsegfm.base.processes import python_executable
from lnsegfm.base.schema import Limits, SchemaError
from lnsegfm.jobs.job_progress import ProgressReader
from lnsegfm.jobs.job_spec import CaseRef, JobSpec
from lnsegfm.jobs.job_status import PROGRESS
from lnsegfm.jobs.job_store import Job

SETTINGS = "pretraining.json"
CASES = "cases"
PLANS = "plans.json"
CONFIGURATION = "3d_fullres"
_Patch = Annotated[int, Limits(8, 2048)]
_Spacing = Annotated[float, Limits(above=0, high=1000)]


@dataclass(frozen=True)
class PretrainSettings:
    """A pre-training (Eq. 1 of the paper); the defaults are those of its section 3.1.

    Args:
        raw: Folder in nnU-Net's raw layout.
        name: Display name of the model.
        patch: Voxels of a patch along (z, y, x); made divisible by the network's poolings.
        batch_size: Patches of one iteration, over all GPUs together.
        learning_rate: Of the first epoch; polynomial decay.
        poly_exponent: Exponent of that decay.
        momentum: Nesterov momentum of SGD.
        weight_decay: L2 penalty.
        epochs: Number of epochs.
        iterations_per_epoch: Iterations of an epoch.
        spacing: Voxel size in mm along (z, y, x); None for nnU-Net's choice, the median of the cases.
        base_features: Channels of the first stage; each following stage has twice as many, 320 at most.
        holdout: Number of cases, the last by name, that are used for the pseudo-Dice only.
        seed: Seed of everything that is random.
        device: ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``; ignored with several GPUs.
        gpus: Number of GPUs of this computer that share each batch.

    Raises:
        UserError: A value that makes no sense; the message names the field.
    """

    raw: str
    name: str = "Foundation model"
    patch: tuple[_Patch, _Patch, _Patch] = (80, 112, 224)
    batch_size: int = 2
    learning_rate: float = 1e-2
    poly_exponent: float = 0.9
    momentum: float = 0.99
    weight_decay: float = 3e-5
    epochs: int = 2000
    iterations_per_epoch: int = 250
    spacing: tuple[_Spacing, _Spacing, _Spacing] | None = None
    base_features: Annotated[int, Limits(1, 1024)] = 32
    holdout: Annotated[int, Limits(0, 10_000)] = 0
    seed: int = 20250923
    device: str = "auto"
    gpus: Annotated[int, Limits(1, 64)] = 1

    def __post_init__(self) -> None:
        try:
            schema.check(self)
        except SchemaError as error:
            raise _refused(error.where, error.why) from error
        self.job(["case"])
        if self.batch_size % self.gpus:
            raise _refused("batch_size", f"is {self.batch_size}, which {self.gpus} GPUs cannot share evenly")

    @property
    def steps(self) -> int:
        """Number of iterations in all."""
        return self.epochs * self.iterations_per_epoch

    def job(self, names: list[str]) -> JobSpec:
        """Return what the trainer is to do with the cases of these names: train from scratch.

        Raises:
            UserError: A setting makes no sense, or no case is left to learn from.
        """
        refs = [CaseRef(name, 1) for name in names]
        learned = len(refs) - self.holdout
        shared = {field.name for field in fields(JobSpec)} & {field.name for field in fields(self)} - {"holdout"}
        return JobSpec(
            base_model="none", base_sha256="", cases=tuple(refs[:learned] if learned > 0 or len(refs) > 1 else refs),
            holdout=tuple(refs[learned:]) if 0 < learned < len(refs) else (), method="scratch",
            step_rule="momentum", **{name: getattr(self, name) for name in shared},
        )


class Pretraining(Job):
    """A pre-training in its folder; it is started, watched, cancelled and resumed as a job.

    Args:
        folder: The folder, see `claim_folder`.
        home: Where the model goes.
    """

    def __init__(self, folder: Path, home: Home) -> None:
        self.path, self.id, self.environment = Path(folder), Path(folder).name, {}
        self.settings = read_settings(folder)
        self.spec, self.created = self.settings.job(["case"]), ""
        self._progress, self._own_home = ProgressReader(self.path / PROGRESS), home

    @property
    def way_on(self) -> str:
        """What a user of the command line does when it was interrupted."""
        return "Give the same command again."

    @property
    def _home(self) -> Path:
        return self._own_home.root

    def _command(self) -> list[str]:
        runner = ["-m", "lnsegfm.engine.finetuning.pretrain_runner", str(self.path.absolute())]
        if self.settings.gpus == 1:
            return [python_executable(), *runner]
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={self.settings.gpus}"]
        return [python_executable(), *launcher, *runner]


def read_settings(folder: Path) -> PretrainSettings:
    """Read the settings of a pre-training's folder.

    Raises:
        UserError: There are none, or they make no sense.
    """
    try:
        return schema.read_file(PretrainSettings, folder / SETTINGS)
    except (OSError, ValueError) as error:
        raise UserError(
            "The pre-training cannot continue.", f"{SETTINGS}: {error}.", "Give 'lnsegfm pretrain' another folder."
        ) from error


def claim_folder(folder: Path, settings: PretrainSettings) -> None:
    """Make the folder of a pre-training, or take up the one that was begun with the same settings.

    Raises:
        UserError: The folder holds something else, or a pre-training with other settings.
    """
    values: dict[str, Any] = asdict(settings)
    if (folder / SETTINGS).is_file():
        begun = asdict(read_settings(folder))
        # Where it runs may change on the way.
        changed = [name for name in values if name not in ("device", "gpus") and values[name] != begun[name]]
        if changed:
            raise UserError(
                f"{folder.name} was begun with other settings.",
                "; ".join(f"{name} was {begun[name]}, now {values[name]}" for name in changed) + ".",
                "Repeat the command with the settings of before, or choose another folder.",
            )
    elif folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder.name} is not empty.", "It holds no pre-training.", "Choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / SETTINGS, values)


def _refused(name: str, why: str) -> UserError:
    return UserError("The settings of the pre-training cannot be used.", f"'{name}' {why}.", "Correct it.")
