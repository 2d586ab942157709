"""The documentation: its links, and the pages and examples that must say what the code does."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import api_reference
import command_reference
import pytest
import SimpleITK as sitk
import typer

from lnsegfm.base.home import Home
from lnsegfm.cli.app import app
from lnsegfm.cli.terminal import fresh_terminal
from lnsegfm.evaluation.evaluation_report import write_report
from lnsegfm.evaluation.label_pairs import find_pairs
from lnsegfm.evaluation.scoring import Settings, evaluate
from lnsegfm.jobs.job_spec import PRESETS, JobSpec
from lnsegfm.lymph_nodes import measurement_table
from lnsegfm.phantom import make_case
from lnsegfm.session.adapt_options import SETTINGS

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
_LISTED = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=REPOSITORY, capture_output=True,
    text=True, check=False,
)  # fmt: skip
PAGES = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for path in (
        [REPOSITORY / line for line in _LISTED.stdout.splitlines()] if _LISTED.stdout
        # An archive of the sources has no git.
        else [*REPOSITORY.glob("*.md"), *DOCS.rglob("*.md")]
    )
    if path.is_file()
)  # fmt: skip
_LINK = re.compile(r"\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$", re.MULTILINE)


def links(page: Path) -> list[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [first or second for first, second in _LINK.findall(text)]


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", PAGES)
def test_every_relative_link_leads_somewhere(name: str) -> None:
    page = REPOSITORY / name
    broken = []
    for link in links(page):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_page_can_be_reached_from_the_index() -> None:
    reached, waiting = set(), [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        targets = [(page.parent / link.partition("#")[0]).resolve() for link in links(page) if "://" not in link]
        waiting += [target for target in targets if target.suffix == ".md" and DOCS in target.parents]
    assert {path for path in DOCS.rglob("*.md") if path not in reached} == set()


def test_code_and_tests_name_pages_that_exist() -> None:
    folders = ("LNSegFM", "LNSegFMFineTune", "Testing", ".github")
    files = [path for folder in folders for path in (REPOSITORY / folder).rglob("*")
             if path.suffix in (".py", ".yml", ".ui", ".toml", ".sh")]
    files += [REPOSITORY / "Makefile", REPOSITORY / "pyproject.toml", *DOCS.rglob("*.toml")]
    named = {
        (name, path.name) for path in files
        for name in re.findall(r"docs/[\w/-]+\.md", path.read_text(encoding="utf-8"))
    }
    assert named
    assert {(name, file) for name, file in named if not (REPOSITORY / name).is_file()} == set()


def test_the_command_reference_is_what_the_commands_say() -> None:
    assert command_reference.main(["--check"]) == 0


def test_the_api_reference_is_what_the_docstrings_say() -> None:
    assert api_reference.main(["--check"]) == 0


def test_the_settings_page_has_every_setting_with_its_default() -> None:
    text = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    rows = [re.findall(r"[^|]+", line) for line in text.splitlines() if line.startswith("| `")]
    by_name = {name: row for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    assert {"method", *SETTINGS} <= set(by_name)
    for name in SETTINGS:
        default = by_name[name][2].strip().strip("`")
        if default not in ("the preset's", "made from the base model's"):
            assert default == str(getattr(JobSpec, name)), name
    header = ["epochs", "iterations_per_epoch", "learning_rate", "step_rule"]
    assert {name: [cell.strip(" `") for cell in by_name[name][1:5]] for name in PRESETS} == {
        name: [str(preset[field]) for field in header] for name, preset in PRESETS.items()
    }


def test_the_page_of_csv_columns_has_every_column(tmp_path: Path) -> None:
    named = set(re.findall(r"`(\w+)`", (DOCS / "reference" / "csv-columns.md").read_text(encoding="utf-8")))
    assert {"case", *measurement_table.HEADER} <= named
    labels = make_case("hospital", 1, size=(32, 32, 16), spacing=(4, 4, 6)).labels
    sitk.WriteImage(labels, tmp_path / "a.nrrd")
    pairs = find_pairs(tmp_path / "a.nrrd", tmp_path / "a.nrrd")
    write_report(evaluate(pairs, Settings()), tmp_path)
    for name in ("cases.csv", "nodes.csv"):
        assert set((tmp_path / name).read_text().splitlines()[0].split(",")) <= named


def commands() -> list[tuple[str, str]]:
    """Return the `lnsegfm` lines of the shell blocks of all pages, with the name of the page."""
    found = []
    for name in PAGES:
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        for block in re.findall(r"^[ ]*```sh\n(.*?)^[ ]*```", text, re.DOTALL | re.MULTILINE):
            found += [(name, line.strip()) for line in block.splitlines() if line.strip().startswith("lnsegfm ")]
    return found


def test_every_command_of_the_pages_can_be_parsed() -> None:
    root = typer.main.get_command(app)
    assert len(commands()) > 20
    for page, line in commands():
        words = shlex.split(line, comments=True)[1:]
        with fresh_terminal():
            context = root.make_context("lnsegfm", words)
            command = root
            while hasattr(command, "resolve_command"):
                rest = [*getattr(context, "_protected_args", ()), *context.args]
                name, command, rest = command.resolve_command(context, rest)
                try:
                    context = command.make_context(name, rest, parent=context)
                except Exception as error:
                    pytest.fail(f"{page}: {line}: {error}")


def test_the_python_example_runs(own_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (DOCS / "how-to" / "python-api.md").read_text(encoding="utf-8")
    space: dict[str, object] = {}
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE), 1):
        exec(compile(block, f"python-api.md, block {number}", "exec"), space)
    assert (tmp_path / "our-hospital.zip").is_file()
