"""Datasets that a job read just as an earlier job had: recognised as a whole, without a look at each file.

Every file of such a dataset had the same name and the same signature when it was opened. Whether its files are data is
a question of their paths and of the settings, which are part of what is compared; the experiment trackers have been
asked about this job's files before.
"""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from roar import __version__
from roar.analyze.age import Ages
from roar.analyze.contents import Content, Contents
from roar.analyze.datasets import find_roots, nearest
from roar.analyze.fold import Uses
from roar.analyze.kept import Kept
from roar.analyze.plumbing import RULES
from roar.analyze.sources import SOURCE_SUFFIXES
from roar.analyze.surroundings import Remembered, Surroundings
from roar.model import FileUse
from roar.observe.folders import FolderFiles, fold_files, stamp
from roar.observe.trace import Signature
from roar.wire import Dataset


class UnchangedDatasets:
    """Finds them among the closed folders, and opens all other folders.

    Attributes:
        found: the datasets as uses, by their folder as it is recorded.
    """

    def __init__(self, uses: Uses, kept: Kept, around: Surroundings, known: Remembered) -> None:
        self._around = around
        self._candidates = {around.shown(folder): files for folder, files in uses.closed.items()}
        self.found = self._find(kept, known) if uses.closed and around.threshold else {}
        self._open_others(uses, kept)
        while gone := self._opened(uses):  # a link led into them: they are not as they were
            self.found = {root: use for root, use in self.found.items() if root not in gone}
            self._open_others(uses, kept)

    def _open_others(self, uses: Uses, kept: Kept) -> None:
        for folder in list(uses.closed):
            if nearest(self._around.shown(folder), self.found) is None:
                kept.open(folder)

    def _opened(self, uses: Uses) -> set[str]:
        """The datasets of which a folder was opened after all."""
        return {root for folder, files in self._candidates.items() if files.folder not in uses.closed
                if (root := nearest(folder, self.found)) is not None}

    def _find(self, kept: Kept, known: Remembered) -> dict[str, FileUse]:
        around = self._around
        single = Counter(around.shown(os.path.dirname(use.path)) for use in kept.uses if use.read)
        files = single + Counter({folder: files.count for folder, files in self._candidates.items()})
        roots = find_roots(files, around.threshold, around.whole())
        roots -= {home for folder in single if (home := nearest(folder, roots)) is not None}
        stamps = {stamp(root, _named(inside), self._context(root)): root
                  for root, inside in self._by_root(roots).items()}
        return {stamps[key]: FileUse(path=stamps[key] + "/", digest=dataset.digest, size=dataset.size,
                                     kind=dataset.kind, files=dataset.files)
                for key, dataset in known.datasets(stamps).items()}

    @property
    def ages(self) -> dict[tuple[str, str], str]:
        """As `Ages.of_uses`, of those found."""
        ages = Ages(self._around.root)
        since = {root: ages.of_folders(root + "/", inside.values())
                 for root, inside in self._by_root(self.found).items()}
        return {(use.path, use.digest): moment for root, use in self.found.items()
                if use.digest is not None and (moment := since[root]) is not None}

    def _by_root(self, roots: Iterable[str]) -> dict[str, dict[str, FolderFiles]]:
        """The closed folders of each dataset."""
        found: dict[str, dict[str, FolderFiles]] = defaultdict(dict)
        wanted = frozenset(roots)
        for folder, files in self._candidates.items():
            root = nearest(folder, wanted)
            if root is not None:
                found[root][folder] = files
        return found

    def _context(self, root: str) -> bytes:
        """All that decides, besides names and signatures, whether the files below a folder are data."""
        around = self._around
        return json.dumps([__version__, RULES, SOURCE_SUFFIXES, around.root, around.home, around.repository,
                           list(around.filter_add), list(around.filter_remove), dict(around.caches), root]).encode()

    def stamps(self, inputs: Mapping[str, Dataset], outputs: Mapping[str, Dataset], contents: Contents
               ) -> Iterator[tuple[bytes, str]]:
        """What to remember of this job's datasets: stamps with digests.

        Args:
            inputs: by folder, the datasets that were put together file by file.
            outputs: likewise.
            contents: what the files were.
        """
        yield from self._stamps(inputs, contents, read=True)
        yield from self._stamps(outputs, contents, read=False)

    def _stamps(self, datasets: Mapping[str, Dataset], contents: Contents, *, read: bool
                ) -> Iterator[tuple[bytes, str]]:
        by_path = contents.by_path(read=read) if datasets else {}
        closed = self._by_root(datasets) if read else {}
        for root, dataset in datasets.items():
            files = _members(root, dataset, by_path, contents)
            if files is None:
                continue
            yield stamp("", files), dataset.digest
            before = _relative(root, closed.get(root, {}))
            if _same(files, before):
                yield stamp("", before, self._context(root)), dataset.digest


def _named(folders: Mapping[str, FolderFiles]) -> list[FolderFiles]:
    return [FolderFiles(folder=folder, names=files.names, times=files.times, signatures=files.signatures)
            for folder, files in folders.items()]


def _relative(root: str, folders: Mapping[str, FolderFiles]) -> list[FolderFiles]:
    return _named({folder[len(root) + 1:]: files for folder, files in folders.items()})


def _same(one: Iterable[FolderFiles], other: Iterable[FolderFiles]) -> bool:
    return ({files.folder: (files.names, files.signatures) for files in one}
            == {files.folder: (files.names, files.signatures) for files in other})


def _members(root: str, dataset: Dataset, by_path: Mapping[str, Content], contents: Contents
             ) -> list[FolderFiles] | None:
    """The members with their signatures; None unless each signature stands for the member's digest."""
    proven = _iter_proven(root, dataset, by_path, contents)
    files = fold_files(proven)
    return files if sum(folder.count for folder in files) == len(dataset.members) else None


def _iter_proven(root: str, dataset: Dataset, by_path: Mapping[str, Content], contents: Contents
                 ) -> Iterator[tuple[str, Signature]]:
    """Members whose signatures stand for their digests, up to the first that is none."""
    for member in dataset.members:
        content = by_path.get(f"{root}/{member.path}")
        if (content is None or content.signature is None or content.digest != member.digest
                or not contents.proves(content)):
            return
        yield member.path, content.signature
