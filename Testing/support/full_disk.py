"""A disk without room, for one function in a child process."""

from __future__ import annotations

import multiprocessing
import resource
import signal
from collections.abc import Callable
from typing import Any


def on_full_disk(room: int, function: Callable[..., object], *arguments: Any) -> str:
    """Call a function in a forked process whose files cannot grow beyond ``room`` bytes.

    Libraries see a write that fails half-way, as on a full disk.

    Returns:
        The error that the function raised, as ``type: text``; empty when it raised none.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_call, args=(room, sender, function, arguments))
    process.start()
    sender.close()
    try:
        return str(receiver.recv())
    except EOFError:
        return "ended without a word"
    finally:
        process.join()


def _call(room: int, answers: Any, function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    try:
        function(*arguments)
        answers.send("")
    except BaseException as error:
        answers.send(f"{type(error).__name__}: {error}")
