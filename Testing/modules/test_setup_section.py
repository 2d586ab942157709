"""The section Setup: what is missing is said, got, checked and reported; pip is a script of this test's own."""

from __future__ import annotations

import importlib.util
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from panel_host import FakeHost, fake_host

import standin
from lnsegfm.base.errors import UserError
from lnsegfm.base.failures import as_user_error
from lnsegfm.base.home import Home
from lnsegfm.models.model_card import ModelCard
from lnsegfm.models.model_store import ModelStore
from lnsegfm.setup.compute_check import SelfCheck, run_self_check
from lnsegfm.setup.pip_run import pip_error
from lnsegfm.setup.problem_report import anonymous, anonymous_traceback, report
from lnsegfm.setup.wheels import check_wheels

PIP = '''
import sys, time, pathlib
folder = pathlib.Path(__file__).parent
(folder / "asked.txt").write_text("\\n".join(sys.argv[1:]), encoding="utf-8")
if "--constraint" in sys.argv:
    constraints = pathlib.Path(sys.argv[sys.argv.index("--constraint") + 1])
    (folder / "constraints.txt").write_text(constraints.read_text())
print("Collecting nnunetv2", flush=True)
print("Looking in", pathlib.Path.home() / "wheels", flush=True)
print("  Downloading nnunetv2-2.8-py3-none-any.whl (200 kB)", flush=True)
print("Progress 100000 of 200000", flush=True)
behaviour = (folder / "behaviour.txt").read_text()
if behaviour == "fail":
    print("ERROR: No space left on device", file=sys.stderr, flush=True)
    sys.exit(1)
if behaviour == "hang":
    time.sleep(60)
if behaviour == "place":
    print("Installing collected packages: nnunetv2", flush=True)
    time.sleep(1.0)
(folder / "installed.txt").touch()
print("Successfully installed nnunetv2-2.8", flush=True)
'''


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("LNSEGFM_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("LNSEGFM_PYTHON", raising=False)
    return Home.default()


class FakePip:
    """What pip was asked and how it behaves."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from LNSegFMLib.setup import packages

        folder.mkdir()
        self.folder = folder
        (folder / "pip.py").write_text(PIP)
        self.behave("work")
        monkeypatch.setattr(packages, "PIP", [sys.executable, str(folder / "pip.py")])
        find = importlib.util.find_spec
        hidden = {"slicer.packaging", "PyTorchUtils"}

        def found(name: str, *rest: Any) -> Any:
            lacking = name == "nnunetv2" and not (folder / "installed.txt").exists()
            return None if lacking or name in hidden else find(name, *rest)

        monkeypatch.setattr(importlib.util, "find_spec", found)

    def behave(self, how: str) -> None:
        (self.folder / "behaviour.txt").write_text(how)

    @property
    def asked(self) -> list[str]:
        path = self.folder / "asked.txt"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    @property
    def constraints(self) -> str:
        return (self.folder / "constraints.txt").read_text()


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePip:
    standin.start()
    from LNSegFMLib.panels.models import setup_section

    monkeypatch.setattr(setup_section, "run_self_check", lambda device: SelfCheck(True, "It works."))
    return FakePip(tmp_path / "pip", monkeypatch)


@pytest.fixture
def host(home: Home) -> Iterator[FakeHost]:
    with fake_host() as host:
        yield host


def section_of(host: FakeHost, **hooks: Any) -> Any:
    from LNSegFMLib.panels.models.setup_section import SetupSection

    section = host.add(SetupSection, **hooks)
    standin.start().process_events()
    if section.ui.setupCollapsibleButton.collapsed:
        standin.start().click(section.ui.setupCollapsibleButton)
    return section


def finish(section: Any) -> None:
    app = standin.start()
    for _ in range(2):  # what follows on one work may be another
        app.wait_until(lambda: not section._bar.busy and not section.host.work, 60, "the work")
        app.process_events()


def add_model(home: Home, kind: str = "foundation") -> None:
    def fill(folder: Path) -> ModelCard:
        for file in ("plans.json", "dataset.json", "fold_all/checkpoint_final.pth"):
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text("{}")
        return ModelCard("Model", kind, "PlainConvUNet", "3d_fullres", ("all",))

    ModelStore(home.models).add("model", fill)


class TestStatus:
    def test_names_what_is_missing(self, host: FakeHost, pip: FakePip) -> None:
        section = section_of(host)
        assert section.ui.setupStatusLabel.text == "Missing: nnunetv2>=2.6,<3, a model for patients."
        assert section.ui.setupInstallButton.isVisible()
        assert not section.ui.selfCheckButton.enabled

    def test_demonstration_model_is_no_model_for_patients(self, host: FakeHost, home: Home) -> None:
        add_model(home, "demonstration")
        section = section_of(host)
        assert "a model for patients" in section.ui.setupStatusLabel.text
        assert section.ui.setupInstallButton.text == "Get a model"

    def test_says_when_everything_is_there_and_keeps_out_of_the_way(self, host: FakeHost, home: Home) -> None:
        from LNSegFMLib.panels.models.setup_section import SetupSection

        add_model(home)
        section = host.add(SetupSection)
        assert section.ui.setupStatusLabel.text.startswith("Everything is installed: torch 2.")
        assert section.ui.setupCollapsibleButton.collapsed
        assert section.ui.setupInstallButton.isHidden()

    def test_another_python_is_said_to_be_the_users_own(
        self, host: FakeHost, home: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add_model(home)
        monkeypatch.setenv("LNSEGFM_PYTHON", "/opt/python")
        section = section_of(host)
        assert "LNSEGFM_PYTHON" in section.ui.setupStatusLabel.text and "torch" not in section.ui.setupStatusLabel.text
        assert not section.ui.wheelsButton.enabled

    def test_one_button_gets_the_model_when_only_that_is_missing(self, host: FakeHost) -> None:
        asked: list[int] = []
        section = section_of(host, get_model=lambda: asked.append(1))
        standin.start().click(section.ui.setupInstallButton)
        assert asked == [1]


class TestInstallation:
    def test_one_button_installs_what_is_missing_and_keeps_what_slicer_uses(
        self, host: FakeHost, pip: FakePip
    ) -> None:
        import numpy

        released: list[int] = []
        section = section_of(host, release_packages=lambda: released.append(1))
        standin.start().click(section.ui.setupInstallButton)
        assert section.ui.setupProgressBar.isVisible() and section.ui.setupCancelButton.isVisible()
        assert section.ui.setupInstallButton.isHidden()
        finish(section)
        assert "nnunetv2>=2.6,<3" in pip.asked and not any(each.startswith("torch") for each in pip.asked)
        assert f"numpy=={numpy.__version__}" in pip.constraints and "torch==" in pip.constraints
        assert section.ui.setupStatusLabel.text == "Missing: a model for patients."
        assert released == [1] and host.errors == []

    def test_nothing_is_installed_without_a_yes(self, host: FakeHost, pip: FakePip) -> None:
        app = standin.start()
        section = section_of(host)
        app.answers.append(False)
        app.click(section.ui.setupInstallButton)
        assert pip.asked == [] and "3 GB" in app.dialogs[-1][1]

    def test_log_shows_what_pip_said(self, host: FakeHost, pip: FakePip) -> None:
        section = section_of(host)
        standin.start().click(section.ui.setupInstallButton)
        finish(section)
        standin.start().click(section.ui.installationLogCollapsibleButton)
        text = section.ui.installationLogEdit.toPlainText()
        assert "Successfully installed nnunetv2-2.8" in text
        assert "Looking in ~" in text and str(Path.home()) not in text

    def test_progress_tells_what_is_fetched(self, host: FakeHost, pip: FakePip) -> None:
        pip.behave("hang")
        section = section_of(host)
        app = standin.start()
        app.click(section.ui.setupInstallButton)
        app.wait_until(lambda: "of" in section.ui.setupWorkLabel.text, 60, "the progress")
        assert section.ui.setupWorkLabel.text == "Downloading nnunetv2-2.8-py3-none-any.whl: 100 kB of 200 kB"
        app.click(section.ui.setupCancelButton)
        finish(section)
        assert section.ui.setupWorkLabel.text == "Cancelled."
        assert section.ui.setupInstallButton.isVisible() and host.errors == []

    def test_cancel_does_not_leave_half_a_package(self, host: FakeHost, pip: FakePip) -> None:
        pip.behave("place")
        section = section_of(host)
        app = standin.start()
        app.click(section.ui.setupInstallButton)
        app.wait_until(lambda: "interrupted" in section.ui.setupWorkLabel.text, 60, "the placing")
        app.click(section.ui.setupCancelButton)
        finish(section)
        assert "nnunetv2" not in section.ui.setupStatusLabel.text

    def test_failure_names_the_cause(self, host: FakeHost, pip: FakePip) -> None:
        pip.behave("fail")
        section = section_of(host)
        standin.start().click(section.ui.setupInstallButton)
        finish(section)
        assert [error.why for error in host.errors] == ["The disk is full."]
        assert section.ui.setupWorkLabel.text == "The Python packages could not be installed."

    def test_restart_is_asked_for_only_when_something_in_use_has_changed(
        self, host: FakeHost, pip: FakePip, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from LNSegFMLib.setup import packages

        app, seen = standin.start(), [{"numpy": "2.1", "vtk": "9"}, {"numpy": "2.2", "vtk": "9", "new": "1"}]
        monkeypatch.setattr(packages, "installed_versions", lambda: seen.pop(0))
        section = section_of(host)
        app.answers.extend([True, False])
        app.click(section.ui.setupInstallButton)
        finish(section)
        assert "numpy changed while Slicer was using it" in app.dialogs[-1][1]
        assert section.ui.setupWorkLabel.text == "Restart Slicer before you segment."

    def test_pytorch_comes_through_its_extension(
        self, host: FakeHost, pip: FakePip, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import types

        from LNSegFMLib.setup import packages

        calls: list[str] = []

        class Logic:
            def uninstallTorch(self) -> None:
                calls.append("uninstall")

            def installTorch(self, **options: Any) -> object:
                calls.append(options["torchVersionRequirement"])
                return object()

        module: Any = types.ModuleType("PyTorchUtils")
        module.PyTorchUtilsLogic = Logic
        monkeypatch.setitem(sys.modules, "PyTorchUtils", module)
        find = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, *rest: object() if name == "PyTorchUtils" else find(name, *rest)
        )
        packages.start_installation(pip.folder / "log.txt", repair=True).wait(60)
        assert calls == ["uninstall", ">=2.6,!=2.9.*"]
        assert not any(each.startswith("torch") for each in pip.asked)

    def test_another_installation_is_waited_for(
        self, host: FakeHost, pip: FakePip, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import types

        module: Any = types.ModuleType("slicer.packaging")
        module.isPipInstallInProgress = lambda: True
        monkeypatch.setitem(sys.modules, "slicer.packaging", module)
        find = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec",
            lambda name, *rest: object() if name == "slicer.packaging" else find(name, *rest),
        )
        section = section_of(host)
        standin.start().click(section.ui.setupInstallButton)
        assert "Another extension" in host.errors[0].what and pip.asked == []


class TestOpenVino:
    """What makes CPUs faster is offered where it helps."""

    @pytest.fixture
    def lacking(self, pip: FakePip, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        add_model(home)
        (pip.folder / "installed.txt").touch()
        find = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, *rest: None if name == "openvino" else find(name, *rest)
        )
        self.nvidia(monkeypatch, there=False)

    def nvidia(self, monkeypatch: pytest.MonkeyPatch, *, there: bool) -> None:
        from LNSegFMLib.setup import packages

        monkeypatch.setattr(packages.shutil, "which", lambda name: "/usr/bin/nvidia-smi" if there else None)

    def test_one_button_installs_it_alone(self, host: FakeHost, pip: FakePip, lacking: None) -> None:
        released: list[int] = []
        app, section = standin.start(), section_of(host, release_packages=lambda: released.append(1))
        assert section.ui.openvinoButton.isVisible()
        app.click(section.ui.openvinoButton)
        finish(section)
        assert pip.asked[-2:] == ["--no-deps", "openvino>=2025"] and "numpy==" in pip.constraints
        assert released == [1] and host.errors == []

    def test_nothing_is_installed_without_a_yes(self, host: FakeHost, pip: FakePip, lacking: None) -> None:
        app, section = standin.start(), section_of(host)
        app.answers.append(False)
        app.click(section.ui.openvinoButton)
        assert pip.asked == [] and "60 MB" in app.dialogs[-1][1]

    def test_it_comes_from_a_folder_of_wheels_too(
        self, host: FakeHost, pip: FakePip, lacking: None, tmp_path: Path
    ) -> None:
        (tmp_path / "wheels").mkdir()
        (tmp_path / "wheels" / "openvino-2026.4.1-py3-none-any.whl").touch()
        app, section = standin.start(), section_of(host)
        app.answers.append(str(tmp_path / "wheels"))
        app.click(section.ui.wheelsButton)
        finish(section)
        assert pip.asked[-2:] == ["--no-deps", "openvino>=2025"] and "--no-index" in pip.asked

    def test_it_is_not_offered_where_it_is_or_needed_by_nobody(
        self, host: FakeHost, pip: FakePip, lacking: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from LNSegFMLib.panels.models import setup_section
        from LNSegFMLib.setup import packages

        self.nvidia(monkeypatch, there=True)
        section = section_of(host)
        assert section.ui.openvinoButton.isHidden()
        # A self-check that finds the CPU alone to compute on knows better than a driver that is installed.
        monkeypatch.setattr(setup_section, "run_self_check", lambda device: SelfCheck(True, "Works.", device="cpu"))
        standin.start().click(section.ui.selfCheckButton)
        finish(section)
        assert section.ui.openvinoButton.isVisible()
        monkeypatch.setattr(packages, "is_met", lambda line: True)
        section.update()
        assert section.ui.openvinoButton.isHidden()


class TestOffline:
    def wheel(self, folder: Path, name: str) -> None:
        folder.mkdir(exist_ok=True)
        (folder / name).touch()

    def test_folder_that_lacks_a_package_is_refused_with_its_name(
        self, host: FakeHost, pip: FakePip, tmp_path: Path
    ) -> None:
        self.wheel(tmp_path / "wheels", "numpy-2.0-py3-none-any.whl")
        app, section = standin.start(), section_of(host)
        app.answers.append(str(tmp_path / "wheels"))
        app.click(section.ui.wheelsButton)
        assert "lacks nnunetv2>=2.6,<3" in host.errors[0].why
        assert pip.asked == []

    def test_pip_gets_the_folder_and_no_index(self, host: FakeHost, pip: FakePip, tmp_path: Path) -> None:
        self.wheel(tmp_path / "wheels", "nnunetv2-2.8.1-py3-none-any.whl")
        app, section = standin.start(), section_of(host)
        app.answers.append(str(tmp_path / "wheels"))
        app.click(section.ui.wheelsButton)
        finish(section)
        place = pip.asked.index("--no-index")
        assert pip.asked[place : place + 3] == ["--no-index", "--find-links", str(tmp_path / "wheels")]

    def test_wheel_of_another_python_does_not_count(self, tmp_path: Path) -> None:
        self.wheel(tmp_path / "wheels", "torch-2.8.0-cp27-cp27m-win32.whl")
        with pytest.raises(UserError, match=r"only 2\.8\.0 for another Python"):
            check_wheels(tmp_path / "wheels", ["torch>=2.6"])

    def test_wheel_of_another_version_does_not_count(self, tmp_path: Path) -> None:
        self.wheel(tmp_path / "wheels", "torch-2.1.0-py3-none-any.whl")
        with pytest.raises(UserError, match=r"only 2\.1\.0"):
            check_wheels(tmp_path / "wheels", ["torch>=2.6"])

    def test_folder_without_wheels_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="no wheel"):
            check_wheels(tmp_path, ["torch"])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ERROR: No matching distribution found for acvl-utils>=0.2", "acvl-utils"),
        ("ERROR: Could not install packages due to an OSError: [WinError 5] Access is denied: 'C:\\\\x'", "written to"),
        ("ERROR: ResolutionImpossible: for help visit", "other extensions"),
        ("WARNING: Retrying after connection broken by 'ProxyError('Cannot connect to proxy.')'", "proxy"),
        ("ERROR: Something new", "Something new"),
    ],
)
def test_causes_of_pips_failures_are_named(line: str, words: str) -> None:
    assert words in str(pip_error(["Collecting torch", line]))


class TestSelfCheck:
    def fake(self, tmp_path: Path, code: str) -> list[str]:
        path = tmp_path / "check.py"
        path.write_text(textwrap.dedent(code))
        return [sys.executable, str(path)]

    def test_computes_in_another_process_and_tells_the_device(self, host: FakeHost, home: Home) -> None:
        add_model(home)
        host.parameter_node.SetParameter("Device", "cpu")
        section = section_of(host)
        standin.start().click(section.ui.selfCheckButton)
        assert not section.ui.selfCheckButton.enabled
        finish(section)
        assert "work on CPU with" in section.ui.selfCheckLabel.text
        if importlib.util.find_spec("openvino") is not None:
            assert "computes on CPU" in section.ui.selfCheckLabel.text
        assert not section.ui.repairButton.enabled

    def test_device_that_is_not_there_is_told(self) -> None:
        found = run_self_check("mps")
        assert not found.works and not found.broken and "Apple" in found.words

    def test_gpu_is_described_in_words(self, tmp_path: Path) -> None:
        code = """
            import json
            print("something a library prints")
            print(json.dumps({"value": {"torch": "2.8.0", "nnunetv2": "2.8.1", "device": "cuda",
                "reason": "NVIDIA RTX A5000, 20.1 of 24.0 GB free", "cuda": "12.6", "driver": "560.35"}}))
        """
        assert run_self_check("auto", command=self.fake(tmp_path, code)).words == (
            "PyTorch 2.8.0 and nnU-Net 2.8.1 work on NVIDIA RTX A5000, 20.1 of 24.0 GB free. NVIDIA driver 560.35. "
            "PyTorch was built for CUDA 12.6."
        )

    @pytest.mark.parametrize(
        ("code", "words"),
        [
            ("raise OSError('libcudart.so.12: cannot open shared object file')", "libcudart"),
            ("import os; os._exit(3)", "ended with code 3"),
        ],
    )
    def test_torch_that_does_not_work_can_be_repaired(
        self, host: FakeHost, pip: FakePip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str
    ) -> None:
        from LNSegFMLib.panels.models import setup_section

        (pip.folder / "installed.txt").touch()
        command = self.fake(tmp_path, code)
        monkeypatch.setattr(setup_section, "run_self_check", lambda device: run_self_check(device, command=command))
        app, section = standin.start(), section_of(host)
        app.click(section.ui.selfCheckButton)
        finish(section)
        assert words in section.ui.selfCheckLabel.text
        app.click(section.ui.repairButton)
        finish(section)
        assert "--force-reinstall" in pip.asked and pip.asked[-1].startswith("torch>=")
        assert "torch==" not in pip.constraints

    def test_missing_package_is_not_called_broken(self, tmp_path: Path) -> None:
        code = "raise ModuleNotFoundError(\"No module named 'torch'\")"
        found = run_self_check("auto", command=self.fake(tmp_path, code))
        assert not found.works and not found.broken and "not installed" in found.words


NAMES = st.text("BCDFGHJKLMNPQRSTVWXZ", min_size=5, max_size=12)
CONTEXTS = [
    'the volume "{name}" is empty', "'{name} CT' has no voxels", "/home/{name}/scans/{name} neck.nrrd cannot be read",
    "C:\\Users\\{name}\\Documents\\a b.nii.gz: denied", "~/{name}/x", "file {name}.dcm", "{name}^ANNA^M",
    "{name}@clinic.org", "\\\\server\\{name}\\share", "file:///data/{name}/x.zip",
    "[Errno 2] No such file: '/data/{name}'",
]  # fmt: skip


class TestReport:
    @given(NAMES, st.sampled_from(CONTEXTS))
    def test_names_in_paths_quotes_and_dicom_do_not_survive(self, name: str, context: str) -> None:
        assert name.casefold() not in anonymous(context.format(name=name)).casefold()

    @given(NAMES, st.sampled_from(["{name} has no voxels", "reading {name}: failed", "{name}"]))
    def test_private_words_do_not_survive_anywhere(self, name: str, context: str) -> None:
        text = report({"System": "Linux"}, "", [context.format(name=name.lower())], [name])
        assert name.casefold() not in text.casefold()

    def test_names_that_are_empty_or_part_of_others_do_no_harm(self) -> None:
        assert anonymous("Mustermann-Meier is ill", ["", "x", "Meier", "Mustermann-Meier"]) == "<removed> is ill"

    def test_what_helps_survives(self) -> None:
        text = anonymous("ImportError: cannot import name 'x' from 'torch.nn.modules' (version 2.8.1, CUDA 12.6)")
        assert "'torch.nn.modules'" in text and "2.8.1" in text and "12.6" in text

    def test_numbers_of_records_and_dates_are_removed(self) -> None:
        text = anonymous("case 1970-01-31, id 4711234, uid 1.2.840.113619.2.55")
        assert not any(each in text for each in ("1970", "4711", "113619"))

    def test_traceback_keeps_places_and_loses_messages(self, tmp_path: Path) -> None:
        try:
            (tmp_path / "DOE JANE 1970.nrrd").read_bytes()
        except OSError as error:
            import traceback

            text = anonymous_traceback("".join(traceback.format_exception(error)))
        assert "test_setup_section.py" not in text and "pathlib.py" in text and "FileNotFoundError" in text
        assert "DOE" not in text and str(tmp_path) not in text

    def test_copied_report_has_versions_and_the_last_error_but_nobody_in_it(
        self, host: FakeHost, pip: FakePip, home: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import slicer

        from LNSegFMLib.panels.models import setup_section

        (pip.folder / "installed.txt").touch()
        found = SelfCheck(False, f"It does not work: {Path.home()}/erika/libtorch.so is missing", True)
        monkeypatch.setattr(setup_section, "run_self_check", lambda device: found)
        volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "MUSTERMANN^ERIKA 19640812")
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Mustermann Erika")
        (home.root).mkdir(parents=True)
        (home.root / "installation-log.txt").write_text(f"Processing {Path.home()}/wheels/x.whl for erika\n")
        try:
            raise UserError(f'The volume "{volume.GetName()}" is empty, says mustermann.')
        except UserError as error:
            as_user_error(error)
        section = section_of(host)
        standin.start().click(section.ui.reportButton)
        finish(section)
        text = slicer.app.clipboard().text()
        for private in ("mustermann", "erika", "1964", str(Path.home()).casefold() + "/", str(home.root)):
            assert private not in text.casefold()
        for helpful in ("3D Slicer: 5.13.0", "Self-check: It does not work", "torch 2.", "UserError"):
            assert helpful in text
        assert "Last error:" in text and "Last installation:" in text
        assert "clipboard" in section.ui.setupWorkLabel.text
