"""When a file was made (statx(2)); the standard library does not tell on Linux."""

import ctypes
import functools
import os
import struct

_AT_FDCWD = -100
_AT_SYMLINK_NOFOLLOW = 0x100
_STATX_BTIME = 0x800
_SIZE = 256
_BIRTH = struct.Struct("=qI")  # seconds and nanoseconds, at an offset of 80 bytes
_BIRTH_AT = 80


def born_at(path: str) -> float | None:
    """Seconds since the epoch; None where there is no such file, or the file system or C library does not tell."""
    found = ctypes.create_string_buffer(_SIZE)
    try:
        failed = _libc().statx(_AT_FDCWD, os.fsencode(path), _AT_SYMLINK_NOFOLLOW, _STATX_BTIME, found)
    except AttributeError:  # glibc has it since 2.28, musl since 1.2.5
        return None
    (mask,) = struct.unpack_from("=I", found)
    if failed or not mask & _STATX_BTIME:
        return None
    seconds, nanoseconds = _BIRTH.unpack_from(found, _BIRTH_AT)
    return float(seconds + nanoseconds / 1e9)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)
