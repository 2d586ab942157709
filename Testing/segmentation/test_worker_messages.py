"""What a user is told of a worker's errors: with the names of the user's files, and which package is missing."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lnsegfm.base.errors import UserError
from lnsegfm.base.processes import process_start_time
from lnsegfm.segmentation.worker_client import WorkerClient

WORKER = """
import json, subprocess, sys, tempfile

for line in sys.stdin:
    message = json.loads(line)
    arguments = message["arguments"]
    if message["op"] == "need":
        import package_that_nobody_has
    value = {"id": message["id"]}
    if message["op"] == "leave":
        child = subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait()"])
        value.update(event="result", value={"child": child.pid, "temporary": tempfile.mkdtemp()})
    else:
        value.update(event="error", error={"what": arguments["what"], "why": arguments["why"], "todo": ""})
    print(json.dumps(value), flush=True)
"""


@pytest.fixture
def client(tmp_path: Path) -> Iterator[WorkerClient]:
    (tmp_path / "worker.py").write_text(WORKER)
    client = WorkerClient([sys.executable, str(tmp_path / "worker.py")])
    yield client
    client.close()


def told(client: WorkerClient, op: str, **arguments: str) -> UserError:
    with pytest.raises(UserError) as caught:
        client.request(op, **arguments).wait(20)
    return caught.value


def test_the_folder_of_an_unpacked_zip_is_named_as_the_zip(client: WorkerClient) -> None:
    error = told(
        client, "install", source="/data/our model.zip", what=".tmp-ab_12xyz cannot be installed.",
        why="/h/models/.tmp-ab_12xyz/plans.json is torn.",
    )
    assert error.what == "our model.zip cannot be installed." and error.why == "/h/models/.../plans.json is torn."


def test_a_volume_of_the_scene_is_not_called_by_the_file_it_travels_in(client: WorkerClient) -> None:
    image = "/h/exchange/.tmp-ab_12xyz/image.nrrd"
    error = told(client, "segment", image=image, what="image.nrrd cannot be read.", why=f"{image} ends early.")
    assert (error.what, error.why) == ("The CT cannot be read.", "the CT ends early.")


def test_a_file_of_the_users_keeps_its_name(client: WorkerClient) -> None:
    error = told(client, "segment", image="/data/image.nrrd", what="image.nrrd cannot be read.", why="Torn.")
    assert error.what == "image.nrrd cannot be read."


def test_a_package_that_the_worker_lacks_is_named(client: WorkerClient) -> None:
    error = told(client, "need")
    assert error.what == "The Python package package_that_nobody_has is missing."
    assert "pip install package_that_nobody_has" in error.todo


def test_what_a_worker_leaves_goes_with_it(client: WorkerClient) -> None:
    left = client.request("leave").wait(20)
    assert Path(left["temporary"]).is_dir() and Path(left["temporary"]).parent != Path(tempfile.gettempdir())
    client.close()
    assert not Path(left["temporary"]).exists()
    # Whoever takes up orphans in a container may leave them as zombies, which do nothing any more.
    assert process_start_time(left["child"]) is None
