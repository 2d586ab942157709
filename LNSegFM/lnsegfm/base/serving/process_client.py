"""The client of a process that answers requests: they go out and come back without blocking anybody.

The other side is `lnsegfm.base.serving.process_server`.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from lnsegfm.base.background import Pending, Progress
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.failures import as_user_error
from lnsegfm.base.processes import child_environment, kill_tree, python_executable, start_piped
from lnsegfm.base.reasons.missing_packages import missing_package_in
from lnsegfm.base.stopping import undisturbed
from lnsegfm.base.text_tail import tail
from lnsegfm.base.wording import without_temporary

LOG_LINES = 15
_CLOSE_WAIT_S = 1.0
# What an interrupted worker has to remove its temporary files.
_CLEAR_WAIT_S = 2.0
_GONE_WAIT_S = 0.5

Message = dict[str, Any]
Inbox = queue.SimpleQueue[tuple["_WorkerProcess | None", "Message | None"]]


class ProcessEnded(UserError):
    """The process ended before it had answered.

    Args:
        name: What the process is called, without an article.
        how: How it ended, a sentence.
        log: The last lines of its log.
    """

    def __init__(self, name: str, how: str, log: str) -> None:
        self.how = how
        super().__init__(
            f"The {name} ended unexpectedly.", how + (f" Its last lines were:\n{log}" if log else ""),
            "Try again; a fresh process is started for the next request.",
        )


class WorkerRequest(Pending):
    """One request to a process, see `ProcessClient.request`."""

    outside = True

    def __init__(self, number: int, op: str, arguments: dict[str, Any], wake: Callable[[], None]) -> None:
        super().__init__()
        self.number = number
        self.op = op
        self.arguments = arguments
        self._wake = wake

    def cancel(self) -> None:
        """Ask the worker to stop; it is killed when it does not within the client's grace period."""
        super().cancel()
        self._wake()

    def take(self, message: Message) -> None:
        """Take over one message of the worker."""
        event = message.get("event")
        if event == "progress":
            self._report(Progress(message.get("fraction"), message.get("message", ""), message.get("remaining_s")))
        elif event == "result":
            value: Any = message.get("value")
            self._end({**value, "data": message["data"]} if "data" in message else value)
        elif event == "error":
            error = UserError.from_json(message.get("error", {}))
            error.reword(self._in_the_users_names)
            self._end(error=error)
        elif event == "cancelled":
            self._end(cancelled=True)

    def fail(self, error: UserError) -> None:
        """End with an error, or as cancelled when that is what the user had asked for."""
        self._end(error=None if self.cancel_requested else error, cancelled=self.cancel_requested)

    def give_up(self) -> None:
        """End as cancelled, whatever the worker may still do."""
        self._end(cancelled=True)

    def _in_the_users_names(self, text: str) -> str:
        """Return a message of the worker with the source's name for the folder into which the worker unpacked it."""
        source = Path(str(self.arguments.get("source", ""))).name
        text = without_temporary(text, source or "the folder")
        for argument, words in (("image", "The CT"), ("instances", "The result"), ("probability", "The probability")):
            path = Path(str(self.arguments.get(argument, "")))
            # A volume of the scene travels as a file of which the user knows nothing.
            if path.parent.name.startswith(".tmp-"):
                text = re.sub(rf"^{re.escape(path.name)}\b", words, text)
                text = re.sub(rf"(?<![\w./\\]){re.escape(path.name)}\b", words.replace("The", "the"), text)
        return text


