"""How large a compressed frame says that it is, by its own header; decoders allocate what it says."""

from __future__ import annotations

_JPEG_START, _JPEG_2000_START = b"\xff\xd8", b"\xff\x4f\xff\x51"
# Start of frame of JPEG in its kinds, but for the tables among them, and of JPEG-LS.
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_END, _SCAN = 0xD9, 0xDA


def stream_size(frame: bytes) -> tuple[int, int] | None:
    """Return columns and rows of a JPEG, JPEG-LS or JPEG 2000 stream; None where it does not say."""
    if frame[:2] == _JPEG_START:
        return _jpeg_size(frame)
    # A JPEG 2000 stream may lie in a file format of its own.
    at = frame.find(_JPEG_2000_START)
    if at < 0 or len(frame) < at + 24:
        return None
    right, bottom, left, top = (int.from_bytes(frame[at + 8 + 4 * n : at + 12 + 4 * n], "big") for n in range(4))
    return right - left, bottom - top


def _jpeg_size(frame: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker in _FRAMES:
            return int.from_bytes(frame[at + 7 : at + 9], "big"), int.from_bytes(frame[at + 5 : at + 7], "big")
        if marker in (_END, _SCAN):
            return None
        # Bytes of 0xFF may fill up the space between two markers.
        at += 1 if marker == 0xFF else 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return None
