"""Finding which job's output an input was: the table `dependency`.

A use counts as made by the last job that started before the reader ended and wrote the same content: at the same path
(as a file or as a member of a dataset) if there is one, else anywhere; but from elsewhere not after the first recorded
reader found this content at this path already, by itself or within a dataset, nor where the reader, or that first one,
found there what had lain there unchanged since before the writer started, and not if the writer read it there itself.
Nor does it count if it read the content in that folder, or an earlier job had found it there before it started, and it
wrote it only to others: then a file was renamed of which it made, or got, a copy.
At the same path it does not count where a job around the reader has put that content there since (see `LAID`), nor
does that one where a job in it had put it there before the reader ran. Empty files are alike without having to do with
each other, so for them only the same path counts. A dataset that no job wrote as a whole depends on the jobs that
wrote its members.
"""

import itertools
import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from roar.model import folder_of_use, members_folder
from roar.record.database import encoded

_NOTHING = 0
"""The row of no job and no path."""

_END_OF_TIME = "9999"


def link_shared_content(database: sqlite3.Connection, *, new_datasets: Iterable[int],
                        known_files: Collection[int]) -> None:
    """Fill `shared_content` for datasets stored just now and for files that were in the record before this job."""
    for dataset_id in new_datasets:
        others = database.execute(
            "WITH own AS MATERIALIZED (SELECT DISTINCT artifact_id FROM dataset_member"
            " JOIN artifact ON artifact.id = artifact_id WHERE dataset_id = :dataset AND artifact.size > 0)"
            " SELECT other.dataset_id FROM own CROSS JOIN dataset_member AS other USING (artifact_id)"
            " WHERE other.dataset_id <> :dataset"
            " UNION SELECT artifact_id FROM own"
            " WHERE EXISTS (SELECT 1 FROM file_read WHERE file_read.artifact_id = own.artifact_id)"
            " OR EXISTS (SELECT 1 FROM file_written WHERE file_written.artifact_id = own.artifact_id)",
            {"dataset": dataset_id})
        _insert_pairs(database, [(dataset_id, other) for (other,) in others.fetchall()])
    for file_id in known_files:
        datasets = database.execute(
            "SELECT DISTINCT dataset_id FROM dataset_member JOIN artifact ON artifact.id = artifact_id"
            " WHERE artifact_id = ? AND artifact.size > 0", (file_id,))
        _insert_pairs(database, [(dataset, file_id) for (dataset,) in datasets.fetchall()])


def find_dependencies(database: sqlite3.Connection, job_id: int) -> None:
    """Fill `dependency` for a job just recorded: for its inputs, and for earlier records that its outputs explain."""
    started_at, ended_at = database.execute("SELECT started_at, ended_at FROM job WHERE id = ?", (job_id,)).fetchone()
    _depend(database, job_id, ended_at)
    later = database.execute("SELECT id, ended_at FROM job WHERE ended_at >= ? AND id <> ?", (started_at, job_id))
    for consumer_id, consumer_ended_at in later.fetchall():
        if _may_explain(database, job_id, consumer_id) or any(
                around == job_id for around, *_ in _laid(database, consumer_id)):
            _depend(database, consumer_id, consumer_ended_at)


MARGIN = 0.1 / 86400  # days; `unchanged_since` is that much later than the change, or far more (roar.analyze.age)
LAID = """
SELECT around.id AS outer, reader.id AS reader, path.id AS path, used.artifact_id AS artifact,
    around.started_at AS started_at
FROM json_each(:readers) AS one CROSS JOIN job AS reader ON reader.id = one.value CROSS JOIN inner_job USING (uid)
CROSS JOIN job AS around ON around.uid = outer
    AND EXISTS (SELECT 1 FROM given_file WHERE given_file.job_id = around.id)
CROSS JOIN file_read AS used ON used.job_id = reader.id AND used.artifact_id IS NOT NULL
CROSS JOIN path ON path.id = used.path_id
CROSS JOIN given_file ON given_file.job_id = around.id AND given_file.path = path.path
WHERE julianday(used.unchanged_since) BETWEEN julianday(around.started_at) + :margin
    AND julianday(reader.ended_at) + 2 * :margin
"""
"""What some jobs read that came to lie there while one ran that ran them, and that wrote there itself."""


