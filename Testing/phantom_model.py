"""Train the bundled demonstration model on source phantoms: ``make phantom-model``.

Nothing but nnU-Net's own data loading, augmentation and loss, with a network small enough for two CPU cores.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "LNSegFM"), str(REPOSITORY / "LNSegFMFineTune")]

from LNSegFMFineTuneLib.core.spec import CaseRef, JobSpec  # noqa: E402
from LNSegFMLib.core.files import read_json, sha256, write_json  # noqa: E402
from LNSegFMLib.core.models import ModelCard, ModelStore  # noqa: E402
from LNSegFMLib.phantom import make_case  # noqa: E402

CATALOGUE = REPOSITORY / "LNSegFM" / "Resources" / "Models.json"
SPACING = [3.0, 2.0, 2.0]
FEATURES = [8, 16, 32, 64]
CASES = 32
HOLDOUT = 4
EPOCHS, ITERATIONS = 60, 50


def phantom_dataset() -> dict[str, Any]:
    """Return the dataset description of nnU-Net."""
    return {
        "channel_names": {"0": "CT"}, "labels": {"background": 0, "lymph node": 1},
        "numTraining": CASES, "file_ending": ".nrrd",
    }


def phantom_plans(intensities: np.ndarray) -> dict[str, Any]:
    """Return nnU-Net plans of the small network.

    Args:
        intensities: HU of all lymph node voxels of the training cases, for nnU-Net's CT normalisation.
    """
    stages = len(FEATURES)
    resampling = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    function = "resample_data_or_seg_to_shape"
    low, high = np.percentile(intensities, [0.5, 99.5])
    statistics = {
        "mean": intensities.mean(), "std": intensities.std(), "median": np.median(intensities),
        "min": intensities.min(), "max": intensities.max(), "percentile_00_5": low, "percentile_99_5": high,
    }
    return {
        "dataset_name": "Dataset900_PhantomLymphNodes",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": SPACING,
        "original_median_shape_after_transp": [40, 96, 96],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {
            "3d_fullres": {
                "data_identifier": "nnUNetPlans_3d_fullres",
                "preprocessor_name": "DefaultPreprocessor",
                "batch_size": 2,
                "patch_size": [32, 48, 48],
                "median_image_size_in_voxels": [40.0, 96.0, 96.0],
                "spacing": SPACING,
                "normalization_schemes": ["CTNormalization"],
                "use_mask_for_norm": [False],
                "resampling_fn_data": function,
                "resampling_fn_data_kwargs": resampling,
                "resampling_fn_seg": function,
                "resampling_fn_seg_kwargs": {**resampling, "is_seg": True, "order": 1},
                "resampling_fn_probabilities": function,
                "resampling_fn_probabilities_kwargs": {**resampling, "order": 1},
                "architecture": {
                    "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
                    "arch_kwargs": {
                        "n_stages": stages,
                        "features_per_stage": FEATURES,
                        "conv_op": "torch.nn.modules.conv.Conv3d",
                        "kernel_sizes": [[3, 3, 3]] * stages,
                        "strides": [[1, 1, 1]] + [[2, 2, 2]] * (stages - 1),
                        "n_conv_per_stage": [2] * stages,
                        "n_conv_per_stage_decoder": [2] * (stages - 1),
                        "conv_bias": True,
                        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
                        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
                        "dropout_op": None,
                        "dropout_op_kwargs": None,
                        "nonlin": "torch.nn.LeakyReLU",
                        "nonlin_kwargs": {"inplace": True},
                    },
                    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
                },
                "batch_dice": False,
            }
        },
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": {key: float(value) for key, value in statistics.items()}},
    }


def train(folder: Path, epochs: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train from random weights on source phantoms and return plans and state dict.

    Args:
        folder: Empty working folder.
        epochs: How many epochs of `ITERATIONS` iterations.
    """
    os.environ.update(nnUNet_preprocessed=str(folder), nnUNet_results=str(folder), nnUNet_n_proc_DA="0")
    import torch
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    from LNSegFMFineTuneLib.engine.trainer import Trainer
    from LNSegFMFineTuneLib.engine.training_data import TrainingCase, preprocess
    from LNSegFMLib.engine.networks import build_network

    cases, intensities = [], []
    for seed in range(CASES + HOLDOUT):
        phantom = make_case("source", seed)
        case = TrainingCase(f"case-{seed:04d}", folder / f"image-{seed}.nrrd", folder / f"label-{seed}.nrrd")
        sitk.WriteImage(phantom.ct, str(case.image))
        sitk.WriteImage(phantom.labels, str(case.label))
        cases.append(case)
        intensities.append(sitk.GetArrayFromImage(phantom.ct)[sitk.GetArrayFromImage(phantom.labels) > 0])
    plans, dataset = phantom_plans(np.concatenate(intensities[:CASES]).astype(float)), phantom_dataset()
    data = folder / "cases"
    data.mkdir()
    preprocess(cases, PlansManager(plans), "3d_fullres", dataset, "LPS", data, lambda case: None)
    references = [CaseRef(case.identifier, 1) for case in cases]
    spec = JobSpec(
        base_model="none", base_sha256="", cases=tuple(references[:CASES]), holdout=tuple(references[CASES:]),
        method="full", epochs=epochs, iterations_per_epoch=ITERATIONS, learning_rate=1e-2, step_rule="momentum",
        seed=1, device="cpu",
    )
    torch.manual_seed(spec.seed)
    network = build_network(plans, "3d_fullres", dataset, deep_supervision=True)
    network.apply(network.initialize)
    trainer = Trainer.start(plans, "3d_fullres", dataset, network.state_dict(), spec, data, torch.device("cpu"))
    started = time.monotonic()
    while trainer.iteration < spec.steps:
        loss = trainer.step()
        if trainer.iteration % ITERATIONS == 0:
            minutes = (time.monotonic() - started) / 60
            print(f"{minutes:5.1f} min  epoch {trainer.epoch:3d} of {epochs}  loss {loss:6.3f}  "
                  f"hold-out pseudo-Dice {trainer.pseudo_dice():.3f}", flush=True)
    return plans, trainer.weights()


