"""Event logs written by hand, in the format of native/event_log.h."""

import struct

CHUNK = 16384


def make_record(pid, ticks, path, *, kind=1, path2=b"", result=3, flags=0, mode=0o100644, inode=None, existed=True):
    """One record; with `mode` None it has no signature."""
    signature = b"" if mode is None else struct.pack("=QQqqqI4x", 1, ticks if inode is None else inode, 10, 11, 12,
                                                     mode)
    text = path + path2
    size = (32 + len(signature) + len(text) + 7) // 8 * 8
    bits = (1 if mode is not None else 0) | 2 | (4 if existed else 0)
    head = struct.pack("=IIQiIHHHH", size << 16 | kind << 8 | 0xA5, pid, ticks, result, flags, len(path), len(path2),
                       bits, 0)
    return (head + signature + text).ljust(size, b"\0")


def make_log(records, header):
    """A log of these records with the first page of a real one."""
    chunks, current = [], []
    used = 0
    for record in records:
        if used + len(record) > CHUNK - 16:
            chunks.append(b"".join(current))
            current, used = [], 0
        current.append(record)
        used += len(record)
    chunks.append(b"".join(current))
    first = bytearray(header[:4096])
    struct.pack_into("=Q", first, 128, len(chunks) + 1)
    body = b"".join((struct.pack("=II8x", 1, len(chunk)) + chunk).ljust(CHUNK, b"\0") for chunk in chunks)
    return bytes(first) + bytes(CHUNK) + body
