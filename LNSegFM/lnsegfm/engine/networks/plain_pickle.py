"""Pickles of plain data, read without Python's pickle: nothing in them is imported or called by its own name.

Memory stays in proportion to the length of the pickle. Python's and torch's unpicklers, also with ``weights_only``,
call what makes gigabytes of a few bytes: ``bytearray``, a tensor of a given size, a place in the memo, a frame.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO

# A training of 8,000 epochs leaves half of it.
MOST_STEPS = 1_500_000
_LONGEST_NAME = 500
_LARGEST_KEY = 1 << 31


class Forbidden(ValueError):
    """The pickle needs something that is not on the list; ``name`` is what."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"it needs '{name}'")


class _Stop(Exception):
    """The pickle has ended."""


class PlainPickle:
    """Reads pickles of protocol 2, which is what ``torch.save`` writes.

    Args:
        stream: Where the pickles are, one behind the other.
        known: What a name in a pickle stands for, by module and name: a value, or a function that is called with the
            arguments in the pickle. A function must make no more than a few bytes of one call.
        stored: Makes a value of a persistent id.
    """

    def __init__(
        self, stream: BinaryIO, known: Mapping[str, Any], stored: Callable[[tuple[Any, ...]], Any]
    ) -> None:
        self._stream, self._known, self._stored = stream, known, stored
        self._steps = 0
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def load(self) -> Any:
        """Read the next pickle.

        Raises:
            Forbidden: It needs what is not on the list.
            ValueError, LookupError, TypeError, struct.error: It is damaged, or has operations that no pickle of plain
                data has.
        """
        self._stack, self._marks, self._memo = [], [], {}
        try:
            while True:
                self._steps += 1
                if self._steps > MOST_STEPS:
                    raise ValueError(f"it has more than {MOST_STEPS} steps")
                code = self._take(1)
                if code not in _STEPS:
                    raise ValueError(f"it has the unusual operation {code!r}")
                _STEPS[code](self)
        except _Stop:
            return self._stack.pop()

    def _take(self, count: int) -> bytes:
        content = self._stream.read(count)
        if len(content) != count:
            raise ValueError("it is cut off")
        return content

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _marked(self) -> list[Any]:
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _protocol(self) -> None:
        if self._take(1) != b"\x02":
            raise ValueError("it is of another protocol than 2")

    def _stop(self) -> None:
        raise _Stop

    def _mark(self) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _name(self) -> None:
        module, name = (self._stream.readline(_LONGEST_NAME).rstrip(b"\n").decode("utf-8") for _ in range(2))
        full = f"{module}.{name}"
        if full not in self._known:
            raise Forbidden(full)
        self._push(self._known[full])

    def _call(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if not isinstance(arguments, tuple) or not any(function is each for each in self._known.values()):
            raise ValueError("it calls something that is no function")
        self._push(function(*arguments))

    def _build(self) -> None:
        # What is plain has no state; that of an OrderedDict of weights holds versions, that of a dtype its byte order.
        state, made = self._stack.pop(), self._stack[-1]
        set_state = getattr(made, "set_state", None)
        if set_state is not None:
            set_state(state)
        elif not isinstance(made, dict):
            raise ValueError("it gives a state to something that has none")

    def _persistent(self) -> None:
        given = self._stack.pop()
        if not isinstance(given, tuple):
            raise ValueError("it has a persistent id that is no tuple")
        self._push(self._stored(given))

    def _append(self, items: Sequence[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise ValueError("it appends to something that is no list")
        target.extend(items)

    def _set_items(self, items: Sequence[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise ValueError("it sets items of something that is no dictionary")
        # Other keys, and very large numbers, can be chosen so that a dictionary becomes endlessly slow.
        if not all(type(key) is str or (type(key) is int and abs(key) < _LARGEST_KEY) for key in items[::2]):
            raise ValueError("it has a dictionary with other keys than texts and small whole numbers")
        target.update(zip(items[::2], items[1::2]))

    def _tuple(self, count: int) -> None:
        if len(self._stack) < count:
            raise ValueError("its stack is empty")
        items = tuple(self._stack[-count:])
        del self._stack[-count:]
        self._push(items)

    def _text(self) -> None:
        self._push(self._take(self._number("<I")).decode("utf-8", "surrogatepass"))

    def _long(self) -> None:
        self._push(int.from_bytes(self._take(self._number("<B")), "little", signed=True))

    def _put(self, form: str) -> None:
        self._memo[self._number(form)] = self._stack[-1]

    def _set_one(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set_items((key, value))


_Reader = PlainPickle
# By the codes of Python's pickletools.
_STEPS: Mapping[bytes, Callable[[_Reader], None]] = {
    b"\x80": _Reader._protocol,
    b".": _Reader._stop,
    b"(": _Reader._mark,
    b"c": _Reader._name,
    b"R": _Reader._call,
    b"b": _Reader._build,
    b"Q": _Reader._persistent,
    b"a": lambda self: self._append([self._stack.pop()]),
    b"e": lambda self: self._append(self._marked()),
    b"s": _Reader._set_one,
    b"u": lambda self: self._set_items(self._marked()),
    b"t": lambda self: self._push(tuple(self._marked())),
    b"\x85": lambda self: self._tuple(1),
    b"\x86": lambda self: self._tuple(2),
    b"\x87": lambda self: self._tuple(3),
    b")": lambda self: self._push(()),
    b"]": lambda self: self._push([]),
    b"}": lambda self: self._push({}),
    b"N": lambda self: self._push(None),
    b"\x88": lambda self: self._push(True),
    b"\x89": lambda self: self._push(False),
    b"J": lambda self: self._push(self._number("<i")),
    b"K": lambda self: self._push(self._number("<B")),
    b"M": lambda self: self._push(self._number("<H")),
    b"G": lambda self: self._push(self._number(">d")),
    b"\x8a": _Reader._long,
    b"X": _Reader._text,
    b"h": lambda self: self._push(self._memo[self._number("<B")]),
    b"j": lambda self: self._push(self._memo[self._number("<I")]),
    b"q": lambda self: self._put("<B"),
    b"r": lambda self: self._put("<I"),
}
