"""A worker for tests of the panel that judges what it finds, and the scan for it: two lymph nodes, and one in air."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from plain_body import BONE, IN_AIR, IN_MUSCLE, MUSCLE, PlainBody

from lnsegfm_panel import WORKER

WARNING = "The slices are 9.0 mm apart."
_MEASURED = "instances, nodes = measure(sitk.Cast(image > 200, sitk.sitkUInt8))"
_JUDGED = f"""{_MEASURED}
    from lnsegfm.lymph_nodes.intensity import describe
    from lnsegfm.lymph_nodes.plausibility import kept_apart, renumbered
    nodes, apart, numbers = kept_apart(describe(nodes, instances, image))
    instances = renumbered(instances, numbers)
    if arguments["keep_implausible"]:
        nodes, apart = [*nodes, *apart], []"""
_ANSWER = '"nodes": [node.to_json() for node in nodes]})'


def use_judging_worker(bench: Any, tmp_path: Path) -> None:
    """Let a `Workbench` use the worker."""
    assert _MEASURED in WORKER and _ANSWER in WORKER
    listed = f'"implausible": [node.to_json() for node in apart], "warnings": [{WARNING!r}], {_ANSWER}'
    script = tmp_path / "judging_worker.py"
    script.write_text(WORKER.replace(_MEASURED, _JUDGED).replace(_ANSWER, listed))
    bench.close()
    bench.worker_command = [sys.executable, str(script)]


def add_body_ct(name: str = "CT", *, in_tissue: bool = True) -> Any:
    """Add a CT: bright spheres in the body, unless ``in_tissue`` is False, and the largest one in the air beside it."""
    from LNSegFMLib.scene.volumes import add_volume

    body = PlainBody((3.0, 3.0, 4.0), noise=0.0)
    body.hu[body.hu == BONE] = MUSCLE
    for place, diameter in (((IN_MUSCLE, 16), ((-5.0, 5.0, 20.0), 11)) if in_tissue else ()):
        body.sphere(place, diameter, 320)
    body.sphere(IN_AIR, 22, 320)
    return add_volume(body.images()[0], name)
