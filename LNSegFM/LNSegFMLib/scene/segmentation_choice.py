"""What is chosen for the next segmentation: the parameter node of the module LN-Seg-FM, with or without its panel.

Its panel follows the parameter node, so that another module needs no more than this to choose a model or a pair.
"""

from __future__ import annotations

from typing import Any

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

MODULE = "LNSegFM"
MODEL, VOLUME, SEGMENTATION = "Model", "Volume", "Segmentation"


def parameter_node() -> Any:
    """Return the vtkMRMLScriptedModuleNode of the module LN-Seg-FM; it is made where there is none."""
    logic = ScriptedLoadableModuleLogic()
    logic.moduleName = MODULE
    return logic.getParameterNode()


def chosen_model() -> str:
    """Return the id of the model that is chosen; empty for the default model."""
    return str(parameter_node().GetParameter(MODEL))


def choose_model(model_id: str) -> None:
    """Choose an installed model for the next segmentation; an empty id chooses the default model."""
    parameter_node().SetParameter(MODEL, model_id)


def choose_pair(volume_node: Any | None, segmentation_node: Any | None) -> None:
    """Choose a volume node and its segmentation node for all sections of the panel."""
    node = parameter_node()
    with slicer.util.NodeModify(node):
        for role, chosen in ((VOLUME, volume_node), (SEGMENTATION, segmentation_node)):
            node.SetNodeReferenceID(role, None if chosen is None else chosen.GetID())
