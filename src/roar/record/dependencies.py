"""Finding which job's output an input was: the table `dependency`.

A use counts as made by the last job that started before the reader ended and wrote the same content: at the same path
if there is one, else anywhere; but not after the first recorded reader found this content at this path already, and
not if the writer read it there itself. Empty files are alike without having to do with each other, so for them only
the same path counts. A dataset that no job wrote as a whole depends on the jobs that wrote its members.
"""

import sqlite3
from collections.abc import Collection, Iterable


def link_shared_content(database: sqlite3.Connection, *, new_datasets: Iterable[int],
                        known_files: Collection[int]) -> None:
    """Fill `shared_content` for datasets stored just now and for files that were in the record before this job."""
    for dataset_id in new_datasets:
        others = database.execute(
            "SELECT DISTINCT other.dataset_id FROM dataset_member AS own"
            " JOIN dataset_member AS other USING (artifact_id) JOIN artifact ON artifact.id = own.artifact_id"
            " WHERE own.dataset_id = :dataset AND other.dataset_id <> :dataset AND artifact.size > 0"
            " UNION SELECT own.artifact_id FROM dataset_member AS own JOIN artifact ON artifact.id = own.artifact_id"
            " WHERE own.dataset_id = :dataset AND artifact.size > 0"
            " AND (EXISTS (SELECT 1 FROM file_read WHERE file_read.artifact_id = own.artifact_id)"
            " OR EXISTS (SELECT 1 FROM file_written WHERE file_written.artifact_id = own.artifact_id))",
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
        if _may_explain(database, job_id, consumer_id):
            _depend(database, consumer_id, consumer_ended_at)


def _depend(database: sqlite3.Connection, job_id: int, ended_at: str) -> None:
    database.execute("DELETE FROM dependency WHERE consumer_id = ?", (job_id,))
    database.execute(_DIRECT, {"job": job_id, "ended_at": ended_at})
    partly = database.execute(_UNEXPLAINED, {"job": job_id}).fetchall()
    for artifact_id, files in partly:
        explain = _explain_file if files is None else _explain_dataset
        explain(database, job_id, ended_at, artifact_id)


_DIRECT = """
INSERT OR IGNORE INTO dependency (consumer_id, artifact_id, producer_id, produced_id)
SELECT :job, artifact_id, producer_id, artifact_id FROM (
    SELECT used.artifact_id, coalesce(
        (SELECT made.job_id FROM file_written AS made CROSS JOIN job ON job.id = made.job_id
         WHERE made.path_id = used.path_id AND made.artifact_id = used.artifact_id
         AND made.job_id <> :job AND job.started_at <= :ended_at ORDER BY made.job_id DESC LIMIT 1),
        (SELECT made.job_id FROM file_written AS made CROSS JOIN job ON job.id = made.job_id
         WHERE artifact.size > 0 AND made.artifact_id = used.artifact_id
         AND made.job_id <> :job AND job.started_at <= :ended_at
         AND job.started_at <= (SELECT first.ended_at FROM file_read AS seen CROSS JOIN job AS first
                                ON first.id = seen.job_id
                                WHERE seen.path_id = used.path_id AND seen.artifact_id = used.artifact_id
                                ORDER BY seen.job_id LIMIT 1)
         AND NOT EXISTS (SELECT 1 FROM file_read AS own WHERE own.job_id = made.job_id
                         AND own.path_id = used.path_id AND own.artifact_id = used.artifact_id)
         ORDER BY made.job_id DESC LIMIT 1)
    ) AS producer_id
    FROM file_read AS used JOIN artifact ON artifact.id = used.artifact_id
    WHERE used.job_id = :job
) WHERE producer_id IS NOT NULL
"""

# Inputs that no job wrote as they are, but that share content with something else in the record.
_UNEXPLAINED = """
SELECT DISTINCT used.artifact_id, artifact.files FROM file_read AS used JOIN artifact ON artifact.id = used.artifact_id
WHERE used.job_id = :job
AND NOT EXISTS (SELECT 1 FROM dependency WHERE consumer_id = :job AND dependency.artifact_id = used.artifact_id)
AND (EXISTS (SELECT 1 FROM shared_content WHERE dataset_id = used.artifact_id)
     OR EXISTS (SELECT 1 FROM shared_content WHERE other_id = used.artifact_id))
"""

_LAST_WRITER = """
SELECT max(made.job_id) FROM file_written AS made JOIN job ON job.id = made.job_id
WHERE made.artifact_id = :artifact AND made.job_id <> :job AND job.started_at <= :ended_at
"""

_MAY_EXPLAIN = """
SELECT EXISTS (SELECT 1 FROM file_written AS made JOIN file_read AS used USING (artifact_id)
               WHERE made.job_id = :producer AND used.job_id = :consumer)
    OR EXISTS (SELECT 1 FROM file_written AS made JOIN shared_content ON made.artifact_id IN (dataset_id, other_id)
               WHERE made.job_id = :producer)
"""


def _explain_file(database: sqlite3.Connection, job_id: int, ended_at: str, artifact_id: int) -> None:
    """A file that was written as a member of a dataset depends on the last job that wrote such a dataset."""
    datasets = [row[0] for row in database.execute(
        "SELECT dataset_id FROM shared_content WHERE other_id = ?", (artifact_id,))]
    writers = _last_writers(database, job_id, ended_at, datasets)
    if writers:
        producer_id, dataset_id = writers[0]
        _insert_dependency(database, job_id, artifact_id, producer_id, dataset_id)


def _explain_dataset(database: sqlite3.Connection, job_id: int, ended_at: str, dataset_id: int) -> None:
    """A dataset depends on the last writer of each of its members, whether file by file or within other datasets."""
    others = [row[0] for row in database.execute(
        "SELECT other_id FROM shared_content WHERE dataset_id = :dataset"
        " UNION SELECT dataset_id FROM shared_content WHERE other_id = :dataset", {"dataset": dataset_id})]
    writers = _last_writers(database, job_id, ended_at, others)
    if not writers:
        return
    left = _member_ids(database, dataset_id)
    for producer_id, produced_id in writers:
        covered = left & (_member_ids(database, produced_id) or {produced_id})
        if covered:
            _insert_dependency(database, job_id, dataset_id, producer_id, produced_id)
            left -= covered


def _last_writers(database: sqlite3.Connection, job_id: int, ended_at: str,
                  artifacts: Iterable[int]) -> list[tuple[int, int]]:
    """For each artifact that was written, its last writer: pairs of job and artifact, the latest job first."""
    writers = []
    for artifact_id in artifacts:
        last = database.execute(_LAST_WRITER, {"artifact": artifact_id, "job": job_id, "ended_at": ended_at})
        producer_id = last.fetchone()[0]
        if producer_id is not None:
            writers.append((producer_id, artifact_id))
    return sorted(writers, reverse=True)


def _member_ids(database: sqlite3.Connection, dataset_id: int) -> set[int]:
    return {row[0] for row in database.execute(
        "SELECT artifact_id FROM dataset_member WHERE dataset_id = ?", (dataset_id,))}


def _may_explain(database: sqlite3.Connection, producer_id: int, consumer_id: int) -> bool:
    """Whether the consumer read something that the producer wrote, or anything by way of datasets."""
    row = database.execute(_MAY_EXPLAIN, {"producer": producer_id, "consumer": consumer_id}).fetchone()
    return bool(row[0])


def _insert_pairs(database: sqlite3.Connection, pairs: Iterable[tuple[int, int]]) -> None:
    database.executemany("INSERT OR IGNORE INTO shared_content (dataset_id, other_id) VALUES (?,?)", pairs)


def _insert_dependency(database: sqlite3.Connection, consumer_id: int, artifact_id: int, producer_id: int,
                       produced_id: int) -> None:
    database.execute(
        "INSERT OR IGNORE INTO dependency (consumer_id, artifact_id, producer_id, produced_id) VALUES (?,?,?,?)",
        (consumer_id, artifact_id, producer_id, produced_id))
