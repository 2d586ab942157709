"""Downloads: complete and right, or not there; what came over once is not fetched twice."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from web_server import WebServer, web_server

from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.reasons.network_errors import network_reason
from lnsegfm.base.wording import data_size
from lnsegfm.models.published.downloads import download

CONTENT = os.urandom(3_000_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with web_server() as site:
        site.files["/model.zip"] = CONTENT
        yield site


def get(site: WebServer, folder: Path, **options: Any) -> str:
    return download(f"{site.address}/model.zip", folder / "model.zip", pause_s=0.0, **options)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_file_arrives_whole_with_its_hash_and_progress(site: WebServer, tmp_path: Path) -> None:
    told: list[tuple[float | None, str]] = []
    assert get(site, tmp_path, expected=DIGEST, progress=lambda *each: told.append(each)) == DIGEST
    assert (tmp_path / "model.zip").read_bytes() == CONTENT
    assert names(tmp_path) == ["model.zip"]
    assert told[-1] == (1.0, "Downloading model.zip: 3 MB of 3 MB")


def test_cut_connections_are_resumed_where_they_broke(site: WebServer, tmp_path: Path) -> None:
    site.cut_after = [1_000_000, 1_500_000]
    assert get(site, tmp_path) == DIGEST
    starts = [int(wanted.removeprefix("bytes=").rstrip("-") or 0) for _, wanted in site.requests]
    assert starts[0] == 0 and 850_000 < starts[1] <= 1_000_000 and starts[2] > starts[1] + 1_300_000


def test_cancel_keeps_the_beginning_for_the_next_time(site: WebServer, tmp_path: Path) -> None:
    done: list[float] = []

    def note(fraction: float | None, message: str) -> None:
        done.append(fraction or 0.0)

    with pytest.raises(Cancelled):
        get(site, tmp_path, progress=note, is_cancelled=lambda: bool(done))
    assert not (tmp_path / "model.zip").exists()
    assert get(site, tmp_path) == DIGEST
    assert site.requests[-1][1].startswith("bytes=")


@pytest.mark.parametrize("if_range", [True, False])
def test_file_that_was_replaced_on_the_server_is_fetched_anew(site: WebServer, tmp_path: Path, if_range: bool) -> None:
    site.if_range = if_range
    site.cut_after = [1_000_000] + [0] * 6
    with pytest.raises(UserError):
        get(site, tmp_path)
    site.cut_after, site.etag, site.files["/model.zip"] = [], '"two"', CONTENT[::-1]
    get(site, tmp_path)
    assert (tmp_path / "model.zip").read_bytes() == CONTENT[::-1]


def test_server_without_versions_is_asked_for_the_whole_file(site: WebServer, tmp_path: Path) -> None:
    site.etag, site.cut_after = "", [1_000_000]
    assert get(site, tmp_path) == DIGEST
    assert [wanted for _, wanted in site.requests] == ["", ""]


def test_download_that_only_lacked_its_end_is_completed(site: WebServer, tmp_path: Path) -> None:
    site.cut_after = [2_999_999] + [0] * 6
    with pytest.raises(UserError, match="kept"):
        get(site, tmp_path)
    assert names(tmp_path) == ["model.zip.part", "model.zip.part.json"]
    site.cut_after = []
    assert get(site, tmp_path) == DIGEST


def test_complete_beginning_needs_no_more_bytes(site: WebServer, tmp_path: Path) -> None:
    with pytest.raises(UserError):
        get(site, tmp_path, expected="0" * 64)
    site.cut_after = [2_999_999] + [0] * 6
    with pytest.raises(UserError):
        get(site, tmp_path)
    (tmp_path / "model.zip.part").write_bytes(CONTENT)
    assert get(site, tmp_path) == DIGEST


def test_wrong_hash_is_refused_and_nothing_is_left(site: WebServer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not the file that was published"):
        get(site, tmp_path, expected="ab" * 32)
    assert names(tmp_path) == []


def test_earlier_file_stays_until_the_new_one_is_complete(site: WebServer, tmp_path: Path) -> None:
    (tmp_path / "model.zip").write_bytes(b"old")
    with pytest.raises(UserError):
        get(site, tmp_path, expected="ab" * 32)
    assert (tmp_path / "model.zip").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("status", "words"), [(404, "404"), (403, "403"), (401, "401")], ids=["gone", "forbidden", "login"]
)
def test_answer_of_the_server_is_told(site: WebServer, tmp_path: Path, status: int, words: str) -> None:
    site.status = status
    with pytest.raises(UserError, match=words):
        get(site, tmp_path)
    assert len(site.requests) == 1


def test_busy_server_is_asked_again_a_few_times(site: WebServer, tmp_path: Path) -> None:
    site.status = 503
    with pytest.raises(UserError, match="503"):
        get(site, tmp_path)
    assert len(site.requests) == 5


def test_web_page_instead_of_a_file_is_refused(site: WebServer, tmp_path: Path) -> None:
    site.content_type = "text/html; charset=utf-8"
    with pytest.raises(UserError, match="asks for a login"):
        get(site, tmp_path)
    assert not (tmp_path / "model.zip").exists()


def test_full_disk_is_seen_before_the_download(
    site: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage(NamedTuple):
        total: int = 10
        used: int = 10
        free: int = 1_000_000

    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage())
    with pytest.raises(UserError, match="3 MB are needed, 1 MB are free"):
        get(site, tmp_path)


def test_proxy_of_the_environment_is_used_and_named_when_it_fails(
    site: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="proxy server"):
        get(site, tmp_path)
    assert site.requests == []


def test_server_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(UserError, match="could not be reached"):
        download("http://127.0.0.1:9/model.zip", tmp_path / "model.zip", pause_s=0.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SSLError: HTTPSConnectionPool: Max retries exceeded (Caused by SSLError(CERTIFICATE_VERIFY_FAILED))", "TLS"),
        ("ERROR: Could not install: ProxyError('Cannot connect to proxy.', timeout('timed out'))", "proxy"),
        ("NewConnectionError: Failed to resolve 'pypi.org' ([Errno -2] Name or service not known)", "looked up"),
        ("ReadTimeoutError: Read timed out.", "could not be reached"),
    ],
)
def test_network_errors_name_their_cause(text: str, words: str) -> None:
    reason = network_reason(text)
    assert reason is not None and words in reason[0]


def test_other_errors_are_no_network_errors() -> None:
    assert network_reason("ValueError: the model has no weights") is None


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 kB"), (1, "1 kB"), (340_400_000, "340 MB"), (999_400, "1 MB"), (1_940_000_000, "1.9 GB")]
)
def test_amounts_read_well(count: int, text: str) -> None:
    assert data_size(count) == text


@pytest.mark.parametrize(("count", "text"), [(1 << 10, "1 kB"), (340 << 20, "340 MB"), (24 << 30, "24.0 GB")])
def test_memory_is_counted_in_powers_of_1024(count: int, text: str) -> None:
    assert data_size(count, memory=True) == text