class ProcessClient:
    """Starts the process when it is first needed, and again after a crash; one request runs at a time, others queue.

    A crash ends the running request with the last lines of the process's log; the ones that queue get a fresh process.

    Args:
        module: What the process runs, as by ``python -m``.
        command: Command line in its place.
        name: What the process is called in messages, without an article.
        env: Environment of the worker; by default `child_environment`.
        cancel_grace_s: Seconds the worker has to confirm a cancel before it is killed.
    """

    def __init__(
        self,
        module: str,
        command: Sequence[str] | None = None,
        *,
        name: str = "process",
        env: Mapping[str, str] | None = None,
        cancel_grace_s: float = 0.8,
    ) -> None:
        self._module, self._command, self._name = module, command, name
        self._thread = module.rpartition(".")[2]
        self._env = env
        self._grace_s = cancel_grace_s
        self._guard = threading.Lock()
        self._waiting: deque[WorkerRequest] = deque()
        self._current: WorkerRequest | None = None
        self._serving = False
        self._count = 0
        self._process: _WorkerProcess | None = None
        self._inbox: Inbox = queue.SimpleQueue()
        self._last_log: list[str] = []

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        process = self._process
        return process is not None and process.alive

    @property
    def busy(self) -> bool:
        """Whether a request is being worked on or cancelled."""
        return self._serving

    def request(self, op: str, **arguments: Any) -> WorkerRequest:
        """Send a request and return at once.

        Args:
            op: Name of the operation.
            **arguments: Its arguments, of JSON types.
        """
        json.dumps(arguments)  # a value that cannot be sent is the caller's mistake and is raised to the caller
        with self._guard:
            self._count += 1
            request = WorkerRequest(self._count, op, arguments, self._wake)
            self._waiting.append(request)
            if not self._serving:
                self._serving = True
                threading.Thread(target=self._serve_all, name=f"{self._thread} client", daemon=True).start()
        return request

    def log_tail(self, lines: int = LOG_LINES) -> list[str]:
        """Return the last lines of the log of the running worker, or of the last one."""
        process = self._process
        return process.log_tail(lines) if process is not None else self._last_log[-lines:]

    def close(self) -> None:
        """Cancel everything and end the worker with its children; a later request starts a fresh one.

        A worker at work first gets the time to remove its temporary files.
        """
        with undisturbed():
            with self._guard:
                outstanding = [*self._waiting, *([self._current] if self._current else [])]
                process = self._process
            at_work = [request for request in outstanding if not request.done]
            for request in outstanding:
                request.cancel()
            if process is not None:
                if at_work:
                    process.interrupt()
                process.end()
                self._forget(process)

    def stop(self, request: WorkerRequest) -> None:
        """Cancel a request and return when its work has ended, if need be with the worker: nothing writes any more."""
        with undisturbed():
            request.cancel()
            with contextlib.suppress(TimeoutError, UserError, Cancelled):
                request.wait(self._grace_s + 2 * _CLEAR_WAIT_S)
            if not request.done:
                self.close()

    def _wake(self) -> None:
        self._inbox.put((None, None))

    def _serve_all(self) -> None:
        while True:
            with self._guard:
                if not self._waiting:
                    self._serving, self._current = False, None
                    return
                request = self._current = self._waiting.popleft()
            try:
                self._serve(request)
            except Exception as error:  # the boundary of the thread: a request must end, whatever goes wrong
                request.fail(as_user_error(error, f"The {self._name} could not be used."))

    def _serve(self, request: WorkerRequest) -> None:
        if request.cancel_requested:
            request.give_up()
            return
        process = self._ready_process()
        process.send({"id": request.number, "op": request.op, "arguments": request.arguments})
        kill_at: float | None = None
        while not request.done:
            if request.cancel_requested and kill_at is None:
                process.send({"op": "cancel", "id": request.number})
                kill_at = time.monotonic() + self._grace_s
            try:
                timeout = None if kill_at is None else max(0.0, kill_at - time.monotonic())
                sender, message = self._inbox.get(timeout=timeout)
            except queue.Empty:
                process.interrupt()
                process.kill()
                self._forget(process)
                request.give_up()
                return
            if sender is not process:
                continue
            if message is None:
                request.fail(process.crash(self._name))
                self._forget(process)
            elif message.get("id") == request.number:
                request.take(message)

    def _ready_process(self) -> _WorkerProcess:
        process = self._process
        if process is not None and not process.alive:
            self._forget(process, just_ended=False)
            process = None
        if process is None:
            command = self._command or [python_executable(), "-m", self._module]
            try:
                process = _WorkerProcess(command, self._env or child_environment(), self._inbox, self._thread)
            except OSError as error:
                raise as_user_error(error, f"The {self._name} could not be started.") from error
            self._process = process
        return process

    def _forget(self, process: _WorkerProcess, *, just_ended: bool = True) -> None:
        with self._guard:
            if self._process is process:
                self._last_log = process.log_tail(200)
                self._process = None
        process.clean_up(just_ended=just_ended)


