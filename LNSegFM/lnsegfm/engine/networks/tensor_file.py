"""Files of ``torch.save``, opened so that first it is known what is in them, and then only what is wanted is read.

Not by ``torch.load``, which takes the memory that a file claims, for all tensors in it, before anyone can look.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import torch

from lnsegfm.base.archive import bounded_zip
from lnsegfm.base.files import open_regular
from lnsegfm.engine.networks.plain_pickle import PlainPickle

# What damage raises depends on the byte that is damaged.
DAMAGE = (
    EOFError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, AssertionError, ArithmeticError,
    MemoryError, struct.error, zipfile.BadZipFile,
)
_LARGEST_PICKLE = 16 << 20
_BLOCK = 1 << 20
_MOST_AXES = 8
# A tensor with room between its elements; none of nnU-Net's has any.
_MOST_ROOM = 4
_LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_STORAGES = {
    "Float": torch.float32, "Double": torch.float64, "Half": torch.float16, "BFloat16": torch.bfloat16,
    "Long": torch.int64, "Int": torch.int32, "Short": torch.int16, "Char": torch.int8, "Byte": torch.uint8,
    "Bool": torch.bool,
}
_SCALARS = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}


@dataclass(frozen=True)
class Storage:
    """A run of numbers in the file, as the file claims it.

    Args:
        key: Its name.
        dtype: Of its numbers.
        count: How many.
    """

    key: str
    dtype: torch.dtype
    count: int

    @property
    def nbytes(self) -> int:
        """Its bytes."""
        return self.count * self.dtype.itemsize


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in the file, as the file claims it; nothing of it was read.

    Args:
        storage: Where its numbers are.
        start: The first one there.
        shape: Its shape.
        stride: Numbers from one element to the next along each axis.
    """

    storage: Storage
    start: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def span(self) -> int:
        """Numbers in the storage from its first to its last element."""
        return 1 + sum((size - 1) * step for size, step in zip(self.shape, self.stride)) if 0 not in self.shape else 0

    def outline(self) -> torch.Tensor:
        """Return a tensor of its shape and type that has no data (device ``meta``)."""
        return torch.empty(self.shape, dtype=self.storage.dtype, device="meta")


class _Room(Protocol):
    """Where the storages are."""

    def size(self, key: str) -> int:
        """Bytes of a storage that are there."""

    def read(self, key: str, start: int, into: memoryview) -> None:
        """Fill a buffer from byte ``start`` of a storage."""


class TensorFile:
    """An opened file, see `opened_tensors`.

    Args:
        content: What was saved, with a `StoredTensor` for each tensor, and plain dictionaries.
        room: Where the storages are.
    """

    def __init__(self, content: Any, room: _Room) -> None:
        self.content = content
        self._room = room
        self._read: dict[tuple[str, torch.dtype, int, int], torch.Tensor] = {}

    def fault(self, tensor: StoredTensor) -> str:
        """Return what is wrong with a claim, as a predicate, before memory is taken for it; empty where nothing is."""
        storage = tensor.storage
        try:
            there = self._room.size(storage.key)
        except (ValueError, LookupError) as error:
            return f"has no data that can be read: {error}"
        if storage.nbytes != there:
            return f"claims a storage of {storage.nbytes} bytes, of which the file has {there}"
        if tensor.start + tensor.span > storage.count:
            return "reaches beyond its storage"
        if math.prod(tensor.shape) > tensor.span:
            return f"repeats the numbers of its storage: shape {list(tensor.shape)}, stride {list(tensor.stride)}"
        if tensor.span > _MOST_ROOM * max(math.prod(tensor.shape), 1):
            return f"is spread over its storage: shape {list(tensor.shape)}, stride {list(tensor.stride)}"
        return ""

    def tensor(self, tensor: StoredTensor) -> torch.Tensor:
        """Read a tensor without a fault; those that share numbers in the file share memory."""
        span, dtype = tensor.span, tensor.storage.dtype
        place = (tensor.storage.key, dtype, tensor.start, span)
        if place not in self._read:
            buffer = torch.empty(span * dtype.itemsize, dtype=torch.uint8)
            self._room.read(tensor.storage.key, tensor.start * dtype.itemsize, buffer.numpy().data)
            self._read[place] = buffer.view(dtype)
        return self._read[place].as_strided(tensor.shape, tensor.stride)

    def whole(self) -> Any:
        """Return the content with all tensors read.

        Raises:
            ValueError: One of them has a fault.
        """
        return self._whole(self.content, 0)

    def _whole(self, value: Any, depth: int) -> Any:
        if depth > 16:
            raise ValueError("it is nested too deeply")
        if isinstance(value, StoredTensor):
            if fault := self.fault(value):
                raise ValueError(f"a tensor {fault}")
            return self.tensor(value)
        if isinstance(value, dict):
            return {key: self._whole(each, depth + 1) for key, each in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self._whole(each, depth + 1) for each in value)
        return value


