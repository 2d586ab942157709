"""The folder of volumes on their way: what a killed process has left is gone at the next segmentation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lnsegfm.base.processes import child_environment
from lnsegfm.segmentation.exchange import clear_ended, exchange_folder

HOLDER = """
import sys
from pathlib import Path
from lnsegfm.segmentation.exchange import exchange_folder
with exchange_folder(Path(sys.argv[1])) as folder:
    (folder / "image.nrrd").write_bytes(b"voxels")
    print(folder, flush=True)
    sys.stdin.readline()
"""


def test_what_a_killed_process_left_is_cleared_and_what_is_in_use_stays(tmp_path: Path) -> None:
    room = tmp_path / "exchange"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(room)], env=child_environment(), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )
    assert holder.stdout is not None
    folder = Path(holder.stdout.readline().strip())
    elsewhere = room / ".tmp-another-computer_1_5.0_abc"
    elsewhere.mkdir()
    with exchange_folder(room) as own:
        assert clear_ended(room) == [] and own.is_dir() and (folder / "image.nrrd").is_file()
    assert not own.exists()
    holder.kill()
    holder.communicate()
    assert (folder / "image.nrrd").is_file()
    with exchange_folder(room):
        assert not folder.exists()
    assert elsewhere.is_dir()
