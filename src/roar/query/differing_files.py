"""Of datasets that differ between two jobs, the files that do."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from roar.analyze.datasets import dataset_digest
from roar.model import members_folder
from roar.query.differences import NO_DIGEST, Change, Difference, changes_between
from roar.query.jobs import load_datasets


def with_members(database: sqlite3.Connection, difference: Difference) -> Difference:
    """The same, and of each dataset that differs which files do.

    A folder that only one of the jobs has as a dataset, and the other in parts, is compared as that dataset.
    """
    return replace(difference, inputs=tuple(_iter_with_members(database, difference.inputs)),
                   outputs=tuple(_iter_with_members(database, difference.outputs)))


def _iter_with_members(database: sqlite3.Connection, changes: Sequence[Change]) -> Iterator[Change]:
    in_folder = _by_folder(database, [change for change in changes if None in {change.before, change.after}])
    for change in changes:
        folder = in_folder.get(change)
        if folder is None:
            before, after = (_members(database, digest) for digest in (change.before, change.after))
            yield replace(change, members=changes_between(before, after)) if before and after else change
        elif folder.members and next(one for one, into in in_folder.items() if into is folder) is change:
            yield folder


def _members(database: sqlite3.Connection, digest: str | None) -> dict[str, str]:
    """The digests of a dataset's files by their names; none where it is a file, or not known."""
    for dataset in load_datasets(database, [digest] if digest not in {None, NO_DIGEST} else []):
        return {member.path: member.digest for member in dataset.members}
    return {}


IN_PARTS = "in parts"
"""What stands in the place of the digest of a folder that no job used as the dataset that all its parts would be."""


def _by_folder(database: sqlite3.Connection, changes: Iterable[Change]) -> dict[Change, Change]:
    """Of changes that are on one side only, those that are about one folder, each with that of the folder."""
    members = {change: _members(database, change.before or change.after) for change in changes}
    found: dict[Change, Change] = {}
    for whole in sorted((change for change in members if members[change]), key=lambda change: len(change.name)):
        parts = [part for part in members if part not in found and part is not whole and _is_in(part, whole)]
        if whole not in found and any((part.before is None) != (whole.before is None) for part in parts):
            chosen = {whole, *parts}
            here = {change: inside for change, inside in members.items() if change in chosen}
            found |= dict.fromkeys(here, _with_known_digests(database, _compared(whole, here)))
    return found


def _is_in(part: Change, whole: Change) -> bool:
    """Whether a use lies in a dataset that is a whole folder, and its content is known."""
    return whole.name.endswith("/") and part.name.startswith(whole.name) and NO_DIGEST not in {part.before, part.after}


def _with_known_digests(database: sqlite3.Connection, change: Change) -> Change:
    """A digest that is in no record, as that of all parts together may be, is one that nothing can be asked with."""
    before, after = (digest if _members(database, digest) else IN_PARTS for digest in (change.before, change.after))
    return replace(change, before=before, after=after)


def _compared(whole: Change, members: Mapping[Change, Mapping[str, str]]) -> Change:
    sides: tuple[dict[str, str], dict[str, str]] = ({}, {})
    for change, inside in members.items():
        folder = members_folder(change.name)[len(whole.name):]
        digest = change.before or change.after or ""
        sides[change.before is None].update({folder + name: one for name, one in inside.items()}
                                            or {change.name[len(whole.name):]: digest})
    before, after = (dataset_digest(list(side.items())) for side in sides)
    return Change(name=whole.name, before=before, after=after, members=changes_between(*sides))
