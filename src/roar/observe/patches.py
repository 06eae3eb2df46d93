"""Patches as git writes them (git-diff(1)), file by file."""

import os
import re

from roar.shell import unescaped

_SECTION = re.compile(rb"^(?=diff --git )", re.MULTILINE)


def sections_of(patch: bytes) -> list[bytes]:
    """A patch (git-diff(1)) file by file."""
    return _SECTION.split(patch)


def name_of(section: bytes) -> str:
    """The file that one section of a patch is about, by its header `a/NAME b/NAME`; of a renamed one the new name.

    Empty where neither the header nor a line of its own (`rename to NAME`) tells it.
    """
    header = section.partition(b"\n")[0].removeprefix(b"diff --git ")
    half = len(header) // 2
    one, other = (unescaped(side[1:-1]) if side.startswith(b'"') else side
                  for side in (header[:half], header[half + 1:]))
    if one != other:  # as they are where `diff.noprefix` is set
        one, other = one[2:], other[2:]
    if one == other:
        return os.fsdecode(one)
    new = _NEW_NAME.search(section)
    return os.fsdecode(unescaped(new[1][1:-1]) if new[1].startswith(b'"') else new[1]) if new else ""


_NEW_NAME = re.compile(rb"^(?:rename|copy) to (.+)$", re.MULTILINE)
