"""Content digests: BLAKE3 of many files at once, near the speed of reading them.

Small files are shared out among the processors, or read by a thread pool where the storage makes them wait; a large
file is mapped and hashed by all cores, in a process of its own: one that is truncated meanwhile kills it by SIGBUS.
It is hashed slice by slice, so that one can see how far that is. A digest counts only when the file's signature is
the same before and after hashing.
"""

import mmap
import os
import stat
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from roar.analyze.processes import do_apart, share_out
from roar.model import CHANGED_AT_LAST
from roar.observe.trace import Signature, signature_of

if TYPE_CHECKING:
    from blake3 import blake3

LARGE = 1024 * 1024  # bytes; from here on one file keeps all cores busy
MAPPED = 16 * LARGE  # bytes of large files from which on another process is worth its start
BLOCK = 4 * 1024 * 1024  # bytes read at once
SLICE = 16 * 1024 * 1024  # bytes of a mapped file hashed at once, the least
TURN_S = 0.1  # a slice grows until it takes so long: at the end of each the cores wait for one another
COARSE_NS = 2_000_000_000  # file systems that keep whole seconds, or pairs of them (FAT)
SECOND_NS = 1_000_000_000
TICK_NS = 10_000_000  # that the clock of file times may be behind
CLOCK_REALTIME_COARSE = 5  # linux/time.h; Python does not name it
BATCH = 64  # files a task, so that handing out work costs little
MANY = 32  # batches from which on more processes are worth their start
WAITING = 4  # a batch that takes so many times its computing waits for storage
POOL = 8  # reads under way at once, where they wait

_PACKED = struct.Struct("=B32s")  # one of the next two, or 0 where there is no digest, and the digest
_NOT_SETTLED, _SETTLED = 1, 2


class Digested(NamedTuple):
    """What hashing one file gave.

    Attributes:
        digest: 64 lower-case hex, None where it could not be had; `note` says why.
        size: bytes, None where unknown.
        signature: of the content that was hashed.
        settled: whether any later change must show in the signature, so that it may be remembered by it.
    """

    digest: str | None
    size: int | None
    signature: Signature | None
    note: str | None = None
    settled: bool = False


def identity(signature: Signature) -> tuple[int, int, int, int, int]:
    """The part of a signature that stands for content: all but the mode."""
    return signature[:5]


def clock_tick() -> int:
    """The kernel's coarse clock, which file times are taken from, in nanoseconds since the epoch."""
    return time.clock_gettime_ns(CLOCK_REALTIME_COARSE)


def settle(signatures: Sequence[Signature]) -> None:
    """Wait, at most some milliseconds, until the clock has passed the last change of these files.

    A change within the same tick of the clock would leave the signature as it is; after this any change shows
    (the problem that git calls racy: git's Documentation/technical/racy-git).
    """
    latest = max((signature.ctime_ns for signature in signatures), default=0)
    for _ in range(10):
        now = clock_tick()
        if latest < now or latest - now > SECOND_NS:
            return
        time.sleep(0.002)


def digest_files(wanted: Mapping[str, Signature], known: Mapping[tuple[int, int, int, int, int], str], *,
                 progress: Callable[[int, int], None] | None = None) -> dict[str, Digested]:
    """Hash files, skipping what is known.

    Args:
        wanted: by path, the signature that the content must have.
        known: digests of earlier content by signature identity.
        progress: told (bytes done, bytes in all), from any thread: at the start, and then again and again.

    Returns:
        By path; every path of `wanted` is there.
    """
    results: dict[str, Digested] = {}
    small: list[str] = []
    large: list[str] = []
    for path, signature in wanted.items():
        digest = known.get(identity(signature))
        if digest is not None:
            results[path] = Digested(digest, signature.size, signature)
        else:
            (large if signature.size >= LARGE else small).append(path)
    if small or large:
        settle([wanted[path] for path in (*small, *large)])
        report = _counted(_bytes_in((*small, *large), wanted), progress)
        report(0)
        _digest_small(small, wanted, results, report)
        _digest_large(large, wanted, results, report)
    return results


def _bytes_in(paths: Sequence[str], wanted: Mapping[str, Signature]) -> int:
    return sum(wanted[path].size for path in paths)


def _counted(total: int, progress: Callable[[int, int], None] | None) -> Callable[[int], None]:
    """Takes the bytes done since the last call, and tells those done in all."""
    done = 0

    def report(size: int) -> None:
        nonlocal done
        done += size
        if progress is not None:
            progress(done, total)

    return report


