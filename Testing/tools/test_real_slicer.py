"""The tool that tests a real Slicer, without one: its orchestration, with a stub and with the stand-in."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from real_slicer import __main__ as command_line
from real_slicer.application import NotSlicer, Slicer
from real_slicer.display import NoDisplay, display
from real_slicer.jobs_left import end_jobs, running_jobs
from real_slicer.parts import PARTS, Part
from real_slicer.report import PartReport
from real_slicer.session import Options, run_parts
from real_slicer.slicer_log import Entry, by_step, parse, printed_traceback, sort_errors

REPOSITORY = Path(__file__).resolve().parents[2]
TOOL = REPOSITORY / "Testing" / "tools" / "real_slicer"
FAKE = f"{sys.executable} {REPOSITORY / 'Testing' / 'support' / 'fake_slicer.py'}"
# The smallest PNG.
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c63600000000200"
    "0148afa4710000000049454e44ae426082"
)
# Takes Slicer's options and does what the test wants of it: writes the given files, prints, starts a child, hangs.
STUB = '''
import json, os, subprocess, sys, time
from pathlib import Path

if "--version" in sys.argv:
    print("Slicer 5.13.0-stub")
    sys.exit()
wanted = json.loads(Path(__file__).with_name("wanted.json").read_text())
folder = Path(json.loads(Path(os.environ["LNSEGFM_REAL_SLICER"]).read_text())["folder"])
(folder / "arguments.json").write_text(json.dumps(sys.argv[1:]))
(folder / "environment.json").write_text(json.dumps(dict(os.environ)))
for name, content in wanted.get("files", {}).items():
    (folder / name).write_text(content)
for name, content in wanted.get("binary", {}).items():
    (folder / name).write_bytes(bytes.fromhex(content))
print(wanted.get("prints", ""), flush=True)
if wanted.get("hangs"):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (folder / "child.txt").write_text(str(child.pid))
    time.sleep(600)
sys.exit(wanted.get("status", 0))
'''


def log_line(level: str, origin: str, text: str) -> str:
    return f"[{level}][{origin}] 30.11.2026 12:00:00 [] (unknown:0) - {text}"


@pytest.fixture(autouse=True)
def some_display(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of a display, where none can be started: neither stub nor stand-in draws on it."""
    if shutil.which("Xvfb") is None and "DISPLAY" not in os.environ:
        monkeypatch.setenv("DISPLAY", ":77")


class Stub:
    """A Slicer whose behaviour the test writes down."""

    def __init__(self, folder: Path) -> None:
        self.output = folder / "output"
        self._script = folder / "stub.py"
        self._script.write_text(STUB)
        self._wanted: dict[str, Any] = {}
        self.text = f"{sys.executable} {self._script}"

    def report(self, *states: str, **more: Any) -> dict[str, Any]:
        steps = [
            {"name": f"step-{number}", "title": f"Step {number}", "state": state, "words": f"words {number}",
             "pictures": ["1.png"], "seconds": 1.0, "lacks_packages": state == "skipped"}
            for number, state in enumerate(states)
        ]  # fmt: skip
        return {"log_file": "", "begun": "", "ended": True, "steps": steps, **more}

    def run(self, report: dict[str, Any] | None, log: str = "", part: Part | None = None, **wanted: Any) -> PartReport:
        """Run one part."""
        part = part or Part("walk", "A walk", 60)
        files: dict[str, str] = {}
        if report is not None:
            log_file = self.output / part.name / "Slicer.log"
            files = {"report.json": json.dumps({**report, "log_file": str(log_file)}), "Slicer.log": log}
        binary = {"1.png": PIXEL.hex()}
        (self._script.parent / "wanted.json").write_text(json.dumps({"files": files, "binary": binary, **wanted}))
        options = Options(REPOSITORY, self.output, watch_s=0.0, allowed=(re.compile("harmless"),))
        return run_parts(Slicer.find(self.text), [part], options)[0]


