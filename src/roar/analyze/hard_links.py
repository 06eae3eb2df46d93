"""The names of files to which the job itself gave several: what is written by one of them changes under all."""


class HardLinks:
    """Which names are one file's, at one moment of the job. Names that are older than the job are not known."""

    def __init__(self) -> None:
        self._names: dict[str, set[str]] = {}  # by each of them, all names of its file

    def are_one(self, path: str, other: str) -> bool:
        """Whether two names are of one file."""
        return other in self._names.get(path, ())

    def others(self, path: str) -> list[str]:
        """The other names of the file at a path."""
        names = self._names.get(path)
        return sorted(names - {path}) if names is not None else []

    def lose(self, path: str) -> None:
        """The file at a path is there no longer, or another one is."""
        names = self._names.pop(path, None)
        if names is not None:
            names.discard(path)

    def link(self, path: str, new: str) -> None:
        """The file at a path has got another name, too."""
        self.lose(new)
        names = self._names.setdefault(path, {path})
        names.add(new)
        self._names[new] = names

    def move(self, path: str, new: str) -> None:
        """The file at a path has got another name in its place."""
        self.lose(new)
        names = self._names.pop(path, None)
        if names is not None:
            names.discard(path)
            names.add(new)
            self._names[new] = names

    def exchange(self, path: str, other: str) -> None:
        """The files at two paths have got each other's name."""
        names = self._names.pop(path, None)
        self.move(other, path)
        if names is not None:
            names.discard(path)
            names.add(other)
            self._names[other] = names
