"""Names with bytes that are not UTF-8: refused by name, and the other cases come in."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import SimpleITK as sitk
from made_scan import image, scan

from lnsegfm.base.home import Home
from lnsegfm.cli import main

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names that are not UTF-8")


def test_an_import_goes_on_with_the_next_case_also_when_repeated(
    own_home: Home, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    for folder, array, end in (("imagesTr", scan()[0], "_0000.nii.gz"), ("labelsTr", scan()[1], ".nii.gz")):
        (tmp_path / folder).mkdir()
        for name in (b"bad\xff", b"good"):
            sitk.WriteImage(image(array), str(tmp_path / "any.nii.gz"))
            os.replace(tmp_path / "any.nii.gz", os.fsencode(tmp_path / folder) + b"/" + name + end.encode())
    for stored in (["good"], []):
        assert main(["cases", "import", str(tmp_path), "--json"]) == 0
        told = json.loads(capsysbinary.readouterr().out.decode())
        assert [each["name"] for each in told["imported"]] == stored
        reasons = {each["name"]: each["reason"] for each in told["skipped"]}
        assert "not UTF-8" in reasons["bad\udcff"]
