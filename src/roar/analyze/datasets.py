"""Fold many files below one folder into one dataset.

A dataset's digest is BLAKE3 over its members, sorted by the bytes of their paths, one line each (`member_line`): what
`b3sum` prints for the files from inside the folder, so that anyone can recompute it.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from itertools import chain, islice

from roar.model import APPENDED, FileUse, Kind, shards_path
from roar.wire import Dataset, DatasetMember, member_line, raw, shown

LINES_AT_ONCE = 1000
SPLITS = 4  # a folder of up to this many large sub-folders (train, val, test, …) is that many datasets


def dataset_digest(members: Sequence[tuple[str, str]]) -> str:
    """The digest of a dataset.

    Args:
        members: path relative to the dataset's folder and digest, in any order.
    """
    return _digest_in_order(sorted((raw(path), digest) for path, digest in members))


def _digest_in_order(members: Iterable[tuple[bytes, str]]) -> str:
    """Some lines at a time: those of a large dataset take more memory than anything else in recording it."""
    from blake3 import blake3  # noqa: PLC0415  few jobs have a dataset

    hasher = blake3()
    lines = (member_line(path, digest) for path, digest in members)
    while some := b"".join(islice(lines, LINES_AT_ONCE)):
        hasher.update(some)
    return hasher.hexdigest()


def fold_datasets(uses: Sequence[FileUse], *, threshold: int, keep: Collection[str] = (),
                  whole: Collection[str] = ()) -> tuple[list[FileUse], list[Dataset]]:
    """Replace the files of large folders by one use each.

    Args:
        uses: of one direction (all inputs, or all outputs) of one job.
        threshold: how many files below one folder make a dataset; 0 folds nothing.
        keep: folders that are never a dataset themselves.
        whole: further such folders, which hold all kinds of things (home, /tmp), as the workspace root does: of these
            the many files that lie directly in them are a dataset with the path `FOLDER/*`, and those of many small
            folders in them.

    Returns:
        The uses with datasets in place of their members, sorted by path, and the datasets.
    """
    foldable = [use for use in uses if use.digest is not None and use.kind is Kind.FILE]
    if not threshold or len(foldable) < threshold:
        return _fold_shards(list(uses)) if threshold else (sorted(uses, key=lambda use: use.path), [])
    folders = find_roots(Counter(os.path.dirname(use.path) for use in foldable), threshold, {*keep, *whole})
    rest: list[FileUse] = []
    datasets = []
    members = _members(uses, folders, rest)
    for folder, inside in members.items():
        dataset = _dataset(folder, inside)
        datasets.append(dataset)
        rest.append(FileUse(path=folder + "/", digest=dataset.digest, size=sum(m.size for m in dataset.members),
                            kind=Kind.DATASET, files=len(inside), note=_note(inside)))
    rest, shards = _fold_shards(rest)
    rest, gathered = _gather(rest, threshold, {*whole, ""} - folders)
    return rest, datasets + shards + gathered


def fold_unknown(uses: Sequence[FileUse], changed: Container[str], *, threshold: int, keep: Collection[str] = (),
                 whole: Collection[str] = ()) -> list[FileUse]:
    """Replace the files of large folders by one use each where a job changed them before their content was known.

    Args:
        uses: all inputs of one job, datasets already folded.
        changed: the paths of such files.
        threshold: as in fold_datasets.
        keep: likewise.
        whole: likewise.

    Returns:
        The uses, sorted by path. Those of folders have no digest: `FOLDER/`, or `FOLDER/*` beside a dataset of the
        files whose content is known.
    """
    unknown = [use for use in uses if use.digest is None and use.kind is Kind.FILE and use.path in changed]
    if not threshold or len(unknown) < threshold:
        return list(uses)
    folders = find_roots(Counter(os.path.dirname(use.path) for use in unknown), threshold, {*keep, *whole})
    inside = _by_folder(unknown, folders)
    direct = inside.pop(None, [])
    groups = {_free_path(folder, uses): files for folder, files in inside.items() if folder is not None}
    groups |= _gathered(direct, threshold, {*whole, ""} - folders)
    found = [FileUse(path=path, digest=None, size=_size(files), kind=Kind.DATASET, files=len(files),
                     note=_notes(files)) for path, files in groups.items()]
    taken = {id(use) for files in groups.values() for use in files}
    return sorted([*(use for use in uses if id(use) not in taken), *found], key=lambda use: use.path)


def _by_folder(uses: Iterable[FileUse], folders: Container[str]) -> dict[str | None, list[FileUse]]:
    inside: dict[str | None, list[FileUse]] = defaultdict(list)
    for use in uses:
        inside[nearest(os.path.dirname(use.path), folders)].append(use)
    return inside


def _free_path(folder: str, uses: Iterable[FileUse]) -> str:
    return f"{folder}/*" if any(use.path == f"{folder}/" for use in uses) else f"{folder}/"


def _size(uses: Sequence[FileUse]) -> int | None:
    sizes = [use.size for use in uses if use.size is not None]
    return sum(sizes) if len(sizes) == len(uses) else None


def _notes(uses: Iterable[FileUse]) -> str:
    """Each note once, with the first file that has it; of a folder's logs none is needed."""
    noted: dict[str | None, list[FileUse]] = defaultdict(list)
    for use in uses:
        if use.note != APPENDED:
            noted[use.note].append(use)
    return "; ".join(note for some in noted.values() if (note := _note(some)) is not None)


def find_roots(files: Mapping[str, int], threshold: int, keep: Collection[str] = ()) -> set[str]:
    """The folders that are one dataset each.

    Args:
        files: by folder, how many lie directly in it.
        threshold: how many below one folder make a dataset.
        keep: folders that are never one, besides the root.
    """
    return _Tree(files).datasets(threshold, {*keep, "", "/"})


