"""The part of the self-test that uses the module's logic as scripts do, without the panel."""

from __future__ import annotations

from typing import Any

import slicer

from LNSegFMLib.scene.drafts import accepted_case_of
from LNSegFMLib.scene.segments.lymph_node_records import records_of


def check_logic(test: Any, volume_node: Any, model_id: str) -> None:
    """Segment, measure and accept by `slicer.util.getModuleLogic`.

    Args:
        test: The running test, for its assertions and messages.
        volume_node: A CT.
        model_id: The model.
    """
    test.delayDisplay("Segmenting from a script")
    logic = slicer.util.getModuleLogic("LNSegFM")
    segmentation_node = logic.segment(volume_node, model=model_id, quality="fast")
    count = segmentation_node.GetSegmentation().GetNumberOfSegments()
    test.assertGreater(count, 0, "Expected a script to get a segmentation with lymph nodes.")
    measured = logic.measure(segmentation_node, volume_node)
    test.assertEqual(len(measured), count, "Expected a script to get the measurements of each segment.")
    records = records_of(segmentation_node)
    test.assertGreaterEqual(len(records), count, "Expected the measurements to be kept with the segmentation.")
    case = logic.accept(segmentation_node, volume_node)
    test.assertEqual(accepted_case_of(segmentation_node), case.id, "Expected the segmentation to name its case.")
    work = logic.segment(volume_node, model=model_id, wait=False)
    work.cancel()
    test.wait(lambda: work.done, "the end of a segmentation that a script has cancelled")
    test.assertTrue(work.cancelled, f"Expected the segmentation to be cancelled, not: {work.error}")