def _digest_small(paths: Sequence[str], wanted: Mapping[str, Signature], results: dict[str, Digested],
                  report: Callable[[int], None]) -> None:
    """By all processors while the files come from memory.

    From the first batch on that waits for its storage, by threads that wait at the same time.
    """
    batches = [paths[start:start + BATCH] for start in range(0, len(paths), BATCH)]

    def work(batch: Sequence[str]) -> bool:
        """Digest a batch, and tell whether that was computing more than waiting."""
        done, computing = _digest_batch(batch, wanted)
        results.update(done)
        report(_bytes_in(batch, wanted))
        return computing

    if len(batches) >= MANY and work(batches.pop()):
        batches = _digest_apart(batches, wanted, results, report)
    while batches and work(batches.pop()):
        pass
    if not batches:
        return
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  only where storage is slow

    with ThreadPoolExecutor(POOL) as pool:
        for task in [pool.submit(work, batch) for batch in batches]:
            task.result()


def _digest_apart(batches: Sequence[Sequence[str]], wanted: Mapping[str, Signature], results: dict[str, Digested],
                  report: Callable[[int], None]) -> list[Sequence[str]]:
    """Digest batches in several processes; returns those that are left, also for a file that gave no digest."""
    def work(batch: Sequence[str]) -> tuple[bytes, bool]:
        done, computing = _digest_batch(batch, wanted)
        return b"".join(map(_pack, done.values())), computing

    sizes = [_bytes_in(batch, wanted) for batch in batches]
    answers = share_out(batches, work, BATCH * _PACKED.size, lambda place: report(sizes[place]))
    left = []
    for batch, size, answer in zip(batches, sizes, answers, strict=True):
        packed = [] if answer is None else [*_PACKED.iter_unpack(answer)][:len(batch)]
        if packed and all(kind for kind, _ in packed):
            results.update((path, Digested(digest.hex(), wanted[path].size, wanted[path], None, kind == _SETTLED))
                           for path, (kind, digest) in zip(batch, packed, strict=True))
        else:
            left.append(batch)
            report(0 if answer is None else -size)
    return left


def _digest_batch(batch: Sequence[str], wanted: Mapping[str, Signature]) -> tuple[dict[str, Digested], bool]:
    """Digest some files, and tell whether that was computing more than waiting."""
    from blake3 import blake3  # noqa: PLC0415  not needed where all is known

    began = time.monotonic_ns(), time.thread_time_ns()
    done = {path: _digest_one(path, wanted[path], blake3) for path in batch}
    took, computed = time.monotonic_ns() - began[0], time.thread_time_ns() - began[1]
    return done, took <= WAITING * computed


def _pack(done: Digested) -> bytes:
    if done.digest is None:
        return bytes(_PACKED.size)
    return _PACKED.pack(_SETTLED if done.settled else _NOT_SETTLED, bytes.fromhex(done.digest))


def _digest_one(path: str, signature: Signature, blake3: "type[blake3]") -> Digested:
    tick = clock_tick()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOATIME | os.O_NONBLOCK)
    except PermissionError:  # O_NOATIME is for the owner only
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            return _failed(error)
    except OSError as error:
        return _failed(error)
    try:
        content = _read_whole(descriptor, signature.size)
        done = _checked(blake3(content).hexdigest(), os.fstat(descriptor), signature, tick)
        if done.digest is not None and content and not signature.size:  # as some file systems answer
            return Digested(None, None, None, "has content that its size of 0 does not tell of")
        return done
    except OSError as error:
        return _failed(error)
    finally:
        os.close(descriptor)


def _read_whole(descriptor: int, size: int) -> bytes:
    """All of a file, in one call where it has the size that it should have."""
    content = os.read(descriptor, size + 1)
    if len(content) == size:
        return content
    blocks = [content]
    while block := os.read(descriptor, BLOCK):
        blocks.append(block)
    return b"".join(blocks)


def _digest_large(paths: Sequence[str], wanted: Mapping[str, Signature], results: dict[str, Digested],
                  report: Callable[[int], None]) -> None:
    def stream(path: str) -> None:
        results[path] = _in_full(partial(_digest_streamed, path, wanted[path]), wanted[path].size, report)

    rest = paths
    while rest and _bytes_in(rest, wanted) >= MAPPED:
        answers = _digest_mapped_apart(rest, wanted, report)
        for path, answer in zip(rest, answers, strict=False):
            kind, digest = _PACKED.unpack(answer)
            if kind:
                results[path] = Digested(digest.hex(), wanted[path].size, wanted[path], None, kind == _SETTLED)
            else:
                report(-wanted[path].size)
                stream(path)
        for path in rest[len(answers):len(answers) + 1]:
            stream(path)
        rest = rest[len(answers) + 1:]
    for path in rest:
        stream(path)


