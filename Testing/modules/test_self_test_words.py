"""A self-test that fails says what failed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import TestCase

import pytest

from lnsegfm.base.errors import UserError
from lnsegfm_panel import add_ct, segment

# DICOMLib as Slicer has it, as far as the self-test asks it.
UTILITIES = '''
import contextlib

imports, loads = True, []

class Database:
    def patients(self):
        return ["a patient"]

@contextlib.contextmanager
def TemporaryDICOMDatabase():
    yield Database()

def importDicom(folder, database):
    return imports

def loadPatientByUID(patient):
    return loads
'''


class ScalarPlugin:
    """Slicer's exporter of volumes, with what it answers."""

    offers, answer = 1, ""

    def examineForExport(self, item: int) -> list[Any]:
        return [self] * self.offers

    def setTag(self, name: str, value: str) -> None:
        pass

    def export(self, exportables: list[Any]) -> str:
        if not self.answer:
            (Path(exportables[0].directory) / "1.dcm").write_bytes(b"1")
        return self.answer


class Recorder(TestCase):
    def delayDisplay(self, text: str) -> None:
        pass


@pytest.fixture
def dicom(app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    import slicer

    package = tmp_path / "python" / "DICOMLib"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "DICOMUtils.py").write_text(UTILITIES)
    monkeypatch.syspath_prepend(str(package.parent))
    plugin = type("Plugin", (ScalarPlugin,), {})
    plugins = {"DICOMScalarVolumePlugin": plugin, "DICOMSegmentationPlugin": plugin}
    monkeypatch.setattr(slicer.modules, "dicomPlugins", plugins, raising=False)
    from DICOMLib import DICOMUtils

    yield plugin, DICOMUtils
    for name in ("DICOMLib", "DICOMLib.DICOMUtils"):
        sys.modules.pop(name)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda plugin, utilities: setattr(plugin, "offers", 0), "DICOMScalarVolumePlugin does not offer"),
        (lambda plugin, utilities: setattr(plugin, "answer", "No study."), "No study."),
        (lambda plugin, utilities: setattr(utilities, "imports", False), "could not put it into a database"),
        (lambda plugin, utilities: None, "has 1 patients, from which 0 nodes were loaded, and no volume"),
    ],
)
def test_failed_dicom_series_says_what_failed(app: Any, widget: Any, dicom: Any, change: Any, reason: str) -> None:
    import slicer

    from LNSegFMLib.self_tests.export_self_test import check_exports

    volume = add_ct()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    hierarchy.CreateItem(hierarchy.GetSceneItemID(), volume)
    app.process_events()
    node = segment(app, widget)
    change(*dicom)
    with pytest.raises(UserError, match="could not be written and loaded as a DICOM series") as caught:
        check_exports(Recorder(), widget.logic.bench, node, volume)
    assert reason in caught.value.why


def test_missing_download_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    from lnsegfm.models.published import catalogue

    monkeypatch.setattr(catalogue, "published_models", lambda: [{"id": "bundled"}])
    with pytest.raises(UserError, match="No model can be downloaded"):
        catalogue.recommended_model()