@contextmanager
def opened_tensors(path: Path) -> Iterator[TensorFile]:
    """Open a file that ``torch.save`` wrote, also one of before torch 1.6.

    Raises:
        Forbidden: It holds more than tensors and plain data.
        OSError: It cannot be read.
        Any of `DAMAGE`: It is no such file, or is damaged; the block may raise it as well.
    """
    with open_regular(path) as stream:
        start = stream.read(len(_LEGACY_START))
        stream.seek(0)
        if start == _LEGACY_START:
            yield _legacy(stream)
        else:
            with bounded_zip(stream) as archive:
                room = _ZipRoom(archive)
                pickle = PlainPickle(io.BytesIO(room.pickle()), _KNOWN, _storage)
                yield TensorFile(pickle.load(), room)


class _ZipRoom:
    """The storages of a file as torch writes it since 1.6: a zip file of them, uncompressed."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._entries: dict[str, zipfile.ZipInfo] = {}
        for entry in archive.infolist():
            name = entry.filename.partition("/")[2]
            if name in self._entries:
                raise ValueError(f"it has the entry '{name[:100]}' twice")
            self._entries[name] = entry
        if "byteorder" in self._entries and self._content("byteorder", 16) != b"little":
            raise ValueError("it was written on a computer of another byte order")

    def pickle(self) -> bytes:
        """Return the description of what was saved."""
        return self._content("data.pkl", _LARGEST_PICKLE)

    def _content(self, name: str, most: int) -> bytes:
        entry = self._stored(name)
        if entry.file_size > most:
            raise ValueError(f"its '{name}' is larger than {most} bytes")
        with self._archive.open(entry) as reader:
            return reader.read()

    def _stored(self, name: str) -> zipfile.ZipInfo:
        if name not in self._entries:
            raise ValueError(f"it has no '{name[:100]}'")
        entry = self._entries[name]
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise ValueError(f"its '{name[:100]}' is compressed, as torch writes none")
        return entry

    def size(self, key: str) -> int:
        """Bytes of a storage that are there."""
        return self._stored(f"data/{key}").file_size

    def read(self, key: str, start: int, into: memoryview) -> None:
        """Fill a buffer from byte ``start`` of a storage."""
        with self._archive.open(self._stored(f"data/{key}")) as reader:
            reader.seek(start)
            _fill(reader, into)


class _LegacyRoom:
    """The storages of a file as torch wrote it before 1.6: one behind the other."""

    def __init__(self, stream: BinaryIO, places: Mapping[str, tuple[int, int]]) -> None:
        self._stream, self._places = stream, places

    def size(self, key: str) -> int:
        """Bytes of a storage that are there."""
        return self._places[key][1]

    def read(self, key: str, start: int, into: memoryview) -> None:
        """Fill a buffer from byte ``start`` of a storage."""
        self._stream.seek(self._places[key][0] + start)
        _fill(self._stream, into)


def _fill(reader: Any, into: memoryview) -> None:
    done = 0
    while done < len(into):
        block = reader.read(min(_BLOCK, len(into) - done))
        if not block:
            raise ValueError("it is cut off")
        into[done : done + len(block)] = block
        done += len(block)


def _legacy(stream: BinaryIO) -> TensorFile:
    """Read five pickles: a magic number, the format's version, the system, what was saved, the storages' names."""
    storages: dict[str, Storage] = {}

    def noted(given: tuple[Any, ...]) -> Storage:
        *usual, view = given
        storage = _storage(tuple(usual))
        if view is not None or storages.setdefault(storage.key, storage) != storage:
            raise ValueError("it has views of a storage as no torch of the last years writes them")
        return storage

    head = io.BytesIO(stream.read(_LARGEST_PICKLE))
    pickles = PlainPickle(head, _KNOWN, noted)
    _magic, _version, _system, content, names = (pickles.load() for _ in range(5))
    places: dict[str, tuple[int, int]] = {}
    position, end = head.tell(), stream.seek(0, io.SEEK_END)
    for name in names:
        stream.seek(position)
        (count,) = struct.unpack("<q", stream.read(8))
        size = count * storages[name].dtype.itemsize
        position += 8
        if not 0 <= size <= end - position:
            raise ValueError(f"it claims a storage of {size} bytes, of which the file has {end - position}")
        places[name] = (position, size)
        position += size
    return TensorFile(content, _LegacyRoom(stream, places))


def _storage(given: tuple[Any, ...]) -> Storage:
    kind, dtype, key, _location, count = given
    if kind != "storage" or not isinstance(dtype, torch.dtype) or not isinstance(key, str) or not _is_count(count):
        raise ValueError("it has a storage that is none")
    return Storage(key, dtype, count)


def _tensor(storage: Any, start: Any, shape: Any, stride: Any, *_rest: Any) -> StoredTensor:
    if not isinstance(storage, Storage) or not isinstance(shape, tuple) or not isinstance(stride, tuple):
        raise ValueError("it has a tensor that is none")
    if len(shape) != len(stride) or len(shape) > _MOST_AXES or not all(map(_is_count, (start, *shape, *stride))):
        raise ValueError("it has a tensor of an impossible shape")
    return StoredTensor(storage, start, shape, stride)


def _parameter(tensor: Any, *_rest: Any) -> Any:
    return tensor


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 48


class _NumberKind:
    """A numpy dtype of single numbers, made from what it is pickled as."""

    def __init__(self, code: Any, *_rest: Any) -> None:
        if code not in _SCALARS:
            raise ValueError(f"it has numbers of the kind {str(code)[:60]}")
        self.dtype = np.dtype(code)

    def set_state(self, state: Any) -> None:
        """Take the byte order."""
        if isinstance(state, tuple) and state[1] == ">":
            self.dtype = self.dtype.newbyteorder(">")


def _number_kind(*given: Any) -> _NumberKind:
    return _NumberKind(*given)


def _scalar(kind: Any, content: Any) -> Any:
    if not isinstance(kind, _NumberKind) or not isinstance(content, bytes):
        raise ValueError("it has a number that is none")
    (value,) = np.frombuffer(content, kind.dtype)
    return value


def _encoded(text: Any, encoding: Any) -> bytes:
    # Protocol 2 has no bytes; those of a number are few.
    if not isinstance(text, str) or len(text) > 16 or encoding != "latin1":
        raise ValueError("it has bytes that are no number's")
    return text.encode("latin1")


def _nothing(*given: Any) -> dict[Any, Any]:
    if given:
        raise ValueError("it copies a dictionary")
    return {}


def _device(*given: Any) -> torch.device:
    return torch.device(*given)


def _shape(*given: Any) -> tuple[Any, ...]:
    (sizes,) = given
    if not isinstance(sizes, tuple):
        raise ValueError("it has a shape that is none")
    return sizes


_KNOWN: Mapping[str, Any] = {
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    **{f"torch.{name}Storage": dtype for name, dtype in _STORAGES.items()},
    **{str(dtype): dtype for dtype in _STORAGES.values()},
    "collections.OrderedDict": _nothing,
    "torch.device": _device,
    "torch.Size": _shape,
    "numpy.dtype": _number_kind,
    # Checkpoints carry the module name of the numpy that wrote them: 1.x and 2.x differ.
    "numpy.core.multiarray.scalar": _scalar,
    "numpy._core.multiarray.scalar": _scalar,
    "_codecs.encode": _encoded,
}
