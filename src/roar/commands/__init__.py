"""One thin module per verb: parse, call, show. VERBS is the list of them."""

VERBS: dict[str, dict[str, str]] = {
    "record": {
        "run": "run a command and record what it read and wrote",
        "init": "set a workspace up here (the first `roar run` does it too)",
        "reset": "start a new session",
        "pop": "forget the last job; the files stay",
        "label": "set, unset or list labels on a job, artifact or session",
        "recover": "finish the record of jobs that were cut short",
    },
    "ask": {
        "status": "this session: steps, outputs that are stale, changed or gone",
        "log": "the jobs, newest first",
        "show": "all about a job, artifact, session or tracker run",
        "dag": "the session's graph",
        "lineage": "what an artifact was made from, and what was made of it",
        "inputs": "the root inputs, and which of them nothing recorded produced",
        "diff": "what differs between two jobs, the likely cause first",
        "reproduce": "what it takes to make something again; --run does it and compares",
    },
    "share": {
        "put": "send files to object storage, recorded as a job",
        "get": "fetch files from object storage, recorded as a job",
        "register": "publish a session, job or artifact's lineage to a glaas server",
        "export": "a session, job or artifact's lineage as CycloneDX, OpenLineage, PROV or RO-Crate",
        "login": "get a token for a glaas server and keep it",
        "logout": "forget the token for a glaas server",
        "whoami": "who a glaas server takes you for",
        "ui": "serve this workspace's own pages on loopback and open them",
    },
    "set up": {
        "config": "settings: their values and where each comes from",
        "trackers": "the experiment trackers: on or off, and where each comes from",
        "doctor": "check that roar works here",
        "telemetry": "what roar sends about itself: nothing",
        "completion": "completion for bash, zsh or fish",
    },
}
