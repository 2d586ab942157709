"""The panel of the module LN-Seg-FM for tests: fixtures, scans, and a worker that needs no torch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

import standin
from lnsegfm.base.home import Home
from lnsegfm.models.model_card import ModelCard
from lnsegfm.models.model_store import ModelStore

MODULE = Path(__file__).resolve().parents[2] / "LNSegFM" / "LNSegFM.py"

# Finds whatever is brighter than 200 HU. The model's id says how it behaves: "moody" fails while a file MOOD exists,
# "doubt" until the user says that the values are HU.
# The darker a scan's background, the more its correction is said to teach.
WORKER = '''
import json, os, sys, time
import numpy as np
import SimpleITK as sitk
from lnsegfm.lymph_nodes.instances import measure

def send(**message):
    print(json.dumps(message), flush=True)

for line in sys.stdin:
    request = json.loads(line)
    if request["op"] == "cancel":
        continue
    number, arguments = request["id"], request["arguments"]
    if request["op"] == "install":
        send(id=number, event="result", value={"model": "fine"})
        continue
    if arguments["model"] == "crash":
        print("the very last words", file=sys.stderr, flush=True)
        os._exit(3)
    if "LNSEGFM_TEST_LOG" in os.environ:
        with open(os.environ["LNSEGFM_TEST_LOG"], "a") as log:
            print(json.dumps(arguments), file=log)
    if arguments["model"] == "refuse" or arguments["model"] == "moody" and os.path.exists(os.environ["MOOD"]):
        send(id=number, event="error", error={"what": "It failed.", "why": "For a reason.", "todo": "Do this."})
        continue
    if arguments["model"] == "doubt" and not arguments["assume_hu"]:
        send(id=number, event="error", error={"what": "Not HU.", "why": "It seems.", "todo": "Say.", "kind": "not-hu"})
        continue
    image = sitk.ReadImage(arguments["image"])
    instances, nodes = measure(sitk.Cast(image > 200, sitk.sitkUInt8))
    sitk.WriteImage(instances, arguments["instances"])
    if "probability" in arguments:
        sitk.WriteImage(sitk.Cast(image > 200, sitk.sitkUInt8) * 255, arguments["probability"])
    if arguments["model"] == "slow":
        send(id=number, event="progress", fraction=0.3, message="Segmenting", remaining_s=80.0)
        time.sleep(float(os.environ.get("SLOW_S", "60")))
    send(id=number, event="result", value={
        "model": arguments["model"], "model_sha256": "5a" * 32, "device": "cpu",
        "device_reason": "CPU: as the test wants it", "seconds": 2.0,
        "expected_benefit": -float(np.median(sitk.GetArrayViewFromImage(image))) / 1000,
        "nodes": [node.to_json() for node in nodes]})
'''

OBLIQUE = sitk.VersorTransform((0.3, -0.2, 0.9), 0.7).GetMatrix()
BOXES = ((slice(1, 5), slice(2, 8), slice(3, 12)), (slice(6, 8), slice(10, 13), slice(14, 16)))


@pytest.fixture
def panel_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("LNSEGFM_HOME", str(tmp_path / "home"))
    for name in ("fine", "slow", "crash", "refuse", "moody", "doubt"):
        add_model(name)
    return Home.default()


def add_model(name: str) -> str:
    """Put a model into the store that only the test's worker can use."""

    def fill(folder: Path) -> ModelCard:
        for file in ("plans.json", "dataset.json", "fold_all/checkpoint_final.pth"):
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text("{}")
        return ModelCard(name, "foundation", "PlainConvUNet", "3d_fullres", ("all",))

    return ModelStore(Home.default().models).add(name, fill).id


@pytest.fixture
def app(panel_home: Home) -> Iterator[Any]:
    app = standin.start()
    app.close_scene()
    app.dialogs.clear()
    app.answers.clear()
    yield app
    app.close_scene()
    app.check()


