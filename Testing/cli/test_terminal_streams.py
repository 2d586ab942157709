"""Standard output and error that are closed, full or of a poor encoding, and exceptions that nobody has thought of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from own_process import run_command

from lnsegfm.base.home import Home
from lnsegfm.models.model_store import ModelStore
from service_home import BASE

FAIL = "import lnsegfm.session.models_part as part\ndef fail(self): raise {error}\npart.ModelsPart.look = fail"


@pytest.mark.parametrize("command", [["models", "list"], ["models", "list", "--json"], ["--help"], ["--version"]])
@pytest.mark.parametrize("stream", [">&-", ">/dev/full"])
def test_results_that_cannot_be_printed_are_no_success(own_home: Home, command: list[str], stream: str) -> None:
    done = run_command(*command, shell=stream)
    assert done.returncode == 1
    assert "could not be printed" in done.stderr and "Traceback" not in done.stderr and "ignored" not in done.stderr


@pytest.mark.parametrize("stream", ["2>&-", "2>/dev/full"])
@pytest.mark.parametrize(("command", "code"), [(["jobs", "list", "--json"], 0), (["jobs", "show", "no"], 1)])
def test_words_that_nobody_can_read_change_neither_results_nor_status(
    own_home: Home, stream: str, command: list[str], code: int
) -> None:
    done = run_command(*command, shell=stream)
    assert (done.returncode, done.stdout.strip()) == (code, "" if code else "[]")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_every_terminal_shows_every_name_and_json_stays_json(own_home: Home, encoding: str) -> None:
    name = "Lymphknoten λ ≥ 5 mm³ “neu”"
    ModelStore(own_home.models).rename(BASE, name)
    environment = {"PYTHONIOENCODING": encoding}
    plain = run_command("models", "list", environment=environment, encoding=encoding)
    assert plain.returncode == 0 and "Lymphknoten" in plain.stdout
    assert "≥" in plain.stdout or ">= 5 mm" in plain.stdout
    as_json = run_command("models", "list", "--json", environment=environment, encoding=encoding)
    assert json.loads(as_json.stdout)[0]["name"] == name


@pytest.mark.parametrize("environment", [{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {}])
def test_a_name_of_any_bytes_can_be_named_in_an_error(
    own_home: Home, tmp_path: Path, environment: dict[str, str]
) -> None:
    done = run_command("segment", tmp_path / "M\udcfcller.nrrd", "-o", tmp_path / "l.nrrd", environment=environment)
    assert done.returncode == 1 and "ller.nrrd cannot be read" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("error", ["KeyError('x')", "TypeError('no')", "AssertionError()", "RuntimeError('odd')"])
def test_an_unexpected_exception_is_one_sentence_and_a_log(own_home: Home, error: str) -> None:
    done = run_command("models", "list", first=FAIL.format(error=error))
    log = own_home.root / "errors.txt"
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "Traceback" not in done.stderr
    assert error.partition("(")[0] in done.stderr and str(log) in done.stderr and "--version" in done.stderr
    assert "in fail" in log.read_text() and error.partition("(")[0] in log.read_text()
    first = log.read_text()
    run_command("models", "list", first=FAIL.format(error="ValueError(1)"))
    assert log.read_text().startswith(first) and "ValueError" in log.read_text()


def test_the_log_names_no_patient(own_home: Home) -> None:
    run_command("models", "list", first=FAIL.format(error="ValueError('/data/Mueller^Anna/ct.nrrd is odd')"))
    assert "ValueError" in (own_home.root / "errors.txt").read_text()
    assert "Mueller" not in (own_home.root / "errors.txt").read_text()


def test_who_asks_for_it_sees_the_traceback(own_home: Home) -> None:
    debug = {"LNSEGFM_DEBUG": "1"}
    done = run_command("models", "list", first=FAIL.format(error="KeyError('x')"), environment=debug)
    assert done.returncode == 1 and "Traceback" in done.stderr and "in fail" in done.stderr


def test_without_a_home_for_the_log_the_way_to_the_traceback_is_said(own_home: Home) -> None:
    done = run_command("--home", "/dev/null/no", "models", "list", first=FAIL.format(error="KeyError('x')").replace(
        "part.ModelsPart.look = fail", "part.ModelsPart.list = part.ModelsPart.install_bundled = fail"))  # fmt: skip
    assert done.returncode == 1 and "LNSEGFM_DEBUG=1" in done.stderr and "Traceback" not in done.stderr