def _laid(database: sqlite3.Connection, reader: int) -> list[tuple[int, int, int, str]]:
    """Of `LAID` for one reader: who ran it, path and artifact, and when that one started."""
    rows = database.execute(f"SELECT outer, path, artifact, started_at FROM ({LAID})",  # noqa: S608  a text of our own
                            {"readers": f"[{reader}]", "margin": MARGIN})
    return rows.fetchall()


class _Reader(NamedTuple):
    """The job whose inputs are to be explained; `around` tells where others read these within datasets."""

    job_id: int
    ended_at: str
    around: "_Around"


class _Use(NamedTuple):
    """An artifact at the path where the reader found it; it lay there unchanged since `since`, where that is known."""

    path_id: int
    path: str
    artifact_id: int
    since: str | None = None


class _Around:
    """The datasets that hold a file where it was read, and who read them there.

    Of members only those of one content are kept, for there may be very many: ask for each content's files together.
    """

    def __init__(self, database: sqlite3.Connection, reader_id: int) -> None:
        self._database = database
        self._reader_id = reader_id
        self._artifact_id = _NOTHING
        self._datasets: dict[str, list[int]] = {}
        self._found: dict[int, dict[str, str]] = {}

    def of(self, use: _Use) -> Iterator[tuple[int, str]]:
        """Each dataset that has the file in it, with the folder from which it is named there."""
        if use.artifact_id != self._artifact_id:
            self._artifact_id, self._datasets = use.artifact_id, {}
            for dataset_id, member in self._database.execute(_HOLDERS, (use.artifact_id,)).fetchall():
                self._datasets.setdefault(member, []).append(dataset_id)
        for member in _endings(use.path) if self._datasets else ():
            for dataset_id in self._datasets.get(member, ()):
                yield dataset_id, use.path.removesuffix(member)

    def found_at(self, use: _Use) -> str | None:
        """By when the first job that read the file within a dataset had found it."""
        reads = (self._reads(dataset_id).get(folder) for dataset_id, folder in self.of(use))
        return min((found_at for found_at in reads if found_at is not None), default=None)

    def _reads(self, dataset_id: int) -> dict[str, str]:
        """By when the first job that read a dataset had found it, by folder."""
        if dataset_id not in self._found:
            known = self._found[dataset_id] = {}
            for path, found_at in self._database.execute(_FIRST_READS, (dataset_id,)).fetchall():
                known.setdefault(members_folder(path), found_at)
        return self._found[dataset_id]

    def only_copied(self, job_id: int, use: _Use) -> bool:
        """Whether this job read the content there, or it was in the folder by then, in which it did not write it."""
        read = list(_places(self._database, "file_read", job_id, use.artifact_id))
        if any(path == use.path for path, _ in read):
            return True
        started_at, = self._database.execute("SELECT started_at FROM job WHERE id = ?", (job_id,)).fetchone()
        near = {folder for _, folder in read if _lies_in(use.path, folder)}
        near |= {folder for folder, found_at in self._found_in(use.artifact_id)
                 if found_at < started_at and _lies_in(use.path, folder)}
        if not near:
            return False
        written = _places(self._database, "file_written", job_id, use.artifact_id)
        return not any(_lies_in(path, folder) for path, _ in written for folder in near)

    def _found_in(self, artifact_id: int) -> Iterator[tuple[str, str]]:
        """Where jobs before the reader found a content: the folder, or that of the dataset, and by when."""
        for path, name, found_at in self._database.execute(_FOUND_IN, {
                "artifact": artifact_id, "before": self._reader_id}):
            yield folder_of_use(path, path if name is None else members_folder(path) + name), found_at


def _places(database: sqlite3.Connection, view: str, job_id: int, artifact_id: int) -> Iterator[tuple[str, str]]:
    """Where a job read or wrote a file, by itself and in datasets: its path, and its folder or the dataset's."""
    for path, name in database.execute(_PLACES.format(view=view), {"job": job_id, "artifact": artifact_id}).fetchall():
        file = path if name is None else members_folder(path) + name
        yield file, folder_of_use(path, file)


