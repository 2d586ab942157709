"""How a CT is to be segmented: what the user chooses, as the worker and the command line take it too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from lnsegfm.base.computer.device_names import DEVICES, PrecisionName, is_device
from lnsegfm.base.errors import UserError
from lnsegfm.images.boxes import BODY, WHOLE, Region
from lnsegfm.segmentation.backend_names import AUTO, check_backend, check_precision

QualityName = Literal["fast", "standard", "best"]
_LONGEST_AXIS_MM = 1000.0
QUALITIES: tuple[str, ...] = get_args(QualityName)


@dataclass(frozen=True)
class SegmentOptions:
    """How to segment.

    Args:
        model: Id of the model.
        device: ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``.
        quality: ``standard`` gives nnU-Net's own labels; ``fast`` and ``best`` trade agreement with them for time,
            see `lnsegfm.engine.inference.quality` and docs/explanation/quality.md.
        region: What is segmented: ``whole``, ``body`` (the box around the patient) or a `Box` on the CT's grid.
            Outside of it there are no labels. A crop moves the tiles, so that labels may change a little inside.
        minimum_short_axis_mm: Lymph nodes with a smaller short axis are left out.
        probability: Return the probability volume as well.
        assume_hu: The user says that the CT's values are HU, although they do not look like it.
        keep_implausible: Count what cannot be a lymph node, see `lnsegfm.lymph_nodes.plausibility`, among the others.
        backend: What runs the network, see `lnsegfm.segmentation.backend_names`; ``auto`` takes OpenVINO on the CPU
            where it is installed, and PyTorch elsewhere.
        precision: In which the network computes: ``auto`` is as fast as device and quality allow.

    Raises:
        UserError: A value that is not possible.
    """

    model: str
    device: str = "auto"
    quality: QualityName = "standard"
    region: Region = WHOLE
    minimum_short_axis_mm: float = 0.0
    probability: bool = False
    assume_hu: bool = False
    keep_implausible: bool = False
    backend: str = AUTO
    precision: PrecisionName = "auto"

    def __post_init__(self) -> None:
        if self.quality not in QUALITIES:
            raise UserError(
                f"There is no quality '{self.quality}'.", todo=f"Choose one of: {', '.join(QUALITIES)}."
            )
        check_backend(self.backend)
        check_precision(self.precision)
        if not is_device(self.device):
            raise UserError(f"There is no device '{self.device}'.", todo=f"Choose one of: {DEVICES}.")
        if self.region not in (WHOLE, BODY):
            _check_box(self.region)
        if not 0 <= self.minimum_short_axis_mm <= _LONGEST_AXIS_MM:
            raise UserError(
                "The smallest short axis is not possible.", f"It is {self.minimum_short_axis_mm} mm.",
                f"Give a length from 0 to {_LONGEST_AXIS_MM:g} mm.",
            )

    def to_json(self) -> dict[str, Any]:
        """Return what the worker must know as JSON types; it is asked for the probability by where to write it."""
        region = self.region if isinstance(self.region, str) else list(self.region)
        return {
            "model": self.model, "device": self.device, "quality": self.quality, "region": region,
            "minimum_short_axis_mm": self.minimum_short_axis_mm, "assume_hu": self.assume_hu,
            "keep_implausible": self.keep_implausible, "backend": self.backend, "precision": self.precision,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> SegmentOptions:
        """Rebuild options from `to_json`; what is missing gets its default, what is unknown is passed over.

        Raises:
            UserError: A value that is not possible.
        """
        # JSON has lists only; whether it is a region at all is checked like any other.
        region: Any = fields.get("region", WHOLE)
        if isinstance(region, list):
            region = tuple(region)
        return cls(
            model=fields["model"],
            device=fields.get("device", "auto"),
            quality=fields.get("quality", "standard"),
            region=region,
            minimum_short_axis_mm=float(fields.get("minimum_short_axis_mm", 0.0)),
            assume_hu=bool(fields.get("assume_hu", False)),
            keep_implausible=bool(fields.get("keep_implausible", False)),
            backend=fields.get("backend", AUTO),
            precision=fields.get("precision", "auto"),
        )


def _check_box(region: Any) -> None:
    whole_numbers = isinstance(region, tuple) and all(isinstance(limit, int) for limit in region)
    if not (whole_numbers and len(region) == 6):
        raise UserError(
            f"There is no region {region!r}.",
            todo=f"Choose '{WHOLE}', '{BODY}' or a box of six whole numbers i0, i1, j0, j1, k0, k1.",
        )
