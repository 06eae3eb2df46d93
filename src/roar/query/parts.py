"""The parts of datasets: which jobs made them, and which read some of the files alone or within other datasets."""

import sqlite3
from collections.abc import Collection, Iterable
from typing import NamedTuple

from roar.model import is_around, members_folder
from roar.record.dependencies import Maker, content_below


class PartUse(NamedTuple):
    """A job that read part of a dataset: the artifact that it read, and where."""

    job_id: int
    artifact_id: int
    path: str


Files = set[tuple[str, int]]
"""Files in a folder, each as its path there and the row of its artifact."""


_KEPT = 1_000_000  # files: a few hundred bytes each


class Writings:
    """What jobs wrote in a folder; each writing is looked up once, or again where there are very many files."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._kept = 0
        self._below: dict[tuple[Maker, str], Files] = {}
        self._content: dict[int, set[int]] = {}

    def paths(self, maker: Maker) -> list[str]:
        """Where a job wrote an artifact."""
        rows = self._database.execute("SELECT path.path FROM file_written JOIN path ON path.id = path_id"
                                      " WHERE job_id = ? AND artifact_id = ?", maker)
        return [path for (path,) in rows]

    def is_at(self, maker: Maker, path: str) -> bool:
        """Whether a job wrote an artifact at a path, around it, or in it: it may have moved there what is older."""
        return any(is_around(path, place) for place in self.paths(maker))

    def below(self, maker: Maker, folder: str) -> Files:
        """The files in a folder that a job wrote there by writing an artifact."""
        key = maker, folder
        if key not in self._below:
            self._make_room()
            self._below[key] = {file for path in self.paths(maker)
                                for file in content_below(self._database, maker.artifact_id, path, folder)}
            self._kept += len(self._below[key])
        return self._below[key]

    def anywhere(self, maker: Maker, files: Files) -> Files:
        """Those of the files whose content a job wrote by writing an artifact."""
        if maker.artifact_id not in self._content:
            self._make_room()
            members = content_below(self._database, maker.artifact_id, "", "")
            self._content[maker.artifact_id] = {maker.artifact_id, *(member for _, member in members)}
            self._kept += len(members)
        content = self._content[maker.artifact_id]
        return {file for file in files if file[1] in content}

    def _make_room(self) -> None:
        if self._kept > _KEPT:
            self._below.clear()
            self._content.clear()
            self._kept = 0

    def makers(self, files: Files, folder: str, makers: Iterable[Maker]) -> dict[tuple[str, int], int]:
        """Who of some jobs made each of the files in a folder: who wrote it there, or else the first that wrote it."""
        made: dict[tuple[str, int], int] = {}
        for maker in makers:
            for file in files & self.below(maker, folder):
                made.setdefault(file, maker.job_id)
        for maker in makers:
            for file in self.anywhere(maker, files):
                made.setdefault(file, maker.job_id)
        return made


def uses_of_parts(database: sqlite3.Connection, dataset_id: int) -> list[PartUse]:
    """What was read of the dataset without being all of it, the latest job first.

    It is what a job took from the dataset as another job wrote it; and what lies where the dataset was recorded, with
    the same content from the same job, or where no recorded job wrote what was read.
    """
    rows = database.execute(_TAKEN, {"dataset": dataset_id}).fetchall()
    found = {PartUse(*row) for row in rows}
    below = _Below(database, dataset_id)
    for row in database.execute(_SHARING, {"dataset": dataset_id}).fetchall():
        use = PartUse(*row)
        if use not in found and below.holds(use):
            found.add(use)
    return sorted(found, reverse=True)


_Makers = tuple[Maker, ...]


class _Below:
    """The files that a dataset has in the folders where it was recorded."""

    def __init__(self, database: sqlite3.Connection, dataset_id: int) -> None:
        self._database = database
        self._dataset_id = dataset_id
        self._writings = Writings(database)
        self._origins: dict[str, set[_Makers]] | None = None
        self._members: Files = set()
        self._known: dict[tuple[int, str, _Makers], bool] = {}

    def holds(self, use: PartUse) -> bool:
        """Whether one of these files lies below the path of the use, with that content, made by the same job."""
        makers = self._makers(use.job_id, use.artifact_id)
        key = use.artifact_id, use.path, makers
        if key not in self._known:
            self._known[key] = self._looked_up(*key)
        return self._known[key]

    def _makers(self, job_id: int, artifact_id: int) -> _Makers:
        """The jobs that what a job read came from, the latest first."""
        rows = self._database.execute("SELECT producer_id, produced_id FROM dependency WHERE consumer_id = ?"
                                      " AND artifact_id = ? ORDER BY 1 DESC", (job_id, artifact_id))
        return tuple(Maker(*row) for row in rows.fetchall())

    def _looked_up(self, artifact_id: int, path: str, makers: _Makers) -> bool:
        if self._origins is None:
            self._members = content_below(self._database, self._dataset_id, "", "")
            self._origins = self._load_origins()
        for folder, origins in sorted(self._origins.items()):
            shared = self._members & content_below(self._database, artifact_id, path, folder)
            if shared and (not makers or self._are_from_one(shared, folder, makers, origins)):
                return True
        return False

    def _load_origins(self) -> dict[str, set[_Makers]]:
        """By folder where the dataset was recorded, the jobs that it came from there, once for each time."""
        origins: dict[str, set[_Makers]] = {}
        for job_id, path in self._database.execute(WRITTEN_AT, (self._dataset_id,)).fetchall():
            origins.setdefault(members_folder(path), set()).add((Maker(job_id, self._dataset_id),))
        for job_id, path in self._database.execute(READ_AT, (self._dataset_id,)).fetchall():
            origins.setdefault(members_folder(path), set()).add(self._makers(job_id, self._dataset_id))
        return origins

    def _are_from_one(self, shared: Files, folder: str, makers: _Makers, origins: Collection[_Makers]) -> bool:
        """Whether one of the files in a folder has the same maker, if any, by `makers` and by one of the origins."""
        if makers in origins:
            return True
        made = self._writings.makers(shared, folder, makers)
        for origin in origins:
            before = self._writings.makers(shared, folder, origin)
            if any(made.get(file) == before.get(file) for file in shared):
                return True
        return False


# What jobs took from jobs that wrote the dataset, and that is not the dataset itself.
_TAKEN = """
SELECT DISTINCT consumer_id, dependency.artifact_id, path.path FROM file_written AS made
JOIN dependency ON producer_id = made.job_id AND produced_id = made.artifact_id
JOIN file_read AS used ON used.job_id = consumer_id AND used.artifact_id = dependency.artifact_id
JOIN path ON path.id = used.path_id
WHERE made.artifact_id = :dataset AND dependency.artifact_id <> :dataset
"""

# What jobs read that shares content with the dataset.
_SHARING = """
WITH other AS MATERIALIZED (
    SELECT other_id AS id FROM shared_content WHERE dataset_id = :dataset
    UNION SELECT dataset_id FROM shared_content WHERE other_id = :dataset)
SELECT used.job_id, used.artifact_id, path.path FROM other JOIN file_read AS used ON used.artifact_id = other.id
JOIN path ON path.id = used.path_id
"""

# Which jobs wrote an artifact, and where; and which read it.
WRITTEN_AT = "SELECT job_id, path.path FROM file_written JOIN path ON path.id = path_id WHERE artifact_id = ?"
READ_AT = "SELECT job_id, path.path FROM file_read JOIN path ON path.id = path_id WHERE artifact_id = ?"