def _lies_in(path: str, folder: str) -> bool:
    """Whether a path lies in a folder, or below it unless that is the workspace, where all kinds of things lie."""
    return path.startswith(folder) if folder else "/" not in path


class Maker(NamedTuple):
    """A job, and the artifact that it wrote: the one that was read, or one that shares content with it."""

    job_id: int
    artifact_id: int


def makers_at(database: sqlite3.Connection, artifact_id: int, path: str) -> list[Maker]:
    """The jobs that made what lies at a recorded path, by the rule for what a job reads there after all others."""
    row = database.execute("SELECT id FROM path WHERE path = CAST(? AS TEXT)", (encoded(path),)).fetchone()
    use = _Use(_NOTHING if row is None else row[0], path, artifact_id)
    reader = _Reader(_NOTHING, _END_OF_TIME, _Around(database, _NOTHING))
    size, files = database.execute("SELECT size, files FROM artifact WHERE id = ?", (artifact_id,)).fetchone()
    here = [Maker(job_id, artifact_id) for job_id, written_at in _writers(database, reader, artifact_id)
            if written_at == path][:1]
    if files is None:
        here += [maker for _, maker in _makers_of_members(database, reader, [use])]
    if here:
        return [max(here)]
    elsewhere = _last_elsewhere(database, reader, use, [artifact_id]) if size else []
    if files is not None:
        return list(_explain_dataset(database, reader, use, next(iter(elsewhere), None)))
    return elsewhere or (_explain_file(database, reader, use) if size else [])


def _depend(database: sqlite3.Connection, job_id: int, ended_at: str) -> None:
    database.execute("DELETE FROM dependency WHERE consumer_id = ?", (job_id,))
    reader = _Reader(job_id, ended_at, _Around(database, job_id))
    found, elsewhere = _written_as_read(database, reader)
    for use in _uses(database, _DATASETS_READ, job_id):
        key = use.path_id, use.artifact_id
        if key not in found:
            for maker in _explain_dataset(database, reader, use, elsewhere.pop(key, None)):
                _insert_dependencies(database, job_id, [(use.artifact_id, maker)])
    found |= elsewhere
    _insert_dependencies(database, job_id, ((artifact_id, maker) for (_, artifact_id), maker in found.items()))
    for use in _uses(database, _FILES_SHARED, job_id):
        if (use.path_id, use.artifact_id) not in found:
            _insert_dependencies(database, job_id, ((use.artifact_id, maker) for maker in
                                                    _explain_file(database, reader, use)))


def _ended_at(database: sqlite3.Connection, job_id: int) -> str:
    return str(database.execute("SELECT ended_at FROM job WHERE id = ?", (job_id,)).fetchone()[0])


def _uses(database: sqlite3.Connection, query: str, job_id: int) -> list[_Use]:
    return [_Use(*row) for row in database.execute(query, {"job": job_id}).fetchall()]


_Found = dict[tuple[int, int], Maker]  # by rows of a path and an artifact


def _written_as_read(database: sqlite3.Connection, reader: _Reader) -> tuple[_Found, _Found]:
    """Who wrote what was read at its path, as it is or within a dataset; and who wrote what is left elsewhere."""
    here: _Found = {}
    elsewhere: _Found = {}
    rows = database.execute(_WHOLE, {"job": reader.job_id, "ended_at": reader.ended_at})
    for path_id, artifact_id, writer_here, writer_elsewhere in rows.fetchall():
        if writer_here is not None:
            here[path_id, artifact_id] = Maker(writer_here, artifact_id)
        elif writer_elsewhere is not None:
            elsewhere[path_id, artifact_id] = Maker(writer_elsewhere, artifact_id)
    members = _uses(database, _MEMBERS_READ, reader.job_id)
    for key, maker in _makers_of_members(database, reader, members):
        here[key] = max(maker, here.get(key, maker))
    _look_around(database, reader, here)
    elsewhere = {key: maker for key, maker in elsewhere.items() if key not in here}
    for use in _uses(database, _FILES_READ, reader.job_id) if elsewhere else ():
        key = use.path_id, use.artifact_id
        if key in elsewhere and (reader.around.found_at(use) is not None
                                 or reader.around.only_copied(elsewhere[key].job_id, use)):
            del elsewhere[key]
            elsewhere.update((key, maker) for maker in _last_elsewhere(database, reader, use, [use.artifact_id]))
    return here, elsewhere