@pytest.fixture
def widget(app: Any, tmp_path: Path) -> Iterator[Any]:
    import slicer

    if hasattr(slicer.modules, "lnsegfm"):
        app.select_module("LNSegFM")
        widget = slicer.util.getModuleWidget("LNSegFM")
    else:
        widget = app.load_module(MODULE)
    use_fake_worker(widget, tmp_path)
    app.wait_until(lambda: not widget.is_working("bundled"), 60, "the set-up")
    widget.refreshModels()
    yield widget
    current = slicer.util.getModuleWidget("LNSegFM")
    current.logic.bench.close()


def use_fake_worker(widget: Any, tmp_path: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    widget.logic.bench.close()
    widget.logic.bench.worker_command = [sys.executable, str(script)]


def add_ct(
    name: str = "CT", *, direction: tuple[float, ...] = OBLIQUE, transform: bool = False, background: int = -100
) -> Any:
    """A scan with two bright boxes, the lymph nodes."""
    import slicer
    import vtk

    from LNSegFMLib.scene.volumes import add_volume

    array = np.full((10, 16, 20), background, np.int16)
    array[:, -1] = -1000
    for box in BOXES:
        array[box] = 320
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.5, 2.0, 3.0))
    image.SetOrigin((-40.0, 25.0, 310.5))
    image.SetDirection(direction)
    node = add_volume(image, name)
    if transform:
        matrix = vtk.vtkMatrix4x4()
        matrix.SetElement(0, 3, 17.0)
        matrix.SetElement(1, 1, 0.0)
        matrix.SetElement(1, 2, -1.0)
        matrix.SetElement(2, 1, 1.0)
        matrix.SetElement(2, 2, 0.0)
        parent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        parent.SetMatrixTransformToParent(matrix)
        node.SetAndObserveTransformNodeID(parent.GetID())
    return node


def bright(volume_node: Any) -> np.ndarray:
    import slicer

    return slicer.util.arrayFromVolume(volume_node) > 200


def segmentations() -> list[Any]:
    import slicer

    return list(slicer.util.getNodesByClass("vtkMRMLSegmentationNode"))


def exported(segmentation_node: Any, volume_node: Any) -> np.ndarray:
    """The segments as Slicer's own logic sees them on the volume's grid."""
    import slicer

    labelmap = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    ids = list(segmentation_node.GetSegmentation().GetSegmentIDs())
    logic = slicer.modules.segmentations.logic()
    assert logic.ExportSegmentsToLabelmapNode(segmentation_node, ids, labelmap, volume_node)
    array = slicer.util.arrayFromVolume(labelmap).copy()
    slicer.mrmlScene.RemoveNode(labelmap)
    return array


def segment(app: Any, widget: Any, model: str = "fine") -> Any:
    app.choose(widget.ui.modelSelector, model)
    before = segmentations()
    app.click(widget.ui.segmentButton)
    app.wait_until(lambda: not widget.is_working("segment"), 60, "the segmentation")
    made = [node for node in segmentations() if node not in before]
    return made[0] if made else None


def run_slowly(app: Any, widget: Any) -> None:
    app.choose(widget.ui.modelSelector, "slow")
    app.click(widget.ui.segmentButton)
    app.wait_until(lambda: "left" in widget.ui.statusLabel.text, 60, "the progress")


def queue_states(widget: Any) -> dict[str, str]:
    """The state of each volume in the queue's table."""
    table = widget.ui.queueTable
    return {table.item(row, 0).text(): table.item(row, 1).text() for row in range(table.rowCount)}


def open_queue(app: Any, widget: Any) -> None:
    if widget.ui.queueCollapsibleButton.collapsed:
        app.click(widget.ui.queueCollapsibleButton)


def finish_queue(app: Any, widget: Any) -> None:
    app.wait_until(lambda: not widget.is_working("segment"), 60, "the queue")
