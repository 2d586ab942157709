"""``lnsegfm segment``."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lnsegfm.base.background import Progress
from lnsegfm.base.errors import UserError
from lnsegfm.base.files import check_writable
from lnsegfm.base.home import Home
from lnsegfm.cli.model_commands import refuse_rejected
from lnsegfm.images.boxes import BODY, WHOLE
from lnsegfm.images.image_files import check_image_name
from lnsegfm.models.catalogue import install_bundled
from lnsegfm.models.model_store import ModelStore
from lnsegfm.segmentation.segment_options import QUALITIES, SegmentOptions


def add_to(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("segment", help="segment the lymph nodes of a CT")
    parser.add_argument("ct", type=Path, help="DICOM folder, NIfTI, NRRD or MetaImage file")
    parser.add_argument("-o", "--output", type=Path, required=True, help="labels on the CT's own grid")
    parser.add_argument("-m", "--model", default="", help="model id (default: the newest installed one)")
    parser.add_argument("--series", default="", help="Series Instance UID, where a folder holds several series")
    parser.add_argument("--device", default="auto", choices=("auto", "cuda", "mps", "cpu"))
    parser.add_argument(
        "--quality", default="standard", choices=QUALITIES, help="standard is nnU-Net's own; see docs/quality.md"
    )
    parser.add_argument("--region", default=WHOLE, choices=(WHOLE, BODY), help="body leaves out what is around it")
    parser.add_argument(
        "--min-short-axis", type=float, default=0.0, metavar="MM", help="leave out lymph nodes with a smaller one"
    )
    parser.add_argument("--probability", type=Path, help="write the foreground probability (0 to 255) as an image")
    parser.add_argument("--nodes", type=Path, help="write the measurements of the lymph nodes as CSV")
    parser.add_argument("--rejected", action="store_true", help="use the model although it was rejected")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Segment, write the labels, print and store the measurements."""
    from lnsegfm.engine.inference.operations import Operations

    home = Home.default()
    store = ModelStore(home.models)
    install_bundled(store)
    installed = store.list()
    if not installed:
        raise UserError("No model is installed.", "", "Type: lnsegfm models install FOLDER_OR_ZIP_OR_PTH")
    images = {"output": options.output, **({"probability": options.probability} if options.probability else {})}
    for path in images.values():
        check_image_name(path)
    for path in filter(None, (*images.values(), options.nodes)):
        check_writable(path)
    usable = [model.id for model in installed if not store.is_rejected(model.id)]
    model_id = options.model or store.default_id or (usable[-1] if usable else installed[-1].id)
    refuse_rejected(store, model_id, options.rejected)
    wanted = SegmentOptions(
        model=model_id, device=options.device, quality=options.quality,
        region=options.region, minimum_short_axis_mm=options.min_short_axis,
    )
    with tqdm(total=1.0, bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}") as bar:

        def report(progress: Progress) -> None:
            bar.set_description_str(progress.message)
            bar.update((progress.fraction or 0.0) - bar.n)

        result = Operations(home).segment(
            {
                "image": str(options.ct), "series": options.series, **wanted.to_json(),
                **{name: str(path) for name, path in images.items()},
            },
            report,
            lambda: False,
        )
    for warning in result["warnings"]:
        print(f"Warning: {warning}")
    nodes = result["nodes"]
    print(f"Model {result['model']} on {result['device']} ({result['device_reason']}), {result['seconds']:.1f} s")
    print(f"{len(nodes)} lymph nodes -> {options.output}; expected benefit of a correction "
          f"{result['expected_benefit']:.3f}")
    for node in nodes:
        print(f"  {node['number']:3d}  {node['short_axis_mm']:5.1f} x {node['long_axis_mm']:5.1f} mm  "
              f"{node['volume_mm3'] / 1000:7.2f} ml  {node['mean_hu']:5.0f} HU  {node['confidence']:4.0%}  "
              f"{node['side']:5s}  {node['size_class']}")
    if options.nodes:
        _write_csv(options.nodes, nodes)


def _write_csv(path: Path, nodes: list[dict[str, Any]]) -> None:
    columns = ("number", "short_axis_mm", "long_axis_mm", "volume_mm3", "size_class", "side", "mean_hu", "confidence")
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow((*columns, "r_mm", "a_mm", "s_mm"))
        for node in nodes:
            writer.writerow([*(node[column] for column in columns), *node["centroid_ras"]])
