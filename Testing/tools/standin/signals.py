"""PythonQt's `connect("signal(types)", slot)` on PySide6 objects, with the signature checked."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import shiboken6
from PySide6 import QtCore

from .failures import failures

_Slot = Callable[..., Any]
# (address of the sender) -> [(signature, slot, adapter)], to find the adapter again when the slot is disconnected
_connections: dict[int, list[tuple[str, _Slot, _Slot]]] = {}
# QObject's own attribute access, from before `access` replaced it
native_lookup: Callable[[Any, str], Any] = QtCore.QObject.__getattribute__


class UnknownSignal(ValueError):
    """The object has no signal of this signature."""


def bound(sender: Any, name: str) -> Callable[..., bool]:
    """Return PythonQt's `connect` or `disconnect` of an object.

    PySide6 resolves these two names on instances before it looks at the class, so that the attribute access has to.
    """
    ours = connect if name == "connect" else disconnect

    def call(*arguments: Any) -> bool:
        # PySide6's own code (QTimer.singleShot) starts with the sender.
        if arguments and isinstance(arguments[0], str):
            return ours(sender, *arguments)
        return bool(native_lookup(sender, name)(*arguments))

    return call


def connect(sender: Any, signature: str, *target: Any) -> bool:
    """Connect a signal, named by its C++ signature, to a callable or to (receiver, slot signature).

    Raises:
        UnknownSignal: When the sender has no such signal.
        TypeError: When the target cannot be called.
    """
    signature, python_signal = find_signal(sender, signature)
    if len(target) == 2:
        return _connect_to_slot(sender, signature, python_signal, *target)
    (slot,) = target
    if not callable(slot):
        raise TypeError(f"The slot for {signature} is not callable: {slot!r}")
    adapter = _adapter(slot)
    if python_signal is not None:
        python_signal.connect(adapter)
    else:
        native_lookup(sender, "connect")(QtCore.SIGNAL(signature), adapter)
    address = shiboken6.getCppPointer(sender)[0]
    if address not in _connections:
        _connections[address] = []
        sender.destroyed.connect(lambda *_: _connections.pop(address, None))
    _connections[address].append((signature, slot, adapter))
    return True


def disconnect(sender: Any, signature: str, slot: _Slot) -> bool:
    """Undo one `connect`; return whether the slot was connected.

    Raises:
        UnknownSignal: When the sender has no such signal.
    """
    signature, python_signal = find_signal(sender, signature)
    known = _connections.get(shiboken6.getCppPointer(sender)[0], [])
    for entry in known:
        if entry[0] == signature and entry[1] == slot:
            if python_signal is not None:
                python_signal.disconnect(entry[2])
            else:
                native_lookup(sender, "disconnect")(QtCore.SIGNAL(signature), entry[2])
            known.remove(entry)
            return True
    return False


def find_signal(sender: Any, signature: str) -> tuple[str, Any]:
    """Return the normalised signature and, for signals with VTK arguments, the Python signal that carries them.

    Raises:
        UnknownSignal: When the sender has no such signal.
    """
    normalised = normalise(signature)
    table: dict[str, str] = getattr(type(sender), "cpp_signals", {})
    if normalised in table:
        return normalised, getattr(sender, table[normalised])
    meta = sender.metaObject()
    if meta.indexOfSignal(normalised) < 0:
        signals = sorted({*table, *_names(meta, QtCore.QMetaMethod.MethodType.Signal)})
        raise UnknownSignal(f"{meta.className()} has no signal {normalised!r}; it has: {', '.join(signals)}")
    return normalised, None


def normalise(signature: str) -> str:
    """Return a signature as Qt writes it ("clicked( bool )" -> "clicked(bool)")."""
    if "(" not in signature:
        raise UnknownSignal(f"{signature!r} is no signal signature: write it with its types, as in 'clicked(bool)'")
    return bytes(QtCore.QMetaObject.normalizedSignature(signature).data()).decode()


def _names(meta: QtCore.QMetaObject, kind: QtCore.QMetaMethod.MethodType) -> list[str]:
    methods = (meta.method(index) for index in range(meta.methodCount()))
    return [bytes(method.methodSignature().data()).decode() for method in methods if method.methodType() == kind]


def _connect_to_slot(sender: Any, signature: str, python_signal: Any, receiver: Any, slot: str) -> bool:
    name = normalise(slot).partition("(")[0]
    known = normalise(slot) in getattr(type(receiver), "cpp_slots", ())
    if not known and receiver.metaObject().indexOfMethod(normalise(slot)) < 0:
        raise UnknownSignal(f"{receiver.metaObject().className()} has no slot {slot!r}")
    if python_signal is not None or known:
        return connect(sender, signature, getattr(receiver, name))
    native_lookup(sender, "connect")(QtCore.SIGNAL(signature), receiver, QtCore.SLOT(normalise(slot)))
    return True


def _adapter(slot: _Slot) -> _Slot:
    """Call the slot with as many arguments as it takes, as PythonQt does, and keep its exceptions."""
    count = _argument_count(slot)

    def call(*arguments: Any) -> None:
        try:
            slot(*arguments[:count])
        except Exception as error:
            failures.record(error)

    return call


def _argument_count(slot: _Slot) -> int | None:
    """Return how many of the signal's arguments the slot gets, or None for all.

    PythonQt counts those of functions and methods only: a functools.partial or another callable gets all.
    """
    function = slot.__func__ if inspect.ismethod(slot) else slot
    if not inspect.isfunction(function) or function.__code__.co_flags & inspect.CO_VARARGS:
        return None
    return function.__code__.co_argcount - (1 if inspect.ismethod(slot) else 0)
