"""Which jobs read part of a dataset: some of its files by themselves, or a dataset that shares files with it."""

import sqlite3
from typing import NamedTuple

from roar.model import members_folder
from roar.record.dependencies import content_below


class PartUse(NamedTuple):
    """A job that read part of a dataset: the artifact that it read, and where."""

    job_id: int
    artifact_id: int
    path: str


def uses_of_parts(database: sqlite3.Connection, dataset_id: int) -> list[PartUse]:
    """What was read of the dataset without being all of it, the latest job first.

    It is what a job took from the dataset as another job wrote it; and where no recorded job wrote what was read, it
    lies where the dataset was recorded.
    """
    rows = database.execute(_TAKEN, {"dataset": dataset_id}).fetchall()
    found = {PartUse(*row) for row in rows}
    below = _Below(database, dataset_id)
    for row in database.execute(_NOT_MADE, {"dataset": dataset_id}).fetchall():
        use = PartUse(*row)
        if below.holds(use):
            found.add(use)
    return sorted(found, reverse=True)


class _Below:
    """The files that a dataset has in the folders where it was recorded."""

    def __init__(self, database: sqlite3.Connection, dataset_id: int) -> None:
        self._database = database
        self._dataset_id = dataset_id
        self._folders: list[str] | None = None
        self._members: set[tuple[str, int]] = set()
        self._known: dict[tuple[int, str], bool] = {}

    def holds(self, use: PartUse) -> bool:
        """Whether one of these files lies below the path of the use, with that content."""
        key = use.artifact_id, use.path
        if key not in self._known:
            self._known[key] = self._looked_up(use)
        return self._known[key]

    def _looked_up(self, use: PartUse) -> bool:
        if self._folders is None:
            paths = self._database.execute(_PATHS, {"dataset": self._dataset_id}).fetchall()
            self._folders = sorted({members_folder(path) for (path,) in paths})
            self._members = content_below(self._database, self._dataset_id, "", "")
        return any(not self._members.isdisjoint(content_below(self._database, use.artifact_id, use.path, folder))
                   for folder in self._folders)


# What jobs took from jobs that wrote the dataset, and that is not the dataset itself.
_TAKEN = """
SELECT DISTINCT consumer_id, dependency.artifact_id, path.path FROM file_written AS made
JOIN dependency ON producer_id = made.job_id AND produced_id = made.artifact_id
JOIN file_read AS used ON used.job_id = consumer_id AND used.artifact_id = dependency.artifact_id
JOIN path ON path.id = used.path_id
WHERE made.artifact_id = :dataset AND dependency.artifact_id <> :dataset
"""

# What jobs read that shares content with the dataset and that no recorded job made.
_NOT_MADE = """
WITH other AS MATERIALIZED (
    SELECT other_id AS id FROM shared_content WHERE dataset_id = :dataset
    UNION SELECT dataset_id FROM shared_content WHERE other_id = :dataset)
SELECT used.job_id, used.artifact_id, path.path FROM other JOIN file_read AS used ON used.artifact_id = other.id
JOIN path ON path.id = used.path_id
WHERE NOT EXISTS (SELECT 1 FROM dependency WHERE consumer_id = used.job_id AND artifact_id = other.id)
"""

_PATHS = """
SELECT path.path FROM file_read AS used JOIN path ON path.id = used.path_id WHERE used.artifact_id = :dataset
UNION SELECT path.path FROM file_written AS made JOIN path ON path.id = made.path_id WHERE made.artifact_id = :dataset
"""