class _WorkerProcess:
    """One worker process, its reader thread and its log."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], inbox: Inbox, name: str) -> None:
        # Errors are ignored because on Windows the log cannot be deleted while a dying process holds it. The name is
        # short because those of sockets below it may have 104 characters.
        self._folder = tempfile.TemporaryDirectory(prefix="lnsegfm-", ignore_cleanup_errors=True)
        self._log = Path(self._folder.name) / "log.txt"
        self._inbox = inbox
        self._guard = threading.Lock()
        self._interrupted = False
        try:
            # What it and its libraries leave of temporary files goes with the folder, also when it is killed.
            own = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), self._folder.name)
            self._popen = start_piped(command, {**env, **own}, self._log)
        except OSError:
            self._folder.cleanup()
            raise
        threading.Thread(target=self._read, name=f"{name} reader", daemon=True).start()

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

    def send(self, message: Message) -> None:
        """Send one message; when the process has gone, the reader thread says so."""
        if self._popen.stdin is None:
            raise RuntimeError("The worker was started without a pipe.")
        try:
            self._popen.stdin.write(json.dumps(message).encode() + b"\n")
            self._popen.stdin.flush()
        except (OSError, ValueError):
            # Broken pipe, or closed by `end`: the reader thread sees the end of the process and reports it.
            return

    def log_tail(self, lines: int) -> list[str]:
        return tail(self._log, lines)

    def crash(self, name: str) -> UserError:
        """Return what the user should know about the death of the process."""
        try:
            code = self._popen.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._popen.returncode
        last_lines = "\n".join(self.log_tail(LOG_LINES))
        package = missing_package_in(last_lines)
        if package is not None:
            return package
        return ProcessEnded(name, _describe(code, last_lines), last_lines)

    def interrupt(self) -> None:
        """Let it unwind as after Ctrl-C, which removes what it was writing; it has a moment for that.

        Windows has no way to do that to another process.
        """
        if os.name == "nt" or not self.alive:
            return
        with self._guard:
            first, self._interrupted = not self._interrupted, True
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            if first:  # a second one would break off what the first one began
                self._popen.send_signal(signal.SIGINT)
            self._popen.wait(timeout=_CLEAR_WAIT_S)

    def end(self) -> None:
        """Close its stdin, which ends it; kill it when that does not help."""
        try:
            if self._popen.stdin is not None:
                self._popen.stdin.close()
            self._popen.wait(timeout=_CLOSE_WAIT_S)
        except (OSError, subprocess.TimeoutExpired):
            self.kill()

    def kill(self) -> None:
        kill_tree(self._popen.pid)
        self._popen.wait()
        _wait_for_group(self._popen.pid)

    def clean_up(self, *, just_ended: bool) -> None:
        # A worker that is gone may have left children behind, which write on, and on Windows their handles. When it has
        # been gone for long, its number may be another's.
        if just_ended or self.alive:
            self.kill()
        if self._popen.stdin is not None:
            with contextlib.suppress(OSError):  # what was not sent yet cannot be sent any more
                self._popen.stdin.close()
        self._folder.cleanup()

    def _read(self) -> None:
        if self._popen.stdout is None:
            raise RuntimeError("The worker was started without a pipe.")
        with self._popen.stdout as lines:
            for line in lines:
                message = _parse(line)
                if message is None:
                    self._note(line)
                elif not message.get("bytes"):
                    self._inbox.put((self, message))
                elif (data := _taken(lines, message["bytes"])) is not None:
                    self._inbox.put((self, {**message, "data": data}))
        self._inbox.put((self, None))

    def _note(self, line: bytes) -> None:
        try:
            with self._log.open("ab") as stream:
                stream.write(line)
        except OSError:
            # A line of the log is worth less than the answers that may follow it.
            return


def _taken(stream: IO[bytes], count: int) -> bytearray | None:
    """Return the bytes that follow a message; None where the process ended before it had sent them all."""
    data = bytearray(count)
    rest = memoryview(data)
    while rest and (taken := stream.readinto(rest)):  # type: ignore[attr-defined]
        rest = rest[taken:]
    return None if rest else data


def _wait_for_group(leader: int) -> None:
    """Wait a moment until the killed children of a process are gone: a signal takes effect a little later."""
    if sys.platform == "win32":
        return
    end = time.monotonic() + _GONE_WAIT_S
    with contextlib.suppress(OSError):  # no such group
        while time.monotonic() < end:
            os.killpg(leader, 0)
            time.sleep(0.005)


def _parse(line: bytes) -> Message | None:
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) and "event" in message else None


def _describe(code: int | None, last_lines: str) -> str:
    if code is None:
        return "It had to be killed."
    if code < 0 and os.name != "nt":
        name = signal.Signals(-code).name if -code in {item.value for item in signal.Signals} else str(-code)
        hint = ", as the system does when memory runs out" if name == "SIGKILL" else ""
        return f"It was ended by the signal {name}{hint}."
    if "exit abnormally" in last_lines:
        # Slicer starts Python through a launcher, which keeps the signal to itself.
        return "It was ended by the system, most often because memory ran out."
    return f"Its exit code was {code if abs(code) < 1 << 16 else hex(code & 0xFFFFFFFF)}."