def _look_around(database: sqlite3.Connection, reader: _Reader, here: _Found) -> None:
    """Correct who wrote what by what jobs around the reader, and others in these, had put there before it ran."""
    for _, path_id, artifact_id, started_at in _laid(database, reader.job_id):
        made = here.get((path_id, artifact_id))
        if made is not None and _ended_at(database, made.job_id) < started_at:
            del here[path_id, artifact_id]
    for path_id, artifact_id in [key for key, made in here.items() if made.job_id > reader.job_id]:
        before = database.execute(_MADE_WITHIN, {"job": reader.job_id, "path": path_id, "artifact": artifact_id,
                                                 "margin": MARGIN}).fetchone()[0]
        if before is not None:
            here[path_id, artifact_id] = Maker(before, artifact_id)


# Inputs that a job wrote as they are: by path and artifact the last writer at that path, or else anywhere.
_WHOLE = """
WITH used AS MATERIALIZED (
    SELECT file_read.path_id, file_read.artifact_id, artifact.size > 0 AS solid,
        coalesce(unchanged_since, :ended_at) AS found_at,
        (SELECT made.job_id FROM file_written AS made CROSS JOIN job ON job.id = made.job_id
         WHERE made.path_id = file_read.path_id AND made.artifact_id = file_read.artifact_id
         AND made.job_id <> :job AND job.started_at <= :ended_at ORDER BY made.job_id DESC LIMIT 1) AS here
    FROM file_read JOIN artifact ON artifact.id = file_read.artifact_id WHERE file_read.job_id = :job
)
SELECT * FROM (
    SELECT path_id, artifact_id, here, CASE WHEN here IS NULL AND solid THEN
        (SELECT made.job_id FROM file_written AS made CROSS JOIN job ON job.id = made.job_id
         WHERE made.artifact_id = used.artifact_id AND made.job_id <> :job
         AND job.started_at <= :ended_at AND job.started_at <= found_at
         AND job.started_at <= (SELECT min(first.ended_at, coalesce(seen.unchanged_since, first.ended_at))
                                FROM file_read AS seen CROSS JOIN job AS first ON first.id = seen.job_id
                                WHERE seen.path_id = used.path_id AND seen.artifact_id = used.artifact_id
                                ORDER BY seen.job_id LIMIT 1)
         AND NOT EXISTS (SELECT 1 FROM file_read AS own WHERE own.job_id = made.job_id
                         AND own.path_id = used.path_id AND own.artifact_id = used.artifact_id)
         ORDER BY made.job_id DESC LIMIT 1) END AS elsewhere
    FROM used
) WHERE here IS NOT NULL OR elsewhere IS NOT NULL
"""

# The last job within one around both that made what a job read, which lay there so when that had ended: the one around
# may have left the same in the end.
_MADE_WITHIN = """
SELECT max(made.job_id) FROM job AS reader
JOIN file_read AS used ON used.job_id = reader.id AND used.path_id = :path AND used.artifact_id = :artifact
JOIN file_written AS made ON made.path_id = :path AND made.artifact_id = :artifact AND made.job_id <> reader.id
JOIN job AS maker ON maker.id = made.job_id AND maker.started_at <= reader.ended_at
JOIN inner_job AS other ON other.uid = maker.uid
JOIN inner_job AS its ON its.uid = reader.uid AND its.outer = other.outer
WHERE reader.id = :job AND julianday(used.unchanged_since) <= julianday(maker.ended_at) + 2 * :margin
"""

