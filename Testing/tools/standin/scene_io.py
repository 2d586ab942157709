"""slicer.app.coreIOManager(): loading and saving nodes and scenes with the wheel's storage nodes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import slicer

_TYPES = {
    "VolumeFile": (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm"),
    "SegmentationFile": (".seg.nrrd", ".seg.vtm"),
    "SceneFile": (".mrml", ".mrb"),
}


class CoreIOManager:
    """Reads volumes, segmentations and scenes; writes any storable node."""

    def fileType(self, path: str | os.PathLike[str]) -> str:
        """Return the reader for a file by its name."""
        name = str(path).lower()
        for kind in ("SegmentationFile", "SceneFile", "VolumeFile"):
            if name.endswith(_TYPES[kind]):
                return kind
        return "NoFile"

    def loadNodes(self, file_type: str, properties: dict[str, Any], loaded: Any = None, messages: Any = None) -> bool:
        """Load a file into the scene; the new nodes are added to the collection."""
        path = str(properties["fileName"])
        if file_type == "SceneFile":
            return load_scene(path, clear=bool(properties.get("clear", False)))
        node = self._load_volume(path, properties) if file_type == "VolumeFile" else None
        if file_type == "SegmentationFile":
            logic = slicer.modules.segmentations.logic()
            node = logic.LoadSegmentationFromFile(
                path, properties.get("autoOpacities", True), properties.get("name", "")
            )
        if node is not None and loaded is not None:
            loaded.AddItem(node)
        return node is not None

    def _load_volume(self, path: str, properties: dict[str, Any]) -> Any:
        if not Path(path).exists():
            return None
        name = properties.get("name") or Path(path).name.split(".")[0]
        options = 1 if properties.get("labelmap") else 0
        node = slicer.modules.volumes.logic().AddArchetypeVolume(path, name, options)
        if node is not None and properties.get("show", True):
            slicer.util.setSliceViewerLayers(background=node, fit=True)
        return node

    def fileWriterFileType(self, node: Any) -> str:
        """Return the writer for a node."""
        return "SegmentationFile" if node.IsA("vtkMRMLSegmentationNode") else "VolumeFile"

    def saveNodes(self, file_type: str, properties: dict[str, Any], messages: Any = None) -> bool:
        """Save the scene, or the node `properties["nodeID"]` with its own storage node."""
        path = str(properties["fileName"])
        if file_type == "SceneFile":
            return save_scene(path)
        node = slicer.mrmlScene.GetNodeByID(properties["nodeID"])
        node.AddDefaultStorageNode()
        storage = node.GetStorageNode()
        storage.SetFileName(path)
        return bool(storage.WriteData(node))

    def extractKnownExtension(self, path: str, node: Any) -> str:
        """Return the extension of a file name, with the compound ones of Slicer."""
        name = Path(path).name.lower()
        known = sorted((extension for group in _TYPES.values() for extension in group), key=len, reverse=True)
        return next((extension for extension in known if name.endswith(extension)), Path(path).suffix)

    def fileWriterExtensions(self, node: Any) -> tuple[str, ...]:
        """Return the formats a node can be written in."""
        storage = node.CreateDefaultStorageNode()
        storage.UnRegister(None)
        types = storage.GetSupportedWriteFileTypes()
        return tuple(types.GetValue(index) for index in range(types.GetNumberOfValues()))

    def exportNodes(
        self, ids: list[str], paths: list[str], properties: Any, harden: bool, messages: Any = None
    ) -> bool:
        """Write nodes without changing their storage nodes."""
        written = True
        for node_id, path in zip(ids, paths, strict=True):
            node = slicer.mrmlScene.GetNodeByID(node_id)
            storage = node.CreateDefaultStorageNode()
            storage.UnRegister(None)
            storage.SetFileName(str(path))
            written = bool(storage.WriteData(node)) and written
        return written


def save_scene(path: str | os.PathLike[str]) -> bool:
    """Save the scene as a bundle (.mrb), a bare .mrml file, or a folder with the data."""
    target = Path(path).resolve()
    scene = slicer.mrmlScene
    if target.suffix == ".mrb":
        target.parent.mkdir(parents=True, exist_ok=True)
        return bool(scene.WriteToMRB(str(target)))
    if target.suffix == ".mrml":
        scene.SetURL(str(target))
        scene.SetRootDirectory(str(target.parent))
        return bool(scene.Commit())
    target.mkdir(parents=True, exist_ok=True)
    return bool(scene.SaveSceneToSlicerDataBundleDirectory(str(target)))


def load_scene(path: str | os.PathLike[str], *, clear: bool = False) -> bool:
    """Load a saved scene (.mrb, .mrml, or a folder with one .mrml).

    Args:
        path: The file or folder.
        clear: Replace the scene. Otherwise, as Slicer does unless told so, the nodes are added to it: then no batch
            encloses the import, and it has ended before node selectors know the new nodes.
    """
    source = Path(path).resolve()
    if source.is_dir():
        source = next(iter(sorted(source.glob("*.mrml"))), source)
    if not source.is_file():
        return False
    scene = slicer.mrmlScene
    if source.suffix == ".mrb":
        return bool(scene.ReadFromMRB(str(source), clear))
    scene.SetURL(str(source))
    return bool(scene.Connect() if clear else scene.Import())