def nearest(folder: str, roots: Container[str]) -> str | None:
    """The nearest of `roots` at or above a folder."""
    return next((ancestor for ancestor in ancestors(folder) if ancestor in roots), None)


def _fold_shards(uses: list[FileUse]) -> tuple[list[FileUse], list[Dataset]]:
    """Files named `NAME-00001-of-00005.EXT`, as large models are split, are one dataset of their folder."""
    groups: dict[str, list[FileUse]] = defaultdict(list)
    rest: list[FileUse] = []
    for use in uses:
        path = shards_path(use.path) if use.kind is Kind.FILE and use.digest is not None else None
        (rest if path is None else groups[path]).append(use)
    datasets = []
    for path, shards in groups.items():
        if len(shards) == 1:
            rest += shards
            continue
        use, dataset = _use_of(path, shards)
        datasets.append(dataset)
        rest.append(use)
    return sorted(rest, key=lambda use: use.path), datasets


def _use_of(path: str, files: Sequence[FileUse]) -> tuple[FileUse, Dataset]:
    """One use in place of files of a folder that is not theirs alone: `path` has a `*` in its last part."""
    dataset = _dataset(os.path.dirname(path), files)
    return FileUse(path=path, digest=dataset.digest, kind=Kind.DATASET, files=len(files), note=_note(files),
                   size=sum(member.size for member in dataset.members)), dataset


def _gather(uses: list[FileUse], threshold: int, whole: Collection[str]) -> tuple[list[FileUse], list[Dataset]]:
    """What is left directly in each of these folders is one dataset where it is much.

    So is what lies in folders there that are too small by themselves, where these are many.
    """
    groups = _gathered([use for use in uses if use.kind is Kind.FILE and use.digest is not None], threshold, whole)
    found = [_use_of(path, files) for path, files in groups.items()]
    taken = {id(use) for files in groups.values() for use in files}
    rest = [use for use in uses if id(use) not in taken] + [use for use, _ in found]
    return sorted(rest, key=lambda use: use.path), [dataset for _, dataset in found]


def _gathered(uses: Iterable[FileUse], threshold: int, whole: Collection[str]) -> dict[str, list[FileUse]]:
    direct: dict[str, list[FileUse]] = defaultdict(list)
    below: dict[str, dict[str, list[FileUse]]] = defaultdict(lambda: defaultdict(list))
    for use in uses:
        way = ancestors(os.path.dirname(use.path))
        place = next((number for number, folder in enumerate(way) if folder in whole), None)
        if place == 0:
            direct[way[0]].append(use)
        elif place is not None:
            below[way[place]][way[place - 1]].append(use)
    gathered: dict[str, list[FileUse]] = defaultdict(list)
    for folder, files in direct.items():
        gathered[folder] += files if len(files) >= threshold else ()
    for folder, small in below.items():
        gathered[folder] += chain.from_iterable(small.values()) if len(small) >= threshold else ()
    return {f"{folder}/*" if folder else "*": files for folder, files in gathered.items() if files}


def _members(uses: Sequence[FileUse], folders: set[str], rest: list[FileUse]) -> Mapping[str, list[FileUse]]:
    """Sort uses into their dataset folders; those without one go to `rest`."""
    home_of: dict[str, str | None] = {}
    members: dict[str, list[FileUse]] = defaultdict(list)
    for use in uses:
        parent = os.path.dirname(use.path)
        if parent not in home_of:
            home_of[parent] = nearest(parent, folders)
        folder = home_of[parent]
        if folder is None or use.digest is None:
            rest.append(use)
        else:
            members[folder].append(use)
    return members


def ancestors(folder: str) -> list[str]:
    """A folder and all above it, the nearest first."""
    found = [folder]
    while (parent := os.path.dirname(folder)) != folder:
        found.append(parent)
        folder = parent
    return found


def _note(uses: Sequence[FileUse]) -> str | None:
    """What is to be known about members of a dataset."""
    noted = [use for use in uses if use.note]
    if not noted:
        return None
    others = f" and {len(noted) - 1:,} more" if len(noted) > 1 else ""
    return f"{shown(os.path.basename(noted[0].path))}{others}: {noted[0].note}"


def _dataset(folder: str, uses: Sequence[FileUse]) -> Dataset:
    start = len(folder) + 1 if folder else 0
    members = sorted((DatasetMember(path=use.path[start:], digest=use.digest or "", size=use.size or 0)
                      for use in uses), key=lambda member: raw(member.path))
    return Dataset(digest=_digest_in_order((raw(m.path), m.digest) for m in members), members=tuple(members))


class _Tree:
    """How many files lie directly in, and anywhere below, each folder."""

    def __init__(self, direct: Mapping[str, int]) -> None:
        self.direct = direct
        self.total: dict[str, int] = defaultdict(int)
        self.children: dict[str, set[str]] = defaultdict(set)
        for folder, count in self.direct.items():
            for ancestor in ancestors(folder):
                self.total[ancestor] += count
                parent = os.path.dirname(ancestor)
                if parent != ancestor:
                    self.children[parent].add(ancestor)

    def datasets(self, threshold: int, keep: Collection[str]) -> set[str]:
        """The highest folders that are one dataset each."""
        found: set[str] = set()
        todo = [folder for folder in self.total if os.path.dirname(folder) == folder or folder == ""]
        while todo:
            folder = todo.pop()
            if self.total[folder] < threshold:
                continue
            large = [child for child in self.children[folder] if self.total[child] >= threshold]
            splits = large and not self.direct.get(folder) and len(large) == len(self.children[folder]) <= SPLITS
            if folder in keep or splits:
                todo += large
            else:
                found.add(folder)
        return found