# Files that are members of datasets, those of one content together.
_MEMBERS_READ = """
SELECT used.path_id, path.path, used.artifact_id, used.unchanged_since
FROM file_read AS used JOIN path ON path.id = used.path_id
WHERE used.job_id = :job AND EXISTS (SELECT 1 FROM dataset_member WHERE artifact_id = used.artifact_id)
ORDER BY used.artifact_id
"""

_DATASETS_READ = """
SELECT used.path_id, path.path, used.artifact_id, used.unchanged_since
FROM file_read AS used JOIN path ON path.id = used.path_id
JOIN artifact ON artifact.id = used.artifact_id WHERE used.job_id = :job AND artifact.files IS NOT NULL
"""

_FILES_READ = """
SELECT used.path_id, path.path, used.artifact_id, used.unchanged_since
FROM file_read AS used JOIN path ON path.id = used.path_id
JOIN artifact ON artifact.id = used.artifact_id WHERE used.job_id = :job AND artifact.files IS NULL
ORDER BY used.artifact_id
"""

# Files that are members of datasets in the record, those of one content together.
_FILES_SHARED = """
SELECT used.path_id, path.path, used.artifact_id, used.unchanged_since
FROM file_read AS used JOIN path ON path.id = used.path_id
JOIN artifact ON artifact.id = used.artifact_id
WHERE used.job_id = :job AND artifact.files IS NULL
AND EXISTS (SELECT 1 FROM shared_content WHERE other_id = used.artifact_id) ORDER BY used.artifact_id
"""

# Who wrote an artifact, and where; the last job first.
_WRITERS = """
SELECT made.job_id, path.path FROM file_written AS made JOIN job ON job.id = made.job_id
JOIN path ON path.id = made.path_id
WHERE made.artifact_id = :artifact AND made.job_id <> :job AND job.started_at <= :ended_at
ORDER BY made.job_id DESC
"""

# The jobs that wrote an artifact and could have brought what was read to where it was read; the last one first.
_ELSEWHERE = """
SELECT DISTINCT made.job_id FROM file_written AS made JOIN job ON job.id = made.job_id
WHERE made.artifact_id = :artifact AND made.job_id <> :job AND job.started_at <= :ended_at
AND job.started_at <= coalesce((
    SELECT min(first.ended_at, coalesce(seen.unchanged_since, first.ended_at))
    FROM file_read AS seen CROSS JOIN job AS first ON first.id = seen.job_id
    WHERE seen.path_id = :read_path AND seen.artifact_id = :read_artifact ORDER BY seen.job_id LIMIT 1), :ended_at)
AND NOT EXISTS (SELECT 1 FROM file_read AS own WHERE own.job_id = made.job_id
                AND own.path_id = :read_path AND own.artifact_id = :read_artifact)
ORDER BY made.job_id DESC
"""

# Where an artifact was read, and by when the first job that read it there had found it.
_FIRST_READS = """
SELECT path.path, min(first.ended_at, coalesce(unchanged_since, first.ended_at)) FROM (
    SELECT path_id, min(job_id) AS job_id, unchanged_since FROM file_read WHERE artifact_id = ? GROUP BY path_id
) AS seen JOIN job AS first ON first.id = seen.job_id JOIN path ON path.id = seen.path_id ORDER BY first.id
"""

# Where a job has a file among what it read, or wrote; with its name in the dataset where it has it in one.
_PLACES = """
SELECT path.path, NULL FROM {view} AS used JOIN path ON path.id = used.path_id
WHERE used.artifact_id = :artifact AND used.job_id = :job
UNION ALL SELECT path.path, member.path FROM dataset_member AS member
CROSS JOIN {view} AS used ON used.artifact_id = member.dataset_id AND used.job_id = :job
JOIN path ON path.id = used.path_id WHERE member.artifact_id = :artifact
"""

# Where jobs before another one, or any, found a file, as `_PLACES`, and by when.
_FOUND_IN = """
WITH found (artifact_id, name) AS (VALUES (:artifact, NULL)
    UNION ALL SELECT dataset_id, path FROM dataset_member WHERE artifact_id = :artifact)
SELECT path.path, found.name, min(min(job.ended_at, coalesce(unchanged_since, job.ended_at)))
FROM found CROSS JOIN file_read AS used USING (artifact_id) JOIN job ON job.id = used.job_id
JOIN path ON path.id = used.path_id
WHERE :before = 0 OR job.id < :before GROUP BY used.artifact_id, used.path_id, found.name
"""

