#!/usr/bin/env bash
# SimpleITK 2.5.7 (ITK 5.4), nibabel 5.4.2, and the three places where a NIfTI-1 header states the voxel size
#
# Where the orientation comes from the sform, SimpleITK takes the directions from the sform's columns but the voxel size from
# pixdim; nibabel takes both from the sform, which the standard does not tie to pixdim. With sform and qform present, SimpleITK
# takes the sform where its code is 1 (scanner) and the qform where it is 2 or more (aligned, Talairach, MNI); nibabel takes the
# sform wherever its code is above 0. SimpleITK writes a warning to stderr in the first case ("unexpected scales in sform"), and
# nothing in the second; there is no error.
#
# Seen: (a) pixdim 5 mm and a sform of 3 mm along z: SimpleITK 5.0, nibabel 3.0. (b) sform 10 mm further to the left than the
# qform: SimpleITK has the sform's origin for code 1 and the qform's for code 2; nibabel has the sform's for both.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    "SimpleITK==2.5.7" "nibabel==5.4.2" "numpy==2.4.6"

cd "$work"
seen=$("$work/venv/bin/python" - <<'PYTHON'
import nibabel
import numpy as np
import SimpleITK as sitk

values = np.zeros((4, 5, 6), np.int16)
sform = np.diag([-2.0, -2.0, 3.0, 1.0])

image = nibabel.Nifti1Image(values, sform)
image.header["pixdim"][3] = 5.0
image.set_sform(sform, 1, update_affine=False)
image.header["qform_code"] = 0
nibabel.save(image, "lengths.nii")
header = bytearray(open("lengths.nii", "rb").read())
header[88:92] = np.float32(5).tobytes()  # pixdim[3], which nibabel brings in line when it saves
open("lengths.nii", "wb").write(header)
print(sitk.Version().VersionString(), nibabel.__version__, sitk.ReadImage("lengths.nii").GetSpacing()[2],
      float(np.linalg.norm(nibabel.load("lengths.nii").affine[:3, 2])), end=" ")

for code in (1, 2):
    moved = sform.copy()
    moved[0, 3] = -10.0
    image = nibabel.Nifti1Image(values, moved)
    image.set_sform(moved, code)
    image.set_qform(sform, 1, update_affine=False)
    nibabel.save(image, "forms.nii")
    print(sitk.ReadImage("forms.nii").GetOrigin()[0], -float(nibabel.load("forms.nii").affine[0, 3]), end=" ")
PYTHON
)
echo "Versions; slice distance, then origin (LPS x) for code 1 and 2, each of SimpleITK and nibabel: $seen"
[ "$seen" = "2.5.7 5.4.2 5.0 3.0 10.0 10.0 0.0 10.0 " ] || { echo "The behaviour has changed." >&2; exit 1; }
