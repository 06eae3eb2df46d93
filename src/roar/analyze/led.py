"""Where files really lay that a job put something into by a name, and whether the name leads there still."""

import os
from typing import NamedTuple

from roar.observe.trace import Event, Signature, signature_of

SEVERAL = ""


class Led(NamedTuple):
    """Where a name led when something was put there.

    Attributes:
        path: where the kernel found the file, symlinks followed; `SEVERAL` after more than one place, None where that
            was not told. After a rename: where it is if the folder in which it got its new name was the one then.
        moved: what was renamed, or linked, to put it there (the name, or a folder above), and its signature then;
            None where the file was opened by the name itself since.
    """

    path: str | None = None
    moved: tuple[str, Signature] | None = None

    def proves(self, name: str, path: str) -> bool:
        """Whether the file lies at `path`, to which `name` leads now: as the kernel said, or as it is the very one."""
        if self.moved is None:
            return self.path is not None and _is_same(self.path, path)
        there, before = self.moved
        below = name[len(there):]
        if not path.endswith(below):
            return False
        try:
            return signature_of(os.lstat(path[:len(path) - len(below)]))[:4] == before[:4]
        except OSError:
            return False

    def disproves(self, path: str) -> bool:
        """Whether the file was put somewhere else than at `path`."""
        return self.path is not None and not _is_same(self.path, path)


def _is_same(one: str, other: str) -> bool:
    """Whether two paths are one, or differ only in how their folder is spelled (bind mounts, names in any case)."""
    if one == other:
        return True
    folder, _, name = one.rpartition("/")
    folder2, _, name2 = other.rpartition("/")
    try:
        return name.casefold() == name2.casefold() and os.path.samefile(folder or "/", folder2 or "/")
    except OSError:
        return False


def found_at(led: Led | None, path: str) -> Led:
    """What is known once the kernel found the file at `path`."""
    before = None if led is None else led.path
    return Led(path if before in {None, path} else SEVERAL)


def moved_to(led: Led | None, event: Event, below: str) -> Led | None:
    """What is known of a file after a rename, or a link, took it along.

    Args:
        led: what was known by its old name.
        event: the file's own, or that of a folder above.
        below: its path in that folder, with a slash in front; "" for its own.
    """
    old, new = event.path + below, event.path2 + below
    folder = os.path.dirname(event.path)
    path = None
    if led is not None and led.path is not None and folder == os.path.dirname(event.path2):
        inside = old[len(folder):]
        if led.path.endswith(inside):
            path = led.path[:len(led.path) - len(inside)] + new[len(folder):]
    if event.signature is None:
        return None if path is None else Led(path, (new, _UNKNOWN))
    return Led(path, (event.path2, event.signature))


_UNKNOWN = Signature(0, 0, -1, 0, 0, 0)  # that of no file
