"""Where the header of a NIfTI file says that its voxels lie; SimpleITK is silent where it contradicts itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.base.failures import reason
from lnsegfm.base.wording import by
from lnsegfm.formats.nifti import opened
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.grids import with_right_angles

_LPS = np.diag([-1.0, -1.0, 1.0])
_MM_OF_UNIT = {"meter": 1000.0, "micron": 0.001}
_STEPS = ("columns", "rows", "slices")
_HEADER_BYTES = 348
_SAME_MM = 0.1
_SAME_LENGTH = 1e-3
_TODO = (
    "Find out which is right (Slicer shows R and L), and write the file again from there, or export the CT again."
)


def nifti_grid(path: Path, notes: list[str]) -> Geometry:
    """Return the grid of a NIfTI-1 file.

    As in SimpleITK and Slicer, the sform counts where its code is 1 (scanner) or the qform has none, else the qform.

    Args:
        path: A file, or the header file of a pair.
        notes: Gets a text where the header lacks something or contradicts itself, and for what was taken.

    Raises:
        UserError: A spacing is missing, qform and sform are mirror images of each other, lengths contradict each other,
            or the grid is sheared.
    """
    with opened(path) as stream:
        # Not `from_fileobj`, which goes on to the extensions, however many a damaged header announces.
        header = nibabel.Nifti1Header(stream.read(_HEADER_BYTES), check=False)
    # The standard takes 0 for 1; nibabel refuses it, and anything else.
    header["pixdim"][0] = -1 if header["pixdim"][0] < 0 else 1
    size = tuple((*header.get_data_shape(), 1, 1, 1)[:3])
    unit = _MM_OF_UNIT.get(_unit(header), 1.0)
    pixdim = np.asarray(header["pixdim"][1:4], float) * unit
    sform = _form(header.get_sform(), unit) if int(header["sform_code"]) > 0 else None
    if sform is not None and not _is_grid(sform):
        if int(header["qform_code"]) <= 0:
            raise _no_place(path, "its sform is no grid")
        notes.append(f"The sform of '{path.name}' is no grid; the qform was taken.")
        sform = None
    has_lengths = bool(np.isfinite(pixdim).all() and pixdim.min() > 0)
    if not has_lengths and sform is None:
        axis = int(np.argmin(np.where(np.isfinite(pixdim), pixdim, -1)))
        raise UserError(
            f"{path.name} does not say how far its voxels lie apart.",
            f"pixdim[{axis + 1}] is {pixdim[axis]:g}: the distance of the {_STEPS[axis]} is missing or not possible.",
            "Export the image again, or correct its header.",
        )
    qform = _qform(path, header, unit, sform, notes) if int(header["qform_code"]) > 0 and has_lengths else None
    name, taken = _taken(header, sform, qform)
    if taken is None:
        taken = np.vstack([np.column_stack([np.diag(pixdim), np.zeros(3)]), [0, 0, 0, 1]])
        notes.append(
            "The file does not say how the patient lies (its qform and sform codes are 0). Its first axis was taken to "
            "run to the patient's left, the second to the back, the third to the head."
        )
    elif sform is not None and qform is not None:
        _compare(path, size, sform, qform, name, notes)
    _check_lengths(path, taken, pixdim, has_lengths, name, notes)
    grid = with_right_angles(size, taken[:3, :3], taken[:3, 3], notes, f"grid in the {name}")
    # The lengths of a form's columns are rounded three times, pixdim once.
    return replace(grid, spacing=tuple(pixdim.tolist())) if has_lengths else grid


def read_voxels(path: Path) -> sitk.Image:
    """Read the voxels of a NIfTI file without SimpleITK, which refuses slightly sheared grids.

    Raises:
        UserError: It cannot be read.
    """
    try:
        values = np.asanyarray(nibabel.nifti1.load(path).dataobj)
    except Exception as error:  # nibabel raises errors of many kinds for what is damaged
        raise UserError(f"{path.name} cannot be read as an image.", reason(error), "Export it again.") from error
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.dtype == np.float16:
        values = values.astype(np.float32)
    return sitk.GetImageFromArray(np.ascontiguousarray(values.T, values.dtype.newbyteorder("=")))


def _qform(
    path: Path, header: nibabel.Nifti1Header, unit: float, sform: np.ndarray | None, notes: list[str]
) -> np.ndarray | None:
    try:
        found = _form(header.get_qform(), unit)
        if _is_grid(found):
            return found
    except (ValueError, nibabel.spatialimages.HeaderDataError):  # a quaternion longer than 1
        pass
    if sform is None:
        raise _no_place(path, "its qform is no rotation")
    notes.append(f"The qform of '{path.name}' is no rotation; the sform was taken.")
    return None


def _is_grid(affine: np.ndarray) -> bool:
    return bool(np.isfinite(affine).all() and abs(np.linalg.det(affine[:3, :3])) > 0)


def _no_place(path: Path, why: str) -> UserError:
    return UserError(
        f"{path.name} does not say where its voxels lie in the patient.", f"By its header, {why}.",
        "Export the image again, or correct its header.",
    )


def _unit(header: nibabel.Nifti1Header) -> str:
    try:
        return str(header.get_xyzt_units()[0])
    except KeyError:
        return ""


def _form(affine: np.ndarray, unit: float) -> np.ndarray:
    """Return an affine of NIfTI, which is RAS and in its own unit, in LPS and mm."""
    found = np.eye(4)
    found[:3] = _LPS @ np.asarray(affine, float)[:3] * unit
    return found


def _taken(
    header: nibabel.Nifti1Header, sform: np.ndarray | None, qform: np.ndarray | None
) -> tuple[str, np.ndarray | None]:
    if sform is not None and (qform is None or int(header["sform_code"]) == 1):
        return "sform", sform
    return ("qform", qform) if qform is not None else ("header", None)


def _compare(
    path: Path, size: tuple[int, ...], sform: np.ndarray, qform: np.ndarray, taken: str, notes: list[str]
) -> None:
    corners = np.array([[*np.ravel(corner), 1.0] for corner in np.ndindex(2, 2, 2)])
    corners[:, :3] *= np.asarray(size) - 1
    apart = float(np.linalg.norm((corners @ (sform - qform).T)[:, :3], axis=1).max())
    if not apart > _SAME_MM:
        return
    # A form whose axes are nearly parallel has none for one of them.
    ways = [
        "".join(code or "?" for code in nibabel.aff2axcodes(np.diag([-1.0, -1.0, 1.0, 1.0]) @ each))
        for each in (sform, qform)
    ]
    if ways[0] != ways[1]:
        raise UserError(
            f"The header of {path.name} contradicts itself.",
            f"By its sform the voxels run {ways[0]}, by its qform {ways[1]}: left and right, front and back or head "
            "and feet may be exchanged.", _TODO,
        )
    notes.append(
        f"The qform and the sform of '{path.name}' disagree by up to {apart:.1f} mm; the {taken} was taken, as in "
        "Slicer."
    )


def _check_lengths(
    path: Path, taken: np.ndarray, pixdim: np.ndarray, has_lengths: bool, name: str, notes: list[str]
) -> None:
    lengths = np.linalg.norm(taken[:3, :3], axis=0)
    if not has_lengths:
        notes.append(f"pixdim of '{path.name}' lacks a spacing; that of the {name} was taken.")
    elif name != "header" and np.abs(lengths / pixdim - 1).max() > _SAME_LENGTH:
        raise UserError(
            f"The header of {path.name} contradicts itself.",
            f"Its voxels lie {by(pixdim.tolist())} mm apart by pixdim, but {by(lengths.tolist())} mm by the {name}.",
            _TODO,
        )
