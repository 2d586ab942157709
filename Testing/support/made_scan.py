"""A small made-up CT with two lymph nodes, as image, classic DICOM series and enhanced CT, for tests of faulty inputs.

In the air beside the body stands a rod whose value is 10 * z HU in slice z, so that a slice in the wrong place shows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

SIZE = (40, 36, 16)
SPACING = (2.0, 2.5, 3.0)
ORIGIN = (-39.0, -44.0, -120.0)
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
ROD = (3, 4)  # x and y
Edit = Callable[[Dataset, int], object]


def scan() -> tuple[np.ndarray, np.ndarray]:
    """Return the CT (int16, HU) and its labels (uint8, 1 is lymph node), both of shape (z, y, x)."""
    z, y, x = np.ogrid[: SIZE[2], : SIZE[1], : SIZE[0]]

    def ball(centre: Sequence[float], radii: Sequence[float]) -> np.ndarray:
        parts = [((axis - c) / r) ** 2 for axis, c, r in zip((x, y, z), centre, radii, strict=True)]
        return np.asarray(sum(parts)) <= 1

    ct = np.full(SIZE[::-1], -1000.0)
    ct[np.broadcast_to(ball((20, 19, 0), (16, 14, 1e6)), ct.shape)] = -95
    ct[np.broadcast_to(ball((20, 22, 0), (9, 7, 1e6)), ct.shape)] = 55
    ct[np.broadcast_to(ball((20, 12, 0), (3, 3, 1e6)), ct.shape)] = -1000
    labels = ball((12, 17, 6), (3, 2.5, 2.2)) | ball((29, 16, 10), (4, 3, 2.5))
    ct[labels] = 80
    ct += np.random.default_rng(20261201).normal(0, 9, ct.shape)
    ct = ct.clip(-1024, 3071)
    ct[:, ROD[1], ROD[0]] = 10.0 * np.arange(SIZE[2])
    return np.rint(ct).astype(np.int16), labels.astype(np.uint8)


def image(array: np.ndarray, spacing: Sequence[float] = SPACING, origin: Sequence[float] = ORIGIN) -> sitk.Image:
    """Return an array (z, y, x) as an upright image."""
    made = sitk.GetImageFromArray(array)
    made.SetSpacing(spacing)
    made.SetOrigin(origin)
    return made


def rod_of(ct: sitk.Image) -> list[float]:
    """Return the rod's values by slice."""
    return [float(value) for value in sitk.GetArrayViewFromImage(ct)[:, ROD[1], ROD[0]]]


def write_slices(folder: Path, edit: Edit = lambda dataset, number: None) -> list[Path]:
    """Write the CT as a classic series, one file a slice, each changed by ``edit(dataset, number)`` before."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, plane in enumerate(scan()[0]):
        made = _dicom(CTImageStorage, f"slice {number}")
        made.Rows, made.Columns = plane.shape
        made.PixelSpacing, made.InstanceNumber = [SPACING[1], SPACING[0]], number + 1
        made.ImagePositionPatient = [*ORIGIN[:2], ORIGIN[2] + SPACING[2] * number]
        made.ImageOrientationPatient = list(AXIAL)
        made.RescaleSlope, made.RescaleIntercept, made.RescaleType = 1, -1024, "HU"
        made.PixelData = stored(plane)
        edit(made, number)
        paths.append(folder / f"slice{number:02d}.dcm")
        pydicom.dcmwrite(paths[-1], made, enforce_file_format=True)
    return paths


def write_enhanced(
    path: Path, frames: Sequence[int] = range(SIZE[2]), edit: Edit = lambda group, frame: None
) -> Dataset:
    """Write an enhanced CT whose frames are these slices; ``edit`` changes the functional group of each frame."""
    ct, _ = scan()
    made = _dicom(EnhancedCTImageStorage, path.name)
    made.NumberOfFrames, (made.Rows, made.Columns) = len(frames), ct.shape[1:]
    shared, groups = Dataset(), []
    shared.PixelMeasuresSequence = Items([_with(PixelSpacing=[SPACING[1], SPACING[0]])])
    shared.PlaneOrientationSequence = Items([_with(ImageOrientationPatient=list(AXIAL))])
    shared.PixelValueTransformationSequence = Items([_with(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")])
    for number, slice_ in enumerate(frames):
        group = Dataset()
        position = [*ORIGIN[:2], ORIGIN[2] + SPACING[2] * slice_]
        group.PlanePositionSequence = Items([_with(ImagePositionPatient=position)])
        edit(group, number)
        groups.append(group)
    made.SharedFunctionalGroupsSequence, made.PerFrameFunctionalGroupsSequence = Items([shared]), Items(groups)
    made.PixelData = b"".join(stored(ct[number]) for number in frames)
    pydicom.dcmwrite(path, made, enforce_file_format=True)
    return made


def stored(plane: np.ndarray) -> bytes:
    """Return HU as stored values of a slope of 1 and an intercept of -1024."""
    return (plane.astype(int) + 1024).astype("<u2").tobytes()


def _dicom(sop_class: str, key: str) -> Dataset:
    made, meta = Dataset(), FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, sop_class
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[key])
    made.file_meta, made.SOPClassUID, made.SOPInstanceUID = meta, sop_class, meta.MediaStorageSOPInstanceUID
    made.PatientName, made.PatientID, made.Modality = "Made^Up", "MADE-UP", "CT"
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        setattr(made, name, generate_uid(entropy_srcs=[name]))
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 0
    return made


def _with(**elements: object) -> Dataset:
    made = Dataset()
    for name, value in elements.items():
        setattr(made, name, value)
    return made
