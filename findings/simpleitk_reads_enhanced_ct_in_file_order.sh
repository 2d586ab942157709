#!/usr/bin/env bash
# SimpleITK 2.5.7 (GDCM) and enhanced (multi-frame) CT
#
# An enhanced CT states position and voxel size of each frame in functional groups, and its frames may be stored in any order
# (the standard leaves the order to the dimension index). Where they are not stored along their normal, SimpleITK returns them
# as they are stored, with a spacing of (1, 1, 1) in place of that in the functional groups, and says nothing.
#
# Seen: three frames of 2 x 2 mm pixels at 3, 0 and 6 mm with values 200, 100 and 300: read as 200, 100, 300 from z = 3 mm
# upwards, spacing (1, 1, 1).
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    "SimpleITK==2.5.7" "pydicom==3.0.2" "numpy==2.4.6"

cd "$work"
seen=$("$work/venv/bin/python" - <<'PYTHON'
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid


def group(**elements):
    item = Dataset()
    for name, value in elements.items():
        setattr(item, name, value)
    return Sequence([item])


ct, meta = Dataset(), FileMetaDataset()
meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, EnhancedCTImageStorage
meta.MediaStorageSOPInstanceUID = generate_uid()
ct.file_meta, ct.SOPClassUID, ct.SOPInstanceUID = meta, EnhancedCTImageStorage, meta.MediaStorageSOPInstanceUID
ct.Modality, ct.SeriesInstanceUID, ct.StudyInstanceUID = "CT", generate_uid(), generate_uid()
ct.SamplesPerPixel, ct.PhotometricInterpretation = 1, "MONOCHROME2"
ct.BitsAllocated, ct.BitsStored, ct.HighBit, ct.PixelRepresentation = 16, 16, 15, 1
ct.NumberOfFrames, ct.Rows, ct.Columns = 3, 4, 4
shared = Dataset()
shared.PixelMeasuresSequence = group(PixelSpacing=[2, 2], SliceThickness=3)
shared.PlaneOrientationSequence = group(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
shared.PixelValueTransformationSequence = group(RescaleSlope=1, RescaleIntercept=0, RescaleType="HU")
frames = []
for height in (3, 0, 6):
    frame = Dataset()
    frame.PlanePositionSequence = group(ImagePositionPatient=[0, 0, height])
    frames.append(frame)
ct.SharedFunctionalGroupsSequence, ct.PerFrameFunctionalGroupsSequence = Sequence([shared]), Sequence(frames)
ct.PixelData = np.repeat([200, 100, 300], 16).astype("<i2").tobytes()
pydicom.dcmwrite("ct.dcm", ct, enforce_file_format=True)

image = sitk.ReadImage("ct.dcm")
values = [int(image[0, 0, z]) for z in range(3)]
print(sitk.Version().VersionString(), values, image.GetSpacing(), image.GetOrigin()[2], image.GetDirection()[8])
PYTHON
)
echo "SimpleITK, values by slice, spacing, z of the first slice and of the normal: $seen"
[ "$seen" = "2.5.7 [200, 100, 300] (1.0, 1.0, 1.0) 3.0 1.0" ] || { echo "The behaviour has changed." >&2; exit 1; }
