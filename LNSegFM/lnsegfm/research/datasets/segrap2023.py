"""SegRap2023: a folder per patient with two aligned CTs and one file per structure.

Layout of the public release (https://segrap2023.grand-challenge.org)::

    SegRap2023_Training_Set_120cases/
        segrap_0000/
            image.nii.gz            without contrast agent
            image_contrast.nii.gz   with it, on the same grid
            GTVp.nii.gz             primary tumour
            GTVnd.nii.gz            lymph node metastases
            Brain.nii.gz ...        45 organs at risk
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lnsegfm.images.input_options import InputOptions
from lnsegfm.research.datasets.candidates import Candidate, listed, matches, subfolders
from lnsegfm.research.datasets.label_files import FileCase, known_values, stem

STRUCTURES = ("GTVnd",)
_TRAINING_SET = "SegRap2023_Training_Set_120cases"
_PLAIN, _CONTRAST = "image", "image_contrast"


def candidates(
    source: Path, *, structures: Sequence[str] = STRUCTURES, contrast: bool = False,
    options: InputOptions = InputOptions(),
) -> list[Candidate]:
    """List the patients.

    Args:
        source: The folder of the training set, or the one that holds it.
        structures: Patterns of the names of the structures that are lymph nodes.
        contrast: Take the CT with contrast agent. Never both: a patient must not be in training and test.
        options: What the user says of labels that are not certain; without values all but 0 is lymph node.

    Raises:
        UserError: No patient folders there.
    """
    root = source / _TRAINING_SET if (source / _TRAINING_SET).is_dir() else source
    folders = subfolders(root, "PATIENT/image.nii.gz")
    return [_case(folder, structures, _CONTRAST if contrast else _PLAIN, options) for folder in folders]


def _case(folder: Path, structures: Sequence[str], image: str, options: InputOptions) -> FileCase:
    files = [(name, path) for path in listed(folder) if (name := stem(path)) is not None]
    return FileCase(
        folder.name,
        images=tuple(path for name, path in files if name == image),
        labels=tuple(path for name, path in files if name not in (_PLAIN, _CONTRAST) and matches(name, structures)),
        missing=f"None of its {len(files)} files is a structure of the name {' or '.join(structures)}.",
        merge=True,
        options=known_values(options),
        root=folder,
    )