# By when each of some artifacts was found at a path by a job before another one, or by any.
_FOUND_BY = """
SELECT used.artifact_id, path.path, min(min(job.ended_at, coalesce(unchanged_since, job.ended_at))) AS found_at
FROM json_each(:artifacts) AS one CROSS JOIN file_read AS used ON used.artifact_id = one.value
JOIN job ON job.id = used.job_id JOIN path ON path.id = used.path_id
WHERE :before = 0 OR job.id < :before GROUP BY used.artifact_id, used.path_id ORDER BY found_at
"""

_HOLDERS = "SELECT dataset_id, path FROM dataset_member WHERE artifact_id = ?"

_MAY_EXPLAIN = """
SELECT EXISTS (SELECT 1 FROM file_written AS made JOIN file_read AS used USING (artifact_id)
               WHERE made.job_id = :producer AND used.job_id = :consumer)
    OR EXISTS (SELECT 1 FROM file_written AS made JOIN shared_content ON made.artifact_id IN (dataset_id, other_id)
               WHERE made.job_id = :producer)
    OR EXISTS (SELECT 1 FROM file_read AS used JOIN dataset_member USING (artifact_id) WHERE used.job_id = :consumer
               AND dataset_id IN (SELECT artifact_id FROM file_written WHERE job_id = :producer))
"""


def _makers_of_members(database: sqlite3.Connection, reader: _Reader, uses: Iterable[_Use]
                       ) -> Iterator[tuple[tuple[int, int], Maker]]:
    """For files that were written at their very path as members of a dataset: path and artifact, and the last writer.

    Many files may share their content, an empty one above all: each content is looked up once.
    """
    read: dict[int, dict[str, list[_Use]]] = {}
    for use in uses:
        for ending in _endings(use.path):
            read.setdefault(use.artifact_id, {}).setdefault(ending, []).append(use)
    writers: dict[int, dict[str, int]] = {}
    for artifact_id, by_ending in read.items():
        for dataset_id, member in database.execute(_HOLDERS, (artifact_id,)).fetchall():
            for use in by_ending.get(member, ()):
                if dataset_id not in writers:
                    writers[dataset_id] = {members_folder(path): job_id for job_id, path in
                                           reversed(_writers(database, reader, dataset_id))}
                producer_id = writers[dataset_id].get(use.path.removesuffix(member))
                if producer_id is not None:
                    yield (use.path_id, use.artifact_id), Maker(producer_id, dataset_id)


def _endings(path: str) -> Iterator[str]:
    """What a folder's dataset may call this path: `a/b/c` is `a/b/c`, `b/c` and `c`."""
    yield path
    while "/" in path:
        path = path.partition("/")[2]
        yield path


def _explain_file(database: sqlite3.Connection, reader: _Reader, use: _Use) -> list[Maker]:
    """A file that was written as a member of datasets elsewhere depends on the last job that wrote such a dataset."""
    datasets = [row[0] for row in database.execute(
        "SELECT DISTINCT dataset_id FROM dataset_member WHERE artifact_id = ?"
        " AND EXISTS (SELECT 1 FROM file_written WHERE file_written.artifact_id = dataset_id)", (use.artifact_id,))]
    return _last_elsewhere(database, reader, use, datasets)[:1] if datasets else []


