"""An index over the paths of one job, so that looking for trackers costs the same whether there are one or twenty.

It is built in one pass: by folder, by file name, by the name's extension and by its first part. Every lookup then
touches only what it returns.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence


class PathIndex:
    """Absolute paths, looked up by folder and by parts of their names.

    Args:
        paths: absolute, normalised; files and symlinks.
        extra_folders: folders that are known to have been there without holding any of the paths.
    """

    def __init__(self, paths: Iterable[str], extra_folders: Iterable[str] = ()) -> None:
        files: defaultdict[str, list[str]] = defaultdict(list)
        names: defaultdict[str, list[str]] = defaultdict(list)
        for path in paths:
            folder, _, name = path.rpartition("/")
            files[folder].append(name)
            names[name].append(folder)
        self._files: dict[str, list[str]] = dict(files)
        self._names: dict[str, list[str]] = dict(names)
        self._subfolders: defaultdict[str, list[str]] = defaultdict(list)
        self._folder_names: defaultdict[str, list[str]] = defaultdict(list)
        self._link_folders((*self._files, *extra_folders))
        self._extensions: defaultdict[str, list[str]] = defaultdict(list)
        self._heads: defaultdict[str, list[str]] = defaultdict(list)
        for name in self._names:
            self._extensions[name.rpartition(".")[2]].append(name)
            self._heads[name.partition(".")[0]].append(name)

    def _link_folders(self, folders: Iterable[str]) -> None:
        known: set[str] = set()
        for start in folders:
            folder = start
            while folder not in known:
                known.add(folder)
                parent, mark, name = folder.rpartition("/")
                if not mark:
                    break
                self._subfolders[parent].append(name)
                self._folder_names[name].append(folder)
                folder = parent

    def named(self, name: str) -> list[str]:
        """Paths whose last part is `name`."""
        return [f"{folder}/{name}" for folder in self._names.get(name, ())]

    def with_extension(self, extension: str) -> list[str]:
        """Paths whose name ends in `.extension`, or is just that."""
        return [path for name in self._extensions.get(extension, ()) for path in self.named(name)]

    def extensions(self) -> Iterable[str]:
        """All extensions there are."""
        return self._extensions

    def with_head(self, head: str) -> list[str]:
        """Paths whose name, up to its first dot, is `head`."""
        return [path for name in self._heads.get(head, ()) for path in self.named(name)]

    def folders_named(self, name: str) -> Sequence[str]:
        """Folders whose last part is `name`."""
        return self._folder_names.get(name, ())

    def files_in(self, folder: str) -> Sequence[str]:
        """Names of the files directly in a folder."""
        return self._files.get(folder, ())

    def folders_in(self, folder: str) -> Sequence[str]:
        """Names of the folders directly in a folder."""
        return self._subfolders.get(folder, ())

    def below(self, folder: str) -> Iterator[str]:
        """All paths below a folder, at any depth."""
        pending = [folder]
        while pending:
            here = pending.pop()
            for name in self._files.get(here, ()):
                yield f"{here}/{name}"
            pending.extend(f"{here}/{name}" for name in self._subfolders.get(here, ()))