@pytest.fixture
def stub(tmp_path: Path) -> Stub:
    return Stub(tmp_path)


# --- Which Slicer


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", r"No Slicer was given.*SLICER=/path/to/Slicer"),
        ("/no/such/Slicer", "does not exist"),
        (str(TOOL), "is a folder"),
        (str(TOOL / "parts.py"), "is not executable"),
        (sys.executable, r"is not 3D Slicer, or does not start: asked for its version, it says 'Python 3"),
        ("echo /opt/Slicer-5.10/bin/SlicerApp-real: error: libGL.so.1 is missing.", "does not start.*libGL.so.1"),
    ],
)
def test_what_is_not_a_slicer_is_refused_with_a_reason(given: str, words: str) -> None:
    with pytest.raises(NotSlicer, match=words):
        Slicer.find(given)


def test_a_slicer_may_be_a_command_with_arguments_or_a_path_with_blanks(stub: Stub, tmp_path: Path) -> None:
    assert Slicer.find(stub.text).version == "Slicer 5.13.0-stub"
    executable = tmp_path / "3D Slicer" / "Slicer"
    executable.parent.mkdir()
    executable.write_text("#!/bin/sh\necho Slicer 5.10.0\n")
    executable.chmod(0o755)
    assert Slicer.find(str(executable)).command == (str(executable),)


def test_without_a_usable_slicer_the_exit_status_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["", "--output", str(tmp_path / "out")]) == 2
    assert "No Slicer was given" in capsys.readouterr().err


# --- A start of Slicer


def test_slicer_starts_with_our_modules_an_empty_home_and_no_settings_of_the_user(stub: Stub) -> None:
    report = stub.run(stub.report("passed"), part=Part("walk", "A walk", 60, testing=True))
    assert not report.failed
    arguments = json.loads((report.folder / "arguments.json").read_text())
    assert {"--testing", "--no-splash", "--ignore-slicerrc", "--disable-settings"} <= set(arguments)
    place = arguments.index("--additional-module-paths")
    assert arguments[place + 1 : place + 3] == [str(REPOSITORY / "LNSegFM"), str(REPOSITORY / "LNSegFMFineTune")]
    assert arguments[-2:] == ["--python-script", str(TOOL / "inside" / "start.py")]
    environment = json.loads((report.folder / "environment.json").read_text())
    assert environment["LNSEGFM_HOME"] == str(stub.output / "homes" / "walk")
    assert environment["XDG_CONFIG_HOME"] == str(stub.output / "settings")
    assert not {"PYTHONPATH", "QT_QPA_PLATFORM"} & set(environment)


@pytest.mark.parametrize(
    ("states", "passed", "passed_with_packages"),
    [(["passed"], True, True), (["passed", "failed"], False, False), (["passed", "skipped"], True, False)],
)
def test_exit_status_tells_of_failures_and_on_demand_of_missing_packages(
    stub: Stub, states: list[str], passed: bool, passed_with_packages: bool
) -> None:
    reports = [stub.run(stub.report(*states), status=int("failed" in states))]
    assert (command_line.status_of(reports, require_packages=False) == 0) is passed
    assert (command_line.status_of(reports, require_packages=True) == 0) is passed_with_packages
    assert [step.state for step in reports[0].steps] == states


def test_a_slicer_that_hangs_is_killed_with_its_children_and_the_step_is_named(stub: Stub) -> None:
    unfinished = stub.report("passed", begun="The scene is closed", ended=False)
    report = stub.run(unfinished, part=Part("walk", "A walk", 3), hangs=True)
    assert report.steps[-1].words == "Slicer hung in the step 'The scene is closed' and was killed after 3 s."
    child = int((report.folder / "child.txt").read_text())
    end = time.monotonic() + 10
    while is_running(child) and time.monotonic() < end:
        time.sleep(0.1)
    assert not is_running(child)


