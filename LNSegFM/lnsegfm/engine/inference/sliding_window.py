"""Sliding-window inference with Gaussian weights, as nnU-Net does it, with progress, cancel and a memory fallback."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from acvl_utils.cropping_and_padding.padding import pad_nd_image
from nnunetv2.inference.sliding_window_prediction import compute_gaussian, compute_steps_for_sliding_window
from nnunetv2.utilities.helpers import empty_cache

from lnsegfm.base.errors import UserError
from lnsegfm.engine.inference.backends.backend import Run
from lnsegfm.engine.inference.quality import Quality
from lnsegfm.engine.inference.tile_progress import TileProgress, Workload

Slices = tuple[slice, ...]


@dataclass(frozen=True)
class SlidingWindow:
    """How a volume is cut into tiles.

    Args:
        patch_size: Tile size in voxels, ``(z, y, x)``.
        quality: Step and mirroring.
        mirror_axes: Spatial axes (0 = z) that the model was trained to be mirrored along; empty for none.
        heads: Number of output channels.
        in_flight: How many tiles go through the network at once.
        single: Sum the tiles in single precision. In half precision, as nnU-Net sums them, the far corners of a tile,
            where its weight is next to nothing, lose the difference of the classes; within a scan another tile decides
            there, at the edge of a small region none does.
    """

    patch_size: tuple[int, ...]
    quality: Quality
    mirror_axes: tuple[int, ...]
    heads: int
    in_flight: int
    single: bool = False

    def workload(self, shape: Sequence[int], folds: int) -> Workload:
        """Return how many passes of the network a volume of this shape takes."""
        padded = [max(size, patch) for size, patch in zip(shape, self.patch_size)]
        return Workload(len(self._corners(padded)), len(self._flips()), folds)

    @torch.inference_mode()
    def predict(
        self, run: Run, data: torch.Tensor, device: torch.device, progress: TileProgress
    ) -> torch.Tensor:
        """Return the logits ``[heads, z, y, x]`` (float32, CPU) of ``data`` ``[1, z, y, x]``, see `Backend.run`.

        When the GPU has too little memory, tiles go one by one, then the sums are kept in main memory as well; the
        network stays on the GPU.

        Raises:
            Cancelled: The user cancelled.
            UserError: The GPU's memory does not even hold one tile, or the network's output is not finite.
            BackendFailed: The backend that runs the network does not work.
        """
        padded, slicer = pad_nd_image(data, self.patch_size, "constant", {"value": 0}, True, None)
        plans = [(device, self.in_flight)]
        if device.type != "cpu":
            plans += [(device, 1), (torch.device("cpu"), 1)]
        mark = progress.begin()
        for home, in_flight in plans:
            try:
                logits = self._sum_tiles(run, padded, device, home, in_flight, progress)
                return logits[(slice(None), *slicer[1:])].float().cpu()
            except RuntimeError as error:
                # MPS raises a plain RuntimeError where CUDA has a class of its own.
                if "out of memory" not in str(error).lower():
                    raise
                progress.restart(mark)
                reason = str(error).splitlines()[0]
            # Only here: inside the except block the traceback still holds the tensors.
            empty_cache(device)
        raise UserError(
            "The GPU has too little memory for this model.", reason,
            "Close other programs that use the GPU, or choose the device 'cpu' (slow).",
        )

    def _sum_tiles(
        self,
        run: Run,
        data: torch.Tensor,
        device: torch.device,
        home: torch.device,
        in_flight: int,
        progress: TileProgress,
    ) -> torch.Tensor:
        data = data.to(home)
        # In half precision voxels at the decision's edge are labelled as by nnU-Net, in single precision otherwise.
        precision = torch.float32 if self.single else torch.half
        weight = compute_gaussian(
            self.patch_size, sigma_scale=1.0 / 8, value_scaling_factor=10, dtype=precision, device=home
        )
        logits = torch.zeros((self.heads, *data.shape[1:]), dtype=precision, device=home)
        weights = torch.zeros(data.shape[1:], dtype=precision, device=home)
        tiles = [
            tuple(slice(low, low + size) for low, size in zip(corner, self.patch_size))
            for corner in self._corners(data.shape[1:])
        ]
        for tile, prediction in self._predictions(run, data, tiles, device, in_flight, progress):
            logits[(slice(None), *tile)] += prediction.to(home) * weight
            weights[tile] += weight
        logits /= weights
        if not torch.isfinite(logits).all():
            raise UserError(
                "The model gave no usable result for this scan.", "Its output is not finite.",
                "Check that the image is a CT in HU; if it is, use another model.",
            )
        return logits

    def _predictions(
        self,
        run: Run,
        data: torch.Tensor,
        tiles: list[Slices],
        device: torch.device,
        in_flight: int,
        progress: TileProgress,
    ) -> Iterator[tuple[Slices, torch.Tensor]]:
        """Yield each tile with its logits ``[heads, z, y, x]``, averaged over the flips."""
        flips = self._flips()
        work = [(tile, axes) for tile in tiles for axes in flips]
        total: torch.Tensor | None = None
        for start in range(0, len(work), in_flight):
            chunk = work[start : start + in_flight]
            batch = [torch.flip(data[(slice(None), *tile)].to(device), axes) for tile, axes in chunk]
            # Every batch has the same size: PyTorch is slow with one of one, and OpenVINO was told the size.
            batch += batch[-1:] * (in_flight - len(batch))
            predictions = run(torch.stack(batch))
            for number, (tile, axes) in enumerate(chunk, start + 1):
                prediction = torch.flip(predictions[number - start - 1], axes)
                total = prediction if total is None else total + prediction
                if number % len(flips) == 0:
                    yield tile, total / len(flips)
                    total = None
            progress.step(len(chunk))

    def _corners(self, shape: Sequence[int]) -> list[tuple[int, ...]]:
        """Return where the tiles of a volume begin that is no smaller than a tile."""
        steps = compute_steps_for_sliding_window(tuple(shape), self.patch_size, self.quality.step)
        return list(itertools.product(*steps))

    def _flips(self) -> list[tuple[int, ...]]:
        axes = [axis + 1 for axis in self.mirror_axes] if self.quality.mirroring else []
        return [chosen for count in range(len(axes) + 1) for chosen in itertools.combinations(axes, count)]