def _explain_dataset(database: sqlite3.Connection, reader: _Reader, use: _Use, whole: Maker | None
                     ) -> Iterator[Maker]:
    """A dataset depends on the last writer of each of its members, whether file by file or within other datasets.

    Those that wrote a member at its path come first; only what they leave may come from elsewhere: from `whole`, the
    last job that wrote the same dataset there, or else again from the writers of its members.
    """
    others = [row[0] for row in database.execute(
        "SELECT other_id FROM shared_content WHERE dataset_id = :dataset"
        " UNION SELECT dataset_id FROM shared_content WHERE other_id = :dataset", {"dataset": use.artifact_id})]
    left = _members(database, use.artifact_id, solid=True) if others or whole is not None else set()
    folder = members_folder(use.path)
    for job_id, other, path in _last_at_each_path(database, reader, others):
        if left and (covered := left & content_below(database, other, path, folder)):
            yield Maker(job_id, other)
            left -= covered
    near = _Near(database, folder, others, reader.job_id)
    if whole is not None and left - near.only_copied(whole.job_id, left):
        yield whole
        return
    held: dict[int, set[tuple[str, int]]] = {}
    makers = itertools.chain.from_iterable(_elsewhere(database, reader, use, others)) if left else ()
    for maker in sorted(makers, reverse=True):
        if maker.artifact_id not in held:
            content = {artifact_id for _, artifact_id in _members(database, maker.artifact_id)} or {maker.artifact_id}
            held[maker.artifact_id] = {member for member in left if member[1] in content}
        covered = held[maker.artifact_id] & left
        if covered and (covered := covered - near.only_copied(maker.job_id, covered)):
            yield maker
            left -= covered


class _Near:
    """Which files of a dataset in `folder` others had found in it before: of these the same is true as of a file.

    See `_Around.only_copied`. `others` are the artifacts that share content with the dataset.
    """

    def __init__(self, database: sqlite3.Connection, folder: str, others: Sequence[int], reader_id: int) -> None:
        self._database = database
        self._folder = folder
        self._others = json.dumps(others)
        self._reader_id = reader_id
        self._first: list[tuple[int, str, str]] | None = None

    def only_copied(self, job_id: int, members: Iterable[tuple[str, int]]) -> set[tuple[str, int]]:
        """Those of the files, path in the folder and artifact, that a job has not brought there."""
        wanted = set(members)
        there: set[tuple[str, int]] = set()
        near: dict[int, str] = {}
        for artifact_id, path in _used(self._database, "file_read", job_id):
            for file, member, around in _files_near(self._database, artifact_id, path, self._folder):
                there.add((file.removeprefix(self._folder), member))
                near[member] = min(near.get(member, around), around, key=len)
        left = {member for _, member in wanted} - near.keys()
        for artifact_id, path in self._found_before(job_id) if left else ():
            for _, member, around in _files_near(self._database, artifact_id, path, self._folder):
                if member in left:
                    near[member] = min(near.get(member, around), around, key=len)
            if not left - near.keys():
                break
        for artifact_id, path in _used(self._database, "file_written", job_id) if near else ():
            for file, member in content_below(self._database, artifact_id, path, ""):
                if member in near and file.startswith(near[member]):
                    del near[member]
        return {member for member in wanted if member in there or member[1] in near}

    def _found_before(self, job_id: int) -> Iterator[tuple[int, str]]:
        """The artifacts that had been found before a job started, and where; the first one first."""
        if self._first is None:
            self._first = self._database.execute(_FOUND_BY, {"artifacts": self._others, "before": self._reader_id}
                                                 ).fetchall()
        started_at, = self._database.execute("SELECT started_at FROM job WHERE id = ?", (job_id,)).fetchone()
        return ((artifact_id, path) for artifact_id, path, found_at in self._first if found_at < started_at)


def _files_near(database: sqlite3.Connection, artifact_id: int, path: str, folder: str
                ) -> Iterator[tuple[str, int, str]]:
    """The files of an artifact at a path that lie below a folder, or in one around it: the latter of the two, too."""
    start = folder_of_use(path, path)
    if not (start.startswith(folder) or folder.startswith(start)):
        return
    for file, member in content_below(database, artifact_id, path, ""):
        around = folder_of_use(path, file)
        if file.startswith(folder):
            yield file, member, min(folder, around, key=len)
        elif around and folder.startswith(around):
            yield file, member, around


def _used(database: sqlite3.Connection, view: str, job_id: int) -> list[tuple[int, str]]:
    return database.execute(f"SELECT artifact_id, path.path FROM {view} JOIN path ON path.id = path_id"  # noqa: S608  names of ours
                            " WHERE job_id = ? AND artifact_id IS NOT NULL", (job_id,)).fetchall()


