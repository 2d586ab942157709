"""The worker client against a worker that misbehaves in every way a worker can."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.processes import child_environment, is_alive, process_start_time
from lnsegfm.segmentation.worker_client import WorkerClient

WORKER = '''
import json, os, queue, subprocess, sys, threading, time

requests, cancelled = queue.Queue(), set()

def read():
    for line in sys.stdin:
        message = json.loads(line)
        if message["op"] == "cancel":
            cancelled.add(message["id"])
        else:
            requests.put(message)
    os._exit(0)

def send(number, event, **more):
    print(json.dumps({"id": number, "event": event, **more}), flush=True)

threading.Thread(target=read, daemon=True).start()
print("hello from the worker", flush=True)
while True:
    message = requests.get()
    number, op, arguments = message["id"], message["op"], message["arguments"]
    if op == "echo":
        print("a stray line", flush=True)
        send(number, "progress", fraction=0.5, message="halfway", remaining_s=1.5)
        send(number, "result", value={"pid": os.getpid(), **arguments})
    elif op == "refuse":
        send(number, "error", error={"what": "No.", "why": "Because.", "todo": "Ask again."})
    elif op == "nonsense":
        send(number, "error", error="only a text")
    elif op == "crash":
        print("about to fall over: \\u00e9", file=sys.stderr, flush=True)
        os._exit(3)
    elif op == "polite":
        send(number, "progress", fraction=0.1, message="working")
        while number not in cancelled:
            time.sleep(0.01)
        send(number, "cancelled")
    elif op == "stuck":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        send(number, "progress", fraction=0.0, message=str(child.pid))
        time.sleep(60)
'''


@pytest.fixture
def client(tmp_path: Path) -> Iterator[WorkerClient]:
    script = tmp_path / "fake_worker.py"
    script.write_text(WORKER, encoding="utf-8")
    client = WorkerClient([sys.executable, "-u", str(script)], cancel_grace_s=0.4)
    yield client
    client.close()


def until(condition: Callable[[], object], what: str, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited too long: {what}"
        time.sleep(0.01)


def test_a_request_returns_at_once_and_brings_its_value_and_progress(client: WorkerClient) -> None:
    started = time.monotonic()
    request = client.request("echo", text="Lymphknoten ä")
    assert time.monotonic() - started < 0.05
    assert request.wait(10)["text"] == "Lymphknoten ä"
    assert (request.progress.fraction, request.progress.message, request.progress.remaining_s) == (0.5, "halfway", 1.5)
    assert request.done and not request.cancelled and request.error is None


def test_the_worker_is_kept_for_the_next_request(client: WorkerClient) -> None:
    assert not client.running
    first = client.request("echo").wait(10)["pid"]
    assert client.running
    assert client.request("echo").wait(10)["pid"] == first


def test_requests_queue_in_order(client: WorkerClient) -> None:
    requests = [client.request("echo", number=number) for number in range(5)]
    assert [request.wait(10)["number"] for request in requests] == list(range(5))


def test_an_error_of_the_worker_arrives_with_its_three_parts(client: WorkerClient) -> None:
    with pytest.raises(UserError) as caught:
        client.request("refuse").wait(10)
    assert (caught.value.what, caught.value.why, caught.value.todo) == ("No.", "Because.", "Ask again.")
    assert client.request("echo", works=True).wait(10)["works"]


def test_an_answer_that_breaks_the_rules_ends_its_request_only(client: WorkerClient) -> None:
    with pytest.raises(UserError, match="could not be used"):
        client.request("nonsense").wait(10)
    assert client.request("echo", works=True).wait(10)["works"]


def test_a_crash_shows_the_last_log_lines_and_the_next_request_gets_a_fresh_worker(client: WorkerClient) -> None:
    first = client.request("echo").wait(10)["pid"]
    crash = client.request("crash")
    queued = client.request("echo")
    with pytest.raises(UserError, match="ended unexpectedly") as caught:
        crash.wait(10)
    assert "about to fall over: é" in caught.value.why and "exit code was 3" in caught.value.why
    assert "a stray line" in caught.value.why
    assert queued.wait(10)["pid"] != first
    assert client.request("echo").wait(10)["pid"] == queued.result()["pid"]


def test_the_log_of_a_crashed_worker_can_still_be_read(client: WorkerClient) -> None:
    with pytest.raises(UserError):
        client.request("crash").wait(10)
    until(lambda: not client.running, "the worker is seen as ended")
    assert "about to fall over: é" in client.log_tail()


def test_a_worker_that_died_while_idle_is_replaced_without_an_error(client: WorkerClient) -> None:
    first = client.request("echo").wait(10)["pid"]
    os.kill(first, signal.SIGKILL)
    until(lambda: not client.running, "the worker is seen as ended")
    assert client.request("echo").wait(10)["pid"] != first


def test_a_confirmed_cancel_keeps_the_worker(client: WorkerClient) -> None:
    first = client.request("echo").wait(10)["pid"]
    request = client.request("polite")
    until(lambda: request.progress.message == "working", "the work has begun")
    request.cancel()
    with pytest.raises(Cancelled):
        request.wait(10)
    assert request.cancelled
    assert client.request("echo").wait(10)["pid"] == first


def test_a_stuck_worker_is_killed_with_its_children_and_the_next_request_works(client: WorkerClient) -> None:
    first = client.request("echo").wait(10)["pid"]
    request = client.request("stuck")
    until(lambda: request.progress.message, "the work has begun")
    child = int(request.progress.message)
    child_start = process_start_time(child)
    request.cancel()
    with pytest.raises(Cancelled):
        request.wait(10)
    until(lambda: not is_alive(child, child_start), "the child is gone")
    assert client.request("echo").wait(10)["pid"] != first


def test_a_queued_request_can_be_cancelled_without_ever_reaching_the_worker(client: WorkerClient) -> None:
    running = client.request("polite")
    queued = client.request("echo")
    queued.cancel()
    until(lambda: running.progress.message == "working", "the work has begun")
    assert not queued.done or queued.cancelled
    running.cancel()
    with pytest.raises(Cancelled):
        queued.wait(10)


def test_close_cancels_what_runs_and_leaves_no_process(client: WorkerClient) -> None:
    pid = client.request("echo").wait(10)["pid"]
    start = process_start_time(pid)
    running, queued = client.request("stuck"), client.request("echo")
    until(lambda: running.progress.message, "the work has begun")
    client.close()
    assert not is_alive(pid, start)
    for request in (running, queued):
        with pytest.raises(Cancelled):
            request.wait(10)
    assert client.request("echo").wait(10)["pid"] != pid


def test_a_worker_ends_when_the_process_that_started_it_is_killed(tmp_path: Path, client: WorkerClient) -> None:
    script = tmp_path / "fake_worker.py"
    parent = subprocess.Popen(
        [
            sys.executable, "-c",
            "import sys, time; from lnsegfm.segmentation.worker_client import WorkerClient\n"
            "client = WorkerClient([sys.executable, '-u', sys.argv[1]])\n"
            "print(client.request('echo').wait(10)['pid'], flush=True); time.sleep(60)",
            str(script),
        ],
        stdout=subprocess.PIPE, text=True, env=child_environment(),
    )
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    start = process_start_time(worker)
    assert start is not None
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until(lambda: not is_alive(worker, start), "the worker has ended")


def test_a_worker_that_cannot_be_started_is_an_error_of_the_request(tmp_path: Path) -> None:
    client = WorkerClient([str(tmp_path / "no such program")])
    with pytest.raises(UserError, match="could not be started"):
        client.request("echo").wait(10)


def test_no_thread_is_left_when_there_is_nothing_to_do(client: WorkerClient) -> None:
    before = set(threading.enumerate())  # of other tests of this process
    client.request("echo").wait(10)
    client.close()
    until(lambda: not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("worker ")],
          "the threads have ended")  # fmt: skip
