#!/usr/bin/env bash
# SimpleITK 2.5.7 (ITK 5.4) and a disk that becomes full: which formats say so
#
# sitk.WriteImage raises for NRRD when the voxels do not fit while they are written. Where all that is written fits into the
# buffer of the C library, as the compressed labels of a few lymph nodes do, the write happens when the file is closed, and
# nobody looks at what closing returns: no error, no warning, and a file that ends where the disk was full. NIfTI never raises, whatever the size: the
# NIfTI library prints "wrote only ..." to stderr for uncompressed files and nothing for .nii.gz. MetaImage raises only where
# the voxels do not fit while they are written, as NRRD.
#
# The limit on a file's size (RLIMIT_FSIZE, its signal ignored) stands for the full disk: a write is refused in its middle.
#
# Seen, for labels that fit the buffer and for 2 MB of noise, at a limit of 200 bytes, as raised or silent/bytes on the disk:
# .nrrd silent/200 and raised, .nii.gz silent/200 and silent/200, .nii silent/200 and silent/200, .mha silent/200 and raised.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check "SimpleITK==2.5.7" "numpy==2.4.6"

cd "$work"
seen=$("$work/venv/bin/python" - 2>/dev/null <<'PYTHON'
import os
import resource
import signal

import numpy as np
import SimpleITK as sitk

labels = np.zeros((40, 64, 64), np.uint8)
labels[18:22, 30:36, 30:36] = 1
noise = np.random.default_rng(1).integers(0, 255, (128, 128, 128)).astype(np.uint8)
images = [sitk.GetImageFromArray(array) for array in (labels, noise)]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200, resource.RLIM_INFINITY))
for suffix in (".nrrd", ".nii.gz", ".nii", ".mha"):
    for number, image in enumerate(images):
        name = f"{number}{suffix}"
        try:
            sitk.WriteImage(image, name, useCompression=True)
            print(f"{suffix} silent/{os.path.getsize(name)}", end=" ")
        except RuntimeError:
            print(f"{suffix} raised", end=" ")
PYTHON
)
echo "Format and outcome, for small labels and for noise: $seen"
expected=".nrrd silent/200 .nrrd raised .nii.gz silent/200 .nii.gz silent/200 .nii silent/200 .nii silent/200 .mha silent/200 .mha raised "
[ "$seen" = "$expected" ] || { echo "The behaviour has changed." >&2; exit 1; }
