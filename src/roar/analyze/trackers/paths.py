"""An index over the paths of one job, so that looking for trackers costs the same whether there are one or twenty.

It is built in one pass: by folder, by file name and by the name's extension. Every lookup then touches only what it
returns; the few by another part of the name look at each distinct name once.
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
        first: dict[str, str] = {}  # most names occur once: a list for each would cost more than all the rest
        more: defaultdict[str, list[str]] = defaultdict(list)
        for path in paths:
            folder, _, name = path.rpartition("/")
            files[folder].append(name)
            if first.setdefault(name, folder) is not folder:
                more[name].append(folder)
        self._files, self._first_folder, self._more_folders = files, first, more
        self._subfolders: defaultdict[str, list[str]] = defaultdict(list)
        self._folder_names: defaultdict[str, list[str]] = defaultdict(list)
        self._link_folders((*files, *extra_folders))
        self._extensions: defaultdict[str, list[str]] = defaultdict(list)
        for name in first:
            dot = name.rfind(".")
            if dot >= 0:
                self._extensions[name[dot + 1:]].append(name)

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
        if name not in self._first_folder:
            return []
        return [f"{folder}/{name}" for folder in (self._first_folder[name], *self._more_folders.get(name, ()))]

    def with_extension(self, extension: str) -> list[str]:
        """Paths whose name ends in `.extension`."""
        return [path for name in self._extensions.get(extension, ()) for path in self.named(name)]

    def starting(self, prefix: str) -> list[str]:
        """Paths whose name starts with `prefix`."""
        return [path for name in self._first_folder if name.startswith(prefix) for path in self.named(name)]

    def ending(self, suffix: str) -> list[str]:
        """Paths whose name ends with `suffix`."""
        return [path for name in self._first_folder if name.endswith(suffix) for path in self.named(name)]

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
