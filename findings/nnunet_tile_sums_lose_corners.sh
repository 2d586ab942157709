#!/usr/bin/env bash
# nnU-Net 2.8.1: sums of tiles in half precision turn the logits in the corners of a tile into whole numbers
#
# nnUNetPredictor adds the tiles' logits, times a Gaussian, in half precision and divides by the summed Gaussian afterwards. In
# the far corners of a tile the Gaussian is so small that logits times it have no digits left. Within a scan another tile decides
# there; an image of about one tile (a crop around a region of interest) has no other. A network that says foreground by
# 0.45 against 0.30 everywhere comes out as background there.
#
# Seen: of one tile of 96x96x96 voxels 1.7 % are background, the corner [0, 0, 0] among them, the middle not.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    "torch==2.13.0" "torchvision==0.28.0" "nnunetv2==2.8.1" "numpy==2.4.6"

cd "$work"
export nnUNet_raw="$work" nnUNet_preprocessed="$work" nnUNet_results="$work"
seen=$("$work/venv/bin/python" - <<'PYTHON' 2>"$work/log"
from importlib.metadata import version
from types import SimpleNamespace

import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

SIZE = 96


class Everywhere(torch.nn.Module):
    def forward(self, tile):
        return torch.stack([torch.full_like(tile[:, 0], 0.30), torch.full_like(tile[:, 0], 0.45)], 1)


predictor = nnUNetPredictor(use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False)
predictor.network, predictor.allowed_mirroring_axes = Everywhere(), None
predictor.configuration_manager = SimpleNamespace(patch_size=[SIZE] * 3)
predictor.label_manager = SimpleNamespace(num_segmentation_heads=2)
logits = predictor.predict_sliding_window_return_logits(torch.zeros(1, SIZE, SIZE, SIZE))
lost = logits[1] <= logits[0]
print(version("nnunetv2"), f"{100 * lost.float().mean():.1f}", bool(lost[0, 0, 0]), bool(lost[SIZE // 2].any()))
PYTHON
) || { cat "$work/log" >&2; exit 1; }
seen=$(tail -n 1 <<<"$seen")
echo "Version; percent of the tile lost, the corner lost, anything lost in the middle slice: $seen"
[ "$seen" = "2.8.1 1.7 True False" ] || { echo "The behaviour has changed." >&2; exit 1; }
