"""``lnsegfm segment``."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

from tqdm import tqdm

from LNSegFMLib.core.catalogue import install_bundled
from LNSegFMLib.core.errors import UserError
from LNSegFMLib.core.files import check_writable
from LNSegFMLib.core.home import Home
from LNSegFMLib.core.images import check_image_name
from LNSegFMLib.core.models import ModelStore


def add_to(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("segment", help="segment the lymph nodes of a CT")
    parser.add_argument("ct", type=Path, help="DICOM folder, NIfTI, NRRD or MetaImage file")
    parser.add_argument("-o", "--output", type=Path, required=True, help="labels on the CT's own grid")
    parser.add_argument("-m", "--model", default="", help="model id (default: the newest installed one)")
    parser.add_argument("--series", default="", help="Series Instance UID, where a folder holds several series")
    parser.add_argument("--device", default="auto", choices=("auto", "cuda", "mps", "cpu"))
    parser.add_argument("--no-mirroring", action="store_true", help="eight times faster, less accurate")
    parser.add_argument("--step-size", type=float, default=0.5, help="tile step, 0 to 1 (default 0.5)")
    parser.add_argument("--nodes", type=Path, help="write the measurements of the lymph nodes as CSV")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Segment, write the labels, print and store the measurements."""
    from LNSegFMLib.engine.operations import Operations

    home = Home.default()
    store = ModelStore(home.models)
    install_bundled(store)
    installed = store.list()
    if not installed:
        raise UserError("No model is installed.", "", "Type: lnsegfm models install FOLDER_OR_ZIP_OR_PTH")
    check_image_name(options.output)
    for path in filter(None, (options.output, options.nodes)):
        check_writable(path)
    model = options.model or installed[-1].id
    with tqdm(total=1.0, bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}") as bar:

        def report(share: float, text: str) -> None:
            bar.set_description_str(text)
            bar.update(share - bar.n)

        result = Operations(home).segment(
            {
                "model": model, "image": str(options.ct), "output": str(options.output), "device": options.device,
                "quality": "fast" if options.no_mirroring else "standard", "series": options.series,
            },
            report,
            lambda: False,
        )
    for warning in result["warnings"]:
        print(f"Warning: {warning}")
    nodes = result["nodes"]
    print(f"Model {result['model']} on {result['device']} ({result['device_reason']}), {result['seconds']:.1f} s")
    print(f"{len(nodes)} lymph nodes -> {options.output}")
    for node in nodes:
        print(f"  {node['number']:3d}  {node['short_axis_mm']:5.1f} x {node['long_axis_mm']:5.1f} mm  "
              f"{node['volume_mm3'] / 1000:7.2f} ml  {node['size_class']}")
    if options.nodes:
        _write_csv(options.nodes, nodes)


def _write_csv(path: Path, nodes: list[dict[str, Any]]) -> None:
    columns = ("number", "short_axis_mm", "long_axis_mm", "volume_mm3", "size_class")
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow((*columns, "r_mm", "a_mm", "s_mm"))
        for node in nodes:
            writer.writerow([*(node[column] for column in columns), *node["centroid_ras"]])
