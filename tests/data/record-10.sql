-- The local record, `.roar/roar.db`: SQLite, write-ahead log, one transaction per job.
-- Text is UTF-8; bytes of a path that are not UTF-8 are kept as they are. Times are RFC 3339 in UTC with microseconds
-- and `Z`. Digests are the 32 bytes of a BLAKE3 hash. `docs/schema.md` is generated from this file.

-- The jobs since the last `roar reset`. The newest session is the current one.
CREATE TABLE session (
    id         INTEGER PRIMARY KEY,
    uid        TEXT NOT NULL UNIQUE,             -- 32 hex
    started_at TEXT NOT NULL                     -- when it was begun: its first job may have started before
) STRICT;

-- One command in one folder, with its redirections, within a session. A rerun is another job of the same step.
CREATE TABLE step (
    id         INTEGER PRIMARY KEY,
    session_id INTEGER NOT NULL REFERENCES session (id),
    number     INTEGER NOT NULL,                 -- N of @N, from 1
    identity   BLOB NOT NULL,                    -- hash of all that, to find the step of a rerun
    command    TEXT NOT NULL,                    -- JSON array of arguments
    cwd        TEXT NOT NULL,                    -- relative to the workspace root, absolute outside it
    UNIQUE (session_id, number),
    UNIQUE (session_id, identity)
) STRICT;

-- The code as it was when a command started; one row per content.
CREATE TABLE git (
    id       INTEGER PRIMARY KEY,
    identity BLOB NOT NULL UNIQUE,               -- hash of the other columns
    "commit" TEXT,                               -- full object name of HEAD; null before the first commit
    branch   TEXT,                               -- null when HEAD is detached
    remote   TEXT,                               -- URL without user info
    dirty    INTEGER NOT NULL,                   -- 1: tracked files differed from the commit
    patch    TEXT,                               -- digest (hex) of the uncommitted changes in `blob`
    worktree TEXT,                               -- name of a linked work tree; null in the main one
    repositories TEXT                            -- JSON array of submodules and nested ones; null where there are none
) STRICT;

-- A machine; one row per content.
CREATE TABLE host (
    id       INTEGER PRIMARY KEY,
    identity BLOB NOT NULL UNIQUE,
    content  TEXT NOT NULL                       -- JSON object: os, machine, cpu, cpus, memory (bytes), gpus
) STRICT;

-- A Python interpreter and the distributions that were really imported; one row per content.
CREATE TABLE python (
    id       INTEGER PRIMARY KEY,
    identity BLOB NOT NULL UNIQUE,
    version  TEXT NOT NULL,
    packages TEXT NOT NULL                       -- JSON array of [name, version]
) STRICT;

-- One recorded execution of a command.
CREATE TABLE job (
    id          INTEGER PRIMARY KEY,             -- in the order of recording
    uid         TEXT NOT NULL UNIQUE,            -- 32 hex
    step_id     INTEGER NOT NULL REFERENCES step (id),
    kind        TEXT NOT NULL,                   -- run, get or put
    name        TEXT,                            -- given by `roar run --name`
    started_at  TEXT NOT NULL,
    ended_at    TEXT NOT NULL,                   -- started_at where the duration is not known
    duration_s  REAL,
    exit_code   INTEGER,                         -- 128+N for signal N
    state       TEXT NOT NULL,                   -- running, done, interrupted
    git_id      INTEGER REFERENCES git (id),
    host_id     INTEGER REFERENCES host (id),
    python_id   INTEGER REFERENCES python (id),
    tracer_mode TEXT NOT NULL,                   -- full, seccomp, preload, none; transfer: roar moved the files
    tracer_gaps TEXT NOT NULL                    -- JSON array: what could have been missed
) STRICT;
CREATE INDEX job_by_step ON job (step_id);
CREATE INDEX job_by_start ON job (started_at);
CREATE INDEX job_by_end ON job (ended_at);

-- Some content, known by its digest alone.
CREATE TABLE artifact (
    id     INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    size   INTEGER NOT NULL,                     -- bytes; of a dataset the sum over its members
    files  INTEGER                               -- number of members of a dataset; null for a file
) STRICT;

-- Every path that was ever recorded, once.
CREATE TABLE path (
    id   INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE                    -- relative to the workspace root, absolute outside it; or an object's URL
) STRICT;

