#!/usr/bin/env bash
# OpenVINO 2026.4.1, PyTorch 2.13.0, numpy 2.4.6: a compiled network that is half of its past
#
# openvino.convert_model shares the weights with the torch network by default (share_weights=True). A model that was compiled
# before the torch network gets other weights, as when the folds of an ensemble go through one network by load_state_dict,
# keeps the convolution kernels that it was compiled with but computes with the new biases: neither the old network nor the new
# one, and no error. With share_weights=False it stays what it was.
#
# Seen: y = kernel * x + bias on x = 1, compiled with kernel 2 and bias 1 (y = 3), then both set in place to 5 and 100. The
# torch network gives 105; the compiled one 102 when sharing, 3 when not.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    "torch==2.13.0" "openvino==2026.4.1" "numpy==2.4.6"

cd "$work"
seen=$("$work/venv/bin/python" - <<'PYTHON'
import openvino as ov
import torch

print(ov.__version__.split("-")[0], torch.__version__.split("+")[0], end=" ")
one = torch.ones(1, 1, 8, 8, 8)
for share in (True, False):
    network = torch.nn.Conv3d(1, 1, 1).eval()
    weights = {"weight": torch.full((1, 1, 1, 1, 1), 2.0), "bias": torch.tensor([1.0])}
    network.load_state_dict(weights)
    converted = ov.convert_model(network, example_input=one, share_weights=share)
    compiled = ov.Core().compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    before = float(compiled({0: one.numpy()})[0].max())
    network.load_state_dict({"weight": torch.full((1, 1, 1, 1, 1), 5.0), "bias": torch.tensor([100.0])})
    print(before, float(compiled({0: one.numpy()})[0].max()), float(network(one).max()), end=" ")
PYTHON
)
echo "Versions; before, after, torch's own after, each with and without sharing: $seen"
[ "$seen" = "2026.4.1 2.13.0 3.0 102.0 105.0 3.0 3.0 105.0 " ] || { echo "The behaviour has changed." >&2; exit 1; }