def content_below(database: sqlite3.Connection, artifact_id: int, path: str, folder: str) -> set[tuple[str, int]]:
    """The files below `folder` that an artifact at `path` stands for, each as its path from there and its artifact."""
    start = members_folder(path)
    if not (start.startswith(folder) or folder.startswith(start)):
        return set()
    members = _members(database, artifact_id)
    if start == folder and members:
        return members
    files = {(start + name, member) for name, member in members} or {(path, artifact_id)}
    return {(name.removeprefix(folder), member) for name, member in files if name.startswith(folder)}


def _members(database: sqlite3.Connection, dataset_id: int, *, solid: bool = False) -> set[tuple[str, int]]:
    """Path and artifact of each member; none for a file. With `solid` only those that are not empty."""
    select = "SELECT path, artifact_id FROM dataset_member"
    if solid:
        select += " JOIN artifact ON artifact.id = artifact_id AND artifact.size > 0"
    return set(database.execute(f"{select} WHERE dataset_id = ?", (dataset_id,)).fetchall())


def _writers(database: sqlite3.Connection, reader: _Reader, artifact_id: int) -> list[tuple[int, str]]:
    return database.execute(_WRITERS, {"artifact": artifact_id, "job": reader.job_id,
                                       "ended_at": reader.ended_at}).fetchall()


def _last_at_each_path(database: sqlite3.Connection, reader: _Reader, artifacts: Iterable[int]
                       ) -> list[tuple[int, int, str]]:
    """Job, artifact and path: for each artifact at each path its last writer, the latest job first."""
    found = []
    for artifact_id in artifacts:
        last = {path: job_id for job_id, path in reversed(_writers(database, reader, artifact_id))}
        found += [(job_id, artifact_id, path) for path, job_id in last.items()]
    return sorted(found, reverse=True)


def _elsewhere(database: sqlite3.Connection, reader: _Reader, use: _Use, artifacts: Iterable[int]
               ) -> Iterator[Iterator[Maker]]:
    """For each of several artifacts the jobs that wrote it and could have brought it, the last one first."""
    ended_at = min(reader.ended_at, reader.around.found_at(use) or reader.ended_at, use.since or reader.ended_at)
    for artifact_id in artifacts:
        rows = database.execute(_ELSEWHERE, {"artifact": artifact_id, "job": reader.job_id, "ended_at": ended_at,
                                             "read_path": use.path_id, "read_artifact": use.artifact_id})
        yield (Maker(job_id, artifact_id) for (job_id,) in rows if not reader.around.only_copied(job_id, use))


def _last_elsewhere(database: sqlite3.Connection, reader: _Reader, use: _Use, artifacts: Iterable[int]
                    ) -> list[Maker]:
    """For each artifact that a job wrote which could have brought it, the last such job: the latest job first."""
    makers = (next(some, None) for some in _elsewhere(database, reader, use, artifacts))
    return sorted((maker for maker in makers if maker is not None), reverse=True)


def _may_explain(database: sqlite3.Connection, producer_id: int, consumer_id: int) -> bool:
    """Whether the consumer read something that the producer wrote, or anything by way of datasets."""
    row = database.execute(_MAY_EXPLAIN, {"producer": producer_id, "consumer": consumer_id}).fetchone()
    return bool(row[0])


def _insert_pairs(database: sqlite3.Connection, pairs: Iterable[tuple[int, int]]) -> None:
    database.executemany("INSERT OR IGNORE INTO shared_content (dataset_id, other_id) VALUES (?,?)", pairs)


def _insert_dependencies(database: sqlite3.Connection, consumer_id: int, makers: Iterable[tuple[int, Maker]]) -> None:
    database.executemany(
        "INSERT OR IGNORE INTO dependency (consumer_id, artifact_id, producer_id, produced_id) VALUES (?,?,?,?)",
        ((consumer_id, artifact_id, maker.job_id, maker.artifact_id) for artifact_id, maker in makers))