def main() -> None:
    """Train, pack as the bundled zip, and write its SHA-256 into the catalogue."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--output", type=Path, default=REPOSITORY / "LNSegFM" / "Resources" / "PhantomModel.zip")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary) / "work"
        work.mkdir()
        plans, weights = train(work, options.epochs)
        from LNSegFMLib.engine.checkpoints import save_checkpoint

        def fill(staging: Path) -> ModelCard:
            write_json(staging / "plans.json", plans)
            write_json(staging / "dataset.json", phantom_dataset())
            save_checkpoint(
                staging / "fold_all" / "checkpoint_final.pth", weights, plans=plans, configuration="3d_fullres",
                dataset=phantom_dataset(), fold="all", mirroring_axes=(0, 1, 2),
            )
            return ModelCard(
                name="Phantom (demonstration)", kind="demonstration", architecture="PlainConvUNet",
                configuration="3d_fullres", folds=("all",),
                lineage={"trained on": f"{CASES} source phantoms", "iterations": options.epochs * ITERATIONS},
            )

        model = ModelStore(Path(temporary) / "models").add("phantom", fill)
        packed = Path(temporary) / "PhantomModel.zip"
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(model.path.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(model.path).as_posix())
        shutil.copyfile(packed, options.output)
    print(f"{options.output.name}: {options.output.stat().st_size / 1e6:.2f} MB, SHA-256 {sha256(options.output)}")
    if options.output.parent == CATALOGUE.parent and CATALOGUE.is_file():
        catalogue = read_json(CATALOGUE)
        for entry in catalogue["models"]:
            if entry.get("bundled", {}).get("file") == options.output.name:
                entry["bundled"]["sha256"] = sha256(options.output)
        write_json(CATALOGUE, catalogue)


if __name__ == "__main__":
    main()
