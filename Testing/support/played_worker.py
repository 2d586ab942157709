"""A script that plays the segmentation worker: it finds whatever is brighter than 500 HU. A CT brighter than 3000 HU
takes for ever, and leaves a half-written file as a worker does that is killed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

WORKER = """
import json, sys
from pathlib import Path
import SimpleITK as sitk
from lnsegfm.formats.image_files import write_image
from lnsegfm.lymph_nodes.instances import measure

def send(**message):
    print(json.dumps(message), flush=True)

for line in sys.stdin:
    request = json.loads(line)
    if request["op"] == "cancel":
        send(id=request["id"], event="cancelled")
        continue
    number, arguments = request["id"], request["arguments"]
    try:
        image = sitk.ReadImage(arguments["image"])
    except RuntimeError:
        send(id=number, event="error", error={"what": "The CT cannot be read.", "why": "Broken.", "todo": ""})
        continue
    if sitk.GetArrayViewFromImage(image).max() > 3000:
        output = Path(arguments["output"])
        output.with_name(f".tmp-0123abcd-{output.name}").write_bytes(b"voxels")
        send(id=number, event="progress", fraction=0.5, message="Segmenting")
        continue
    for step in range(200):
        send(id=number, event="progress", fraction=step / 200, message=f"Tile {step} of 200")
    instances, nodes = measure(sitk.Cast(image > 500, sitk.sitkUInt8))
    write_image(sitk.Cast(instances > 0, sitk.sitkUInt8), Path(arguments["output"]))
    if "probability" in arguments:
        write_image(sitk.Cast(image > 500, sitk.sitkUInt8) * 255, Path(arguments["probability"]))
    send(id=number, event="result", value={
        "model_sha256": MODEL, "device": "cpu", "device_reason": "as the test wants it", "seconds": 1.0,
        "warnings": ["The image's modality is MR, not CT."], "expected_benefit": 0.25, "versions": {"torch": "2.x"},
        "nodes": [node.to_json() for node in nodes]})
"""


def write_ct(path: Path, *, brightest: int = 800) -> Path:
    array = np.full((8, 12, 14), -100, np.int16)
    array[:, 0] = -1000
    array[2:5, 3:8, 4:10] = brightest
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.5, 2.0, 3.0))
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path