def test_a_crash_an_unread_script_and_a_bad_exit_status_are_failures(stub: Stub) -> None:
    crashed = stub.run(stub.report("passed", begun="A stroke", ended=False), status=139)
    assert crashed.failed
    assert "ended with status 139 in the step 'A stroke'" in crashed.steps[-1].words
    unread = stub.run(None, part=Part("unread", "Unread", 60), status=1, prints="ImportError: numpy")
    assert "without running the script" in unread.steps[-1].words
    assert "ImportError: numpy" in unread.output_tail
    assert "status 3" in stub.run(stub.report("passed"), status=3).steps[-1].words


def test_a_job_must_outlive_the_slicer_that_started_it_and_is_ended_with_the_run(stub: Stub) -> None:
    part = Part("walk", "A walk", 60, home="walk", leaves_job=True)
    lost = stub.run(stub.report("passed", left_job="job-0001"), part=part)
    assert "Expected a running job" in lost.steps[-1].words
    with sleeping_job(stub.output / "homes" / "walk") as process:
        kept = stub.run(stub.report("passed", left_job="job-0001"), part=part)
        assert (kept.steps[-1].name, kept.steps[-1].state) == ("job-outlives-slicer", "passed")
        assert process.wait(30) != 0
    assert [step.state for step in stub.run(stub.report("skipped"), part=part).steps] == ["skipped"]


