"""What holds for every command: help, options that all have, exit codes, pipes, what is imported."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer

import lnsegfm
from lnsegfm.base.home import Home
from lnsegfm.cli import main
from lnsegfm.cli.app import app
from lnsegfm.jobs.pretraining import PretrainSettings
from lnsegfm.models.model_store import ModelStore
from service_home import BASE, add_model

VERBS = {
    "models": "list published download install default accept reject roll-back rename verify export remove",
    "cases": "list add import use remove restore",
    "jobs": "list show watch pause cancel resume log remove",
    "import": "segrap2023 lnq2023 radcure folder",
}


def in_process_of_its_own(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lnsegfm.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **options)


def commands() -> list[tuple[str, ...]]:
    found = []

    def walk(command: Any, path: tuple[str, ...]) -> None:
        found.append(path)
        for name, child in getattr(command, "commands", {}).items():
            walk(child, (*path, name))

    walk(typer.main.get_command(app), ())
    return found


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_every_command_has_a_help(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*path, "--help"]) == 0
    text = capsys.readouterr().out
    if path:
        assert f"lnsegfm {' '.join(path)}" in text.partition("Examples")[2]
        assert "--home" in text and "--json" in text


@pytest.mark.parametrize("noun", VERBS)
def test_the_help_names_all_verbs_and_cuts_nothing_off(noun: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([noun, "--help"])
    lines = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert set(VERBS[noun].split()) <= set(lines)
    main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "..." not in text.partition("Commands")[2]
    assert all(verb in text for verb in VERBS[noun].split())


def test_the_first_sentence_of_each_command_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    listed = " ".join(capsys.readouterr().out.partition("Commands:")[2].partition("Examples")[0].split())
    assert "Eq" not in listed and all(name in listed for name in ("evaluate", "pretrain", "benchmark", "measure"))


def test_every_option_is_explained_and_tells_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    for path in commands():
        main([*path, "--help"])
        assert not re.findall(r"\n  (?:-\w, )?--[\w-]+(?: [^ ]+)?\n(?!   )", capsys.readouterr().out), path


def test_structures_in_the_help_are_those_of_the_importers(capsys: pytest.CaptureFixture[str]) -> None:
    from lnsegfm.cli import import_command
    from lnsegfm.research.datasets import radcure, segrap2023

    assert ", ".join(radcure.STRUCTURES) == import_command.RADCURE
    assert ", ".join(segrap2023.STRUCTURES) == import_command.SEGRAP2023


def test_every_setting_of_a_pretraining_has_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    main(["pretrain", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for item in fields(PretrainSettings):
        assert item.name == "raw" or f"--{item.name.replace('_', '-')} " in text
    assert "[default: 80 112 224]" in text and "[default: nnU-Net's choice, the median of the cases]" in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"lnsegfm {lnsegfm.__version__}\n"


@pytest.mark.parametrize("arguments", [["--home", "{}", "models", "list"], ["models", "--home", "{}", "list"],
                                       ["models", "list", "--home", "{}"], ["models", "list", "--home={}"]])
def test_the_home_is_chosen_before_or_after_the_command(
    own_home: Home, tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    other = Home(tmp_path / "other")
    ModelStore(other.models).root.mkdir(parents=True)
    add_model(own_home, "Here")
    assert main([word.format(other.root) for word in arguments]) == 0
    assert "here" not in capsys.readouterr().out
    # The choice ends with the command.
    assert main(["models", "list"]) == 0
    assert "here" in capsys.readouterr().out


def test_the_home_is_chosen_after_the_options_of_a_command(
    own_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ct.nrrd").touch()
    command = ["segment", str(tmp_path / "ct.nrrd"), "-o", str(tmp_path / "o.nrrd"), "-m", "there"]
    assert main([*command, "--home", str(tmp_path / "other")]) == 1
    assert (tmp_path / "other" / "models" / BASE).is_dir()


@pytest.mark.parametrize(
    "wrong", [["bogus"], ["models", "bogus"], ["adapt", "--epochs", "many"], ["adapt", "--preset", "quick"],
              ["cases", "use", "case-0001", "test"], ["models", "rename", "x"], ["segment"]], ids=" ".join,
)  # fmt: skip
def test_wrong_usage_has_an_exit_code_of_its_own(
    own_home: Home, wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(wrong) == 2
    printed = capsys.readouterr()
    assert printed.err and not printed.out


def test_ids_may_be_given_by_their_beginning(own_home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    add_model(own_home, "North one")
    add_model(own_home, "North two")
    assert main(["models", "verify", "phan"]) == 0
    assert main(["models", "verify", "north-o"]) == 0
    assert main(["models", "verify", "north"]) == 1
    assert "north-one, north-two" in capsys.readouterr().err


KEYS = {
    ("models", "list"): "id name kind architecture configuration folds parent default rejected stock created sha256 "
    "dice_before dice_after state reason",
    ("models", "published"): "id name kind architecture dice page supported",
    ("cases", "list"): "id use version lymph_nodes partial created draft_model draft_dice size spacing_mm state reason",
    ("jobs", "list"): "id state stage waits_for iteration iterations method base_model model name created "
    "problem",
}


@pytest.mark.parametrize("command", KEYS, ids=" ".join)
def test_lists_are_one_json_document_with_the_keys_that_the_help_names(
    own_home: Home, stored_cases: Any, command: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    from lnsegfm.jobs.job_spec import CaseRef, JobSpec
    from lnsegfm.jobs.job_store import JobStore

    JobStore(own_home.jobs).create(JobSpec(BASE, "ab", (CaseRef("case-0001", 1),)))
    assert main([*command, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows and set(rows[0]) == set(KEYS[command].split())
    main([*command, "--help"])
    text = capsys.readouterr().out
    assert all(key in text for key in KEYS[command].split())
    assert main([*command]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.startswith("ID ") and len(lines) == len(rows)


def test_quiet_prints_lists_and_errors_alone(own_home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    add_model(own_home, "Ours")
    assert main(["models", "accept", "ours", "--quiet"]) == 0
    assert main(["-q", "jobs", "list"]) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")
    assert main(["models", "list", "-q"]) == 0
    assert "ours" in capsys.readouterr().out
    assert main(["models", "accept", "unknown", "-q"]) == 1
    assert "unknown" in capsys.readouterr().err


def test_a_pipe_that_is_closed_early_is_no_error(own_home: Home) -> None:
    command = [sys.executable, "-m", "lnsegfm.cli", "models", "published", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert (process.wait(60), errors) == (0, b"")


@pytest.mark.parametrize("command", [["models", "list"], ["jobs", "list"], ["models", "published"], ["--help"]])
def test_a_list_imports_nothing_heavy(own_home: Home, command: list[str]) -> None:
    code = (
        "import sys; from lnsegfm.cli import main; main(sys.argv[1:]); "
        "print(sorted({name.partition('.')[0] for name in sys.modules} | "
        "{name for name in sys.modules if name.startswith('lnsegfm.')}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.splitlines()[-1].strip("[]").replace("'", "").split(", "))
    assert "lnsegfm.cli.app" in loaded
    assert not loaded & {"torch", "nnunetv2", "matplotlib", "SimpleITK", "scipy", "tqdm", "requests"}
    assert not {name for name in loaded if name.startswith(("lnsegfm.research", "lnsegfm.engine"))}


def test_cases_and_adapt_load_neither_torch_nor_the_benchmark(own_home: Home) -> None:
    code = (
        "import sys; from lnsegfm.cli import main; main(['cases', 'list']); main(['adapt', '--dry-run']); "
        "print([name for name in sys.modules if name in ('torch', 'nnunetv2', 'matplotlib') "
        "or name.startswith('lnsegfm.research')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_shell_completes_verbs(own_home: Home) -> None:
    typed = {"_LNSEGFM_COMPLETE": "complete_bash", "COMP_WORDS": "lnsegfm models a", "COMP_CWORD": "2"}
    done = in_process_of_its_own(env={**os.environ, **typed})
    assert done.stdout.split() == ["accept"], done.stderr


def test_without_typer_it_says_what_is_missing(own_home: Home, tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError(\"No module named 'typer'\", name='typer')")
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", ""), *sys.path])
    done = in_process_of_its_own("models", "list", env={**os.environ, "PYTHONPATH": paths})
    assert done.returncode == 1
    assert "pip install typer" in done.stderr and "Traceback" not in done.stderr
