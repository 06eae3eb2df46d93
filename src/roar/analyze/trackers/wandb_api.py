"""One question to a W&B server: to whom does this uploaded run belong? Only `roar trackers refresh` asks it.

A run that was uploaded without roar leaves neither server nor entity in any file. Where the settings prove the server
and the user has a key for it, the server itself can say. The key goes to that server and nowhere else: redirects are
not followed, and nothing of the answer but the entity is kept.
"""

import base64
import json
import netrc
import os
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

_TIMEOUT_S = 10
_MAX_ANSWER = 1_000_000
_OK = 200
_QUESTION = """query RoarFindRun($project: String!, $run: String!) {
  viewer { entity }
  project(name: $project) { entity { name } run(name: $run) { name } }
}"""


def find_entity(base: str, project: str, run_id: str, environ: Mapping[str, str], home: str) -> str | None:
    """The entity that the run belongs to, as the server at `base` says; None where it cannot or does not."""
    key = _key(base, environ, home)
    answer = _ask(base, key, {"project": project, "run": run_id}) if key else None
    if answer is None:
        return None
    if "project" in answer:
        found = answer["project"]
        if isinstance(found, dict) and isinstance(found.get("run"), dict):
            return _text(found.get("entity"), "name")
        return None
    return _text(answer.get("viewer"), "entity")


def _text(holder: object, key: str) -> str | None:
    value: object = holder.get(key) if isinstance(holder, dict) else None
    return value if isinstance(value, str) and value else None


def _key(base: str, environ: Mapping[str, str], home: str) -> str | None:
    """The user's key, where W&B's own client looks for it."""
    if environ.get("WANDB_API_KEY"):
        return environ["WANDB_API_KEY"]
    try:
        known = netrc.netrc(environ.get("NETRC") or os.path.join(home, ".netrc")).authenticators(
            urlsplit(base).hostname or "",
        )
    except (OSError, netrc.NetrcParseError):
        return None
    return known[2] if known else None


def _ask(base: str, key: str, variables: Mapping[str, str]) -> dict[str, object] | None:
    parts = urlsplit(base)
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
    question = {"operationName": "RoarFindRun", "query": _QUESTION, "variables": dict(variables)}
    credentials = base64.b64encode(f"api:{key}".encode()).decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {credentials}", "User-Agent": "roar"}
    try:
        connection.request("POST", f"{parts.path.rstrip('/')}/graphql", json.dumps(question), headers)
        response = connection.getresponse()
        data = json.loads(response.read(_MAX_ANSWER)).get("data") if response.status == _OK else None
    except (OSError, HTTPException, ValueError, AttributeError):
        return None
    finally:
        connection.close()
    return data if isinstance(data, dict) else None