-- One artifact as one job read or wrote it.
CREATE TABLE file_use (
    job_id      INTEGER NOT NULL REFERENCES job (id),
    role        INTEGER NOT NULL,                -- 1 input, 2 output, 3 payload (written only in a tracker's store)
    ordinal     INTEGER NOT NULL,                -- the order in which the job lists them, from 0
    path_id     INTEGER NOT NULL REFERENCES path (id),
    artifact_id INTEGER REFERENCES artifact (id),  -- null where no digest could be had
    size        INTEGER,                         -- bytes, only where there is no artifact
    files       INTEGER,                         -- members of a dataset, only where there is no artifact
    note        TEXT,                            -- what a reader should know about this use
    unchanged_since TEXT,                        -- of an input: by then it certainly lay there as it was read (of a
                                                 -- dataset, all its files); null where that is not known
    PRIMARY KEY (job_id, role, ordinal)
) STRICT, WITHOUT ROWID;
CREATE INDEX file_read_by_artifact ON file_use (artifact_id, job_id) WHERE role = 1;
CREATE INDEX file_read_by_path ON file_use (path_id, job_id) WHERE role = 1;
CREATE INDEX file_written_by_artifact ON file_use (artifact_id, job_id) WHERE role >= 2;
CREATE INDEX file_written_by_path ON file_use (path_id, job_id, artifact_id) WHERE role >= 2;

-- What jobs read.
CREATE VIEW file_read AS SELECT * FROM file_use WHERE role = 1;

-- What jobs wrote, in a tracker's store too.
CREATE VIEW file_written AS SELECT * FROM file_use WHERE role >= 2;

-- The members of a dataset, stored once however many jobs use it. Its digest is BLAKE3 over them, sorted by the bytes of
-- their paths, one line `DIGEST  PATH` each, as b3sum prints it; but bytes that are not UTF-8 are digested as they are.
-- What an older roar recorded has such a path as it is shown (`\xff`), and the digest of that; and its lines are
-- `DIGEST  PATH` for names with a backslash or a newline, too.
CREATE TABLE dataset_member (
    id          INTEGER PRIMARY KEY,             -- sorted by the bytes of the paths within a dataset
    dataset_id  INTEGER NOT NULL REFERENCES artifact (id),
    artifact_id INTEGER NOT NULL REFERENCES artifact (id),
    path        TEXT NOT NULL                    -- relative to the dataset's folder
) STRICT;
CREATE INDEX dataset_member_by_dataset ON dataset_member (dataset_id);
CREATE INDEX dataset_member_by_artifact ON dataset_member (artifact_id, dataset_id);

-- Datasets that share a member that is not empty with another dataset, or hold a file that a job used by itself.
CREATE TABLE shared_content (
    dataset_id INTEGER NOT NULL REFERENCES artifact (id),
    other_id   INTEGER NOT NULL REFERENCES artifact (id),
    PRIMARY KEY (dataset_id, other_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX shared_content_by_other ON shared_content (other_id);

-- Which job's output an input was: the edges of the graph. Found when the later of the two jobs is recorded: the last
-- job before the reader's end that wrote this content at this path, else the last that wrote this content anywhere,
-- unless the content was seen at this path before, or lay there unchanged since before that job started.
CREATE TABLE dependency (
    consumer_id INTEGER NOT NULL REFERENCES job (id),
    artifact_id INTEGER NOT NULL REFERENCES artifact (id),  -- as the consumer read it
    producer_id INTEGER NOT NULL REFERENCES job (id),
    produced_id INTEGER NOT NULL REFERENCES artifact (id),  -- as the producer wrote it; differs for part of a dataset
    PRIMARY KEY (consumer_id, artifact_id, producer_id, produced_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX dependency_by_producer ON dependency (producer_id, produced_id);

-- A symlink through which a job reached a file, or which it made. What an older roar recorded is where a file's name
-- led, links in the path of its folder included; with `made` null.
CREATE TABLE symlink (
    job_id  INTEGER NOT NULL REFERENCES job (id),
    path_id INTEGER NOT NULL REFERENCES path (id),
    target  TEXT NOT NULL,                       -- its text: relative to its folder, or absolute
    made    INTEGER,                             -- 1: the job made it; 0: it was there before; 2: it was, and the
                                                 -- job then removed it or made another one in its place
    PRIMARY KEY (job_id, path_id)
) STRICT, WITHOUT ROWID;

-- The folders that a job made itself and left outputs in; of these the highest, for all below such a one is its own.
-- Other folders of its outputs were there before, or were not seen to be made.
CREATE TABLE made_folder (
    job_id INTEGER NOT NULL REFERENCES job (id),
    path   TEXT NOT NULL,                        -- as in `path`
    PRIMARY KEY (job_id, path)
) STRICT, WITHOUT ROWID;

-- Files that a job read, or that one which it ran wrote, and that it then deleted or moved away itself.
CREATE TABLE deleted_file (
    job_id INTEGER NOT NULL REFERENCES job (id),
    path   TEXT NOT NULL,                        -- as in `path`
    PRIMARY KEY (job_id, path)
) STRICT, WITHOUT ROWID;

-- Files that a job wrote, and one that it ran read.
CREATE TABLE given_file (
    job_id INTEGER NOT NULL REFERENCES job (id),
    path   TEXT NOT NULL,                        -- as in path.path
    PRIMARY KEY (job_id, path)
) STRICT, WITHOUT ROWID;

-- Which jobs ran others themselves, as by `roar run` in a script: with each inner one all that are around it.
CREATE TABLE inner_job (
    uid   TEXT NOT NULL,                         -- of the inner one; it may be in no record
    outer TEXT NOT NULL,                         -- uid of one around it, likewise
    piped INTEGER NOT NULL DEFAULT 0,            -- 1: that one took what the inner one printed, by a pipe
    environment TEXT,                            -- JSON array: the names of variables of the environment that were
                                                 -- set or changed between the two; null for none, or not known
    PRIMARY KEY (uid, outer)
) STRICT, WITHOUT ROWID;
CREATE INDEX inner_job_by_outer ON inner_job (outer);

-- The reference to one run in an experiment tracker, as one job made it.
CREATE TABLE tracker_run (
    id          INTEGER PRIMARY KEY,
    job_id      INTEGER NOT NULL REFERENCES job (id),
    tracker     TEXT NOT NULL,                   -- settings key (wandb)
    label       TEXT NOT NULL,                   -- for people (W&B)
    run_id      TEXT NOT NULL,                   -- the tracker's own id
    project     TEXT,
    entity      TEXT,
    name        TEXT,
    run_group   TEXT,
    server      TEXT,                            -- base URL of the tracker's server, where it is proven
    url         TEXT,                            -- the run's page, only with evidence of the host
    state       TEXT NOT NULL,                   -- online, offline, local, partial
    how_to_view TEXT,                            -- the command that uploads or shows it
    evidence    TEXT,                            -- what proved the reference
    note        TEXT
) STRICT;
CREATE INDEX tracker_run_by_job ON tracker_run (job_id);
CREATE INDEX tracker_run_by_url ON tracker_run (url);
CREATE INDEX tracker_run_by_run ON tracker_run (tracker, run_id);

-- What one tracker's analysis left out of a job's lineage.
CREATE TABLE tracker_summary (
    job_id         INTEGER NOT NULL REFERENCES job (id),
    tracker        TEXT NOT NULL,
    filtered_files INTEGER NOT NULL,
    PRIMARY KEY (job_id, tracker)
) STRICT, WITHOUT ROWID;

-- How many paths of each category were left out of a job as plumbing.
CREATE TABLE left_out (
    job_id   INTEGER NOT NULL REFERENCES job (id),
    category TEXT NOT NULL,
    files    INTEGER NOT NULL,
    PRIMARY KEY (job_id, category)
) STRICT, WITHOUT ROWID;

-- A label on exactly one of a job, an artifact or a session.
CREATE TABLE label (
    id          INTEGER PRIMARY KEY,
    job_id      INTEGER REFERENCES job (id),
    artifact_id INTEGER REFERENCES artifact (id),
    session_id  INTEGER REFERENCES session (id),
    key         TEXT NOT NULL,
    value       TEXT NOT NULL,
    CHECK ((job_id IS NOT NULL) + (artifact_id IS NOT NULL) + (session_id IS NOT NULL) = 1)
) STRICT;
CREATE UNIQUE INDEX label_by_job ON label (job_id, key) WHERE job_id IS NOT NULL;
CREATE UNIQUE INDEX label_by_artifact ON label (artifact_id, key) WHERE artifact_id IS NOT NULL;
CREATE UNIQUE INDEX label_by_session ON label (session_id, key) WHERE session_id IS NOT NULL;

-- Content that roar keeps itself: the patches of uncommitted changes.
CREATE TABLE blob (
    digest  BLOB PRIMARY KEY,
    content BLOB NOT NULL                        -- compressed with zlib
) STRICT, WITHOUT ROWID;

-- Digests of files by what stat(2) said of them, so that unchanged files are not read again. May be emptied any time.
CREATE TABLE digest_cache (
    inode    INTEGER NOT NULL,
    device   INTEGER NOT NULL,
    size     INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    digest   BLOB NOT NULL,
    PRIMARY KEY (inode, device, size, mtime_ns, ctime_ns)
) STRICT, WITHOUT ROWID;

-- Datasets by a hash over the names and signatures of all their files: one that is as it was is known without a look at
-- each file. May be emptied any time.
CREATE TABLE dataset_cache (
    stamp  BLOB PRIMARY KEY,                     -- 16 bytes, see roar.observe.folders
    digest BLOB NOT NULL                         -- of the dataset in `artifact`
) STRICT, WITHOUT ROWID;
