"""The first records of a run log as W&B and SwanLab write it.

The format is LevelDB's log (32 KiB blocks of chunks; https://github.com/google/leveldb/blob/main/doc/log_format.md)
behind a header of seven bytes, with CRC-32 (IEEE) checksums and protocol buffers inside. The header's bytes count as
part of the first block.
"""

import struct
import zlib
from collections.abc import Iterator

_BLOCK = 32768
_HEADER = 7
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def iter_records(data: bytes, magic: bytes) -> Iterator[bytes]:
    """The records at the start of a log that begins with `magic`; stops silently at the first broken one."""
    if not data.startswith(magic):
        return
    position = _HEADER
    parts: list[bytes] = []
    while position + _HEADER <= len(data):
        if _BLOCK - position % _BLOCK < _HEADER:
            position += _BLOCK - position % _BLOCK
            continue
        checksum, length, kind = struct.unpack_from("<IHB", data, position)
        chunk = data[position + _HEADER:position + _HEADER + length]
        if kind not in {_FULL, _FIRST, _MIDDLE, _LAST} or len(chunk) < length:
            return
        if zlib.crc32(bytes([kind]) + chunk) != checksum:
            return
        position += _HEADER + length
        parts = [chunk] if kind in {_FULL, _FIRST} else [*parts, chunk]
        if kind in {_FULL, _LAST}:
            yield b"".join(parts)
            parts = []


def iter_fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The length-delimited fields (number, bytes) of a protocol buffer message; stops silently where it is broken."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        kind = tag & 7
        if kind == _VARINT:
            _, position = _varint(message, position)
        elif kind == _BYTES:
            length, position = _varint(message, position)
            if position + length > len(message):
                return
            yield tag >> 3, message[position:position + length]
            position += length
        elif kind in {_FIXED64, _FIXED32}:
            position += 8 if kind == _FIXED64 else 4
        else:
            return


def text_fields(message: bytes, names: dict[int, str]) -> dict[str, str]:
    """The named text fields of a message that are there and not empty."""
    found = {}
    for number, value in iter_fields(message):
        if number in names and value:
            found[names[number]] = value.decode("utf-8", "replace")
    return found


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data):
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128 or shift > 63:  # noqa: PLR2004  the continuation bit; a varint has at most ten bytes
            break
    return value, position