def _digest_mapped_apart(paths: Sequence[str], wanted: Mapping[str, Signature], report: Callable[[int], None]
                         ) -> list[bytes]:
    """Digest files in another process, as packed answers: all of them, or those before the one that ended it."""
    told = 0

    def advanced(size: int) -> None:
        nonlocal told
        told += size
        report(size)

    def work(path: str, advance: Callable[[int], None]) -> bytes:
        return _pack(_in_full(partial(_digest_mapped, path, wanted[path]), wanted[path].size, advance))

    answers = []
    for answer in do_apart(paths, work, _PACKED.size, advanced):
        if answer is None:
            break
        answers.append(answer)
    report(_bytes_in(paths[:len(answers)], wanted) - told)  # what there was of one that ended it does not count
    return answers


def _in_full(work: Callable[[Callable[[int], None]], Digested], size: int, report: Callable[[int], None]) -> Digested:
    """What some work gives that tells the bytes it has done; in the end all are told, whatever came of it."""
    left = size

    def count(done: int) -> None:
        nonlocal left
        left -= done
        report(done)

    digested = work(count)
    report(left)
    return digested


def _digest_mapped(path: str, signature: Signature, report: Callable[[int], None]) -> Digested:
    tick = clock_tick()
    try:
        with open(path, "rb", buffering=0) as file:
            now = os.fstat(file.fileno())
            if signature_of(now)[:5] != signature[:5]:
                return _checked("", now, signature, tick)
            with mmap.mmap(file.fileno(), signature.size, access=mmap.ACCESS_READ) as content:
                digest = _hash_slices(content, report)
        return _checked(digest, os.stat(path), signature, tick)
    except OSError as error:
        return _failed(error)
    except ValueError:  # it has just become too short to be mapped
        return Digested(None, None, None, CHANGED_AT_LAST)


def _hash_slices(content: mmap.mmap, report: Callable[[int], None]) -> str:
    from blake3 import blake3  # noqa: PLC0415

    hasher = blake3(max_threads=blake3.AUTO)
    start, size = 0, SLICE
    with memoryview(content) as whole:
        while start < len(whole):
            began = time.monotonic()
            with whole[start:start + size] as part:
                hasher.update(part)
                start += len(part)
                report(len(part))
            took_s = time.monotonic() - began
            if took_s < TURN_S / 2 and start % (2 * size) == 0:  # as BLAKE3 divides content
                size *= 2
            elif took_s > 2 * TURN_S:
                size = max(size // 2, SLICE)
    return hasher.hexdigest()


def _digest_streamed(path: str, signature: Signature, report: Callable[[int], None]) -> Digested:
    """By one thread, as the pool of others would not survive a fork; reads no more than there should be."""
    from blake3 import blake3  # noqa: PLC0415

    tick = clock_tick()
    left = signature.size
    try:
        hasher = blake3()
        with open(path, "rb", buffering=0) as file:
            now = os.fstat(file.fileno())
            if signature_of(now)[:5] != signature[:5]:
                return _checked("", now, signature, tick)
            while left > 0 and (block := file.read(min(BLOCK, left))):
                hasher.update(block)
                left -= len(block)
                report(len(block))
            return _checked(hasher.hexdigest(), os.fstat(file.fileno()), signature, tick)
    except OSError as error:
        return _failed(error)


def _checked(digest: str, status: os.stat_result, expected: Signature, tick: int) -> Digested:
    if signature_of(status)[:5] != expected[:5]:
        return Digested(None, None, None, CHANGED_AT_LAST)
    return Digested(digest, expected.size, expected, None, is_settled(expected, tick))


def is_settled(signature: Signature, tick: int) -> bool:
    """Whether any change after `tick` must show in the signature."""
    whole_seconds = signature.mtime_ns % SECOND_NS == 0 and signature.ctime_ns % SECOND_NS == 0
    return signature.ctime_ns + (COARSE_NS if whole_seconds else 0) < tick


def _failed(error: OSError) -> Digested:
    return Digested(None, None, None, f"could not be read: {error.strerror or error}")


def find_regular(path: str) -> Signature | None:
    """The signature of the regular file at `path`, None where there is none. Symlinks are followed."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return signature_of(status) if stat.S_ISREG(status.st_mode) else None