class sleeping_job:
    """A process that claims to be a running job; it does not listen."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "jobs" / "job-0001-abcdef"

    def __enter__(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        self._folder.mkdir(parents=True)
        (self._folder / "status.json").write_text(json.dumps({"state": "running", "pid": self._process.pid}))
        return self._process

    def __exit__(self, *_error: object) -> None:
        self._process.kill()
        self._process.wait()


def test_a_job_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("real_slicer.jobs_left._PATIENCE_S", 0.5)
    with sleeping_job(tmp_path) as process:
        assert list(running_jobs(tmp_path).values()) == [process.pid]
        end_jobs(tmp_path)
        process.wait(10)
        assert (tmp_path / "jobs" / "job-0001-abcdef" / "cancel").is_file()
    assert running_jobs(tmp_path) == {}


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# --- Slicer's log


def test_red_lines_of_ours_fail_the_part_and_those_of_drivers_do_not(stub: Stub) -> None:
    log = "\n".join([
        log_line("ERROR", "VTK", "an error of Slicer's own start"),
        log_line("INFO", "Python", "[real_slicer] begin step-0"),
        log_line("CRITICAL", "FD", "libGL error: no swrast"),
        log_line("ERROR", "VTK", "a harmless error"),
        log_line("WARNING", "Qt", "a warning"),
        log_line("CRITICAL", "Qt", "SetSourceVolumeNode: need to set segment editor and segmentation nodes first"),
    ])  # fmt: skip
    report = stub.run(stub.report("passed"), log)
    assert report.failed
    assert [entry.text[:19] for entry in report.errors] == ["SetSourceVolumeNode"]
    assert [entry.text for entry in report.notes] == [
        "an error of Slicer's own start", "libGL error: no swrast", "a harmless error",
    ]  # fmt: skip
    assert (report.folder / "slicer-log.txt").read_text() == log


def test_tracebacks_are_read_as_one_entry_and_count_wherever_they_are() -> None:
    lines = ["Traceback (most recent call last):", '  File "x.py", line 1', "AttributeError: setupPlace"]
    stream = "\n".join(log_line("CRITICAL", "Stream", line) for line in lines)
    [entry] = parse(stream)
    assert entry == Entry("CRITICAL", "Stream", "\n".join(lines))
    assert sort_errors({"": [entry]}) == ([entry], [])
    [printed] = printed_traceback("\n".join(["before", *lines]), log="")
    assert printed.text == "\n".join(lines)
    assert printed_traceback("\n".join(lines), log=stream) == []


def test_entries_belong_to_the_step_that_was_going_on_also_when_marks_are_logged_twice() -> None:
    text = "\n".join([
        log_line("INFO", "Qt", "start"),
        log_line("INFO", "Python", "[real_slicer] begin day"),
        log_line("INFO", "Stream", "[real_slicer] begin day"),
        log_line("INFO", "Stream", "segmenting\nof two lines"),
        log_line("INFO", "Python", "[real_slicer] done queue"),
        log_line("INFO", "Stream", "[real_slicer] done queue"),
        log_line("INFO", "Stream", "the rest"),
    ])  # fmt: skip
    found = {name: [entry.text for entry in entries] for name, entries in by_step(parse(text)).items()}
    assert found == {"": ["start"], "day": ["the rest"], "queue": ["segmenting\nof two lines"]}


# --- The page


def test_the_page_holds_pictures_logs_and_errors_and_needs_no_other_file(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from real_slicer.page import write_page

    log = "\n".join([
        log_line("INFO", "Python", "[real_slicer] begin step-0"),
        log_line("INFO", "Python", "a < b"),
        log_line("ERROR", "VTK", "a red line"),
    ])  # fmt: skip
    report = stub.run(stub.report("passed", "failed", "skipped"), log, status=1)
    html = write_page(tmp_path, "Slicer 5.13.0-stub", [report]).read_text(encoding="utf-8")
    assert html.count("data:image/png;base64,") == 3
    assert "<span class='error'>[ERROR][VTK] a red line</span>" in html
    assert "a &lt; b" in html and "words 1" in html
    assert "Slicer 5.13.0-stub: <span class='failed'>failed</span>" in html
    references = re.findall(r"(?:src|href)='([^']*)'", html)
    assert references and all(each.startswith(("#", "data:image/png;base64,")) for each in references)


# --- The display


def test_a_display_that_is_there_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":77")
    with display() as name:
        assert name == os.environ["DISPLAY"] == ":77"


@pytest.mark.skipif(sys.platform != "linux", reason="Xvfb is for Linux")
def test_without_a_display_and_xvfb_the_user_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NoDisplay, match="install Xvfb"), display():
        pass


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb is not installed")
def test_without_a_display_an_xvfb_of_our_own_is_started_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    with display() as name:
        assert os.environ["DISPLAY"] == name
        socket = Path(f"/tmp/.X11-unix/X{name[1:]}")
        assert socket.exists()
    assert "DISPLAY" not in os.environ
    assert not socket.exists()


# --- What runs in Slicer


LIBRARIES = ("LNSegFMLib", "LNSegFMFineTuneLib")


def test_inside_slicer_only_what_slicer_has_is_imported() -> None:
    slicers, ours = {"slicer", "qt", "vtk", "numpy"}, {"real_slicer", "preview", "lnsegfm", *LIBRARIES}
    allowed = {*sys.stdlib_module_names, *slicers, *ours}
    for path in (TOOL / "inside").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.partition(".")[0] for name in names} <= allowed, path.name


def test_the_day_comes_without_the_stand_in() -> None:
    code = "import sys, preview.day; sys.exit(any(name in sys.modules for name in ('PySide6', 'standin')))"
    folders = (REPOSITORY / name for name in ("LNSegFM", "LNSegFMFineTune", "Testing/support", "Testing/tools"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_every_part_has_something_to_run() -> None:
    text = (TOOL / "inside" / "start.py").read_text(encoding="utf-8")
    modules = ast.literal_eval(text.partition("MODULE_OF_PART = ")[2].partition("\n\n")[0])
    assert list(modules) == [part.name for part in PARTS]
    assert all((TOOL / "inside" / f"{name}.py").is_file() for name in modules.values())


def test_a_dialog_that_nobody_answers_is_pictured_closed_and_fails_the_step(app: Any, tmp_path: Path) -> None:
    import qt

    steps, dialog = steps_in(app, tmp_path), qt.QMessageBox()
    dialog.windowTitle, dialog.text = "Save?", "The scene has changed"
    dialog.setModal(True)

    def ask() -> None:
        dialog.show()
        steps.until(dialog.isHidden, "an answer", 30)

    steps.run("ask", "A question", ask)
    assert steps.close() == 1
    [step] = json.loads((tmp_path / "report.json").read_text())["steps"]
    assert step["state"] == "failed"
    assert "A dialog came up: Save?: The scene has changed." in step["words"]
    assert [name[3:] for name in step["pictures"]] == ["dialog.png", "ask.png"]


def test_after_a_vital_step_that_failed_the_others_are_skipped(app: Any, tmp_path: Path) -> None:
    from real_slicer.inside.steps import expect

    steps, done = steps_in(app, tmp_path), []
    steps.run("first", "The panel opens", lambda: expect(False, "There is no panel."), vital=True)
    steps.run("second", "Something else", lambda: done.append(1))
    assert steps.close() == 1
    written = json.loads((tmp_path / "report.json").read_text())
    assert [(step["state"], step["words"]) for step in written["steps"]] == [
        ("failed", "There is no panel."), ("skipped", "'The panel opens' failed."),
    ]  # fmt: skip
    assert done == [] and written["ended"]


def steps_in(app: Any, folder: Path) -> Any:
    from types import SimpleNamespace

    from real_slicer.inside.steps import Steps

    # The stand-in has no log of its own.
    type(app.application).errorLogModel = lambda _application: SimpleNamespace(filePath="")
    try:
        return Steps(folder, watch_s=0.1)
    finally:
        del type(app.application).errorLogModel


# --- The walk, in the stand-in: this shows that the steps run, not that Slicer passes them


@pytest.mark.skipif(find_spec("torch") is None or find_spec("nnunetv2") is None, reason="torch or nnunetv2 is missing")
@pytest.mark.skipif(shutil.which("Xvfb") is None and "DISPLAY" not in os.environ, reason="Xvfb is not installed")
def test_the_walk_leaves_a_job_to_a_second_slicer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out"
    arguments = [FAKE, "--output", str(output), "--parts", "walk", "walk-again", "--watch-seconds", "2"]
    status = command_line.main([*arguments, "--require-packages"])
    printed = capsys.readouterr().out
    assert status == 0, printed
    assert re.search(r"passed .*The job continues after Slicer has quit", printed)
    assert re.search(r"passed .*The job of the Slicer before is found and followed", printed)
    assert running_jobs(output / "homes" / "walk") == {}
    html = (output / "index.html").read_text(encoding="utf-8")
    assert html.count("data:image/png;base64,") > 10


# --- How it is called


def test_make_and_the_workflow_call_the_tool(tmp_path: Path) -> None:
    made = subprocess.run(
        ["make", "slicer-test", f"ARGS=--output {tmp_path / 'out'}"], cwd=REPOSITORY, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert made.returncode != 0
    assert "No Slicer was given" in made.stderr
    workflow = (REPOSITORY / ".github" / "workflows" / "slicer.yml").read_text(encoding="utf-8")
    assert 'make slicer-test SLICER="$RUNNER_TEMP/slicer/Slicer"' in workflow
    used = re.findall(r"uses: (\S+)", workflow)
    assert used and all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in used)
    assert "secrets." not in workflow


def test_the_documentation_names_every_part_and_option() -> None:
    text = (REPOSITORY / "docs" / "how-to" / "real-slicer.md").read_text(encoding="utf-8")
    options = set(re.findall(r'"(--[a-z-]+)"', (TOOL / "__main__.py").read_text(encoding="utf-8")))
    assert options == set(re.findall(r"^\| `(--[a-z-]+)", text, re.MULTILINE))
    assert {part.name for part in PARTS} <= set(re.findall(r"^\| `([a-z-]+)`", text, re.MULTILINE))
