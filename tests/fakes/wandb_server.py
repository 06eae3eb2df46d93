"""A W&B server as far as the SDK needs one to run online: GraphQL, the file stream, uploads."""

import base64
import json

from server import FakeServer, Request

_UPLOADS = {"CreateRunFiles": "createRunFiles", "CreateArtifactFiles": "createArtifactFiles"}
_VERSIONS = {
    "cliVersionInfo": {"max_cli_version": "99.0.0"},
    "latestLocalVersionInfo": {
        "outOfDate": False, "latestVersionString": "0.70.0", "versionOnThisInstanceString": "0.70.0",
    },
    "features": [],
}


class FakeWandb(FakeServer):
    """Every run that is not given an entity belongs to `entity`, every other setting is the client's."""

    def __init__(self, entity: str = "acme-team") -> None:
        super().__init__()
        self.entity = entity
        self.runs: dict[tuple[str, str, str], int] = {}
        self.heartbeats = 0

    def answer(self, request: Request) -> tuple[int, object]:
        if request.path.rstrip("/").endswith("/graphql"):
            query = request.json.get("query", "")
            operation = request.json.get("operationName") or ""
            return 200, {"data": self._graphql(operation, query, request.json.get("variables") or {})}
        return 200, {"exitcode": None, "limits": {}} if "file_stream" in request.path else {}

    def _graphql(self, operation: str, query: str, values: dict) -> dict:  # noqa: PLR0911  a table of questions
        if "upsertBucket" in query:
            return {"upsertBucket": self._bucket(values)}
        if operation in _UPLOADS:
            return self._uploads(operation, values)
        if "upsertSweep" in query:
            owner = {"id": "E", "name": self.entity}
            project = {"id": "P", "name": values.get("projectName") or "demo", "entity": owner}
            return {"upsertSweep": {"sweep": {"name": "sweep001", "project": project}, "configValidationWarnings": []}}
        if "createAgent" in query:
            return {"createAgent": {"agent": {"id": "QQ=="}}}
        if "agentHeartbeat" in query:
            return {"agentHeartbeat": {"agent": {"id": "QQ=="}, "commands": json.dumps(self._commands())}}
        if "sweep(" in query:
            sweep = {"id": "S", "name": "sweep001", "displayName": "s", "state": "RUNNING", "runs": {"edges": []}}
            config = "method: grid\nparameters:\n  lr:\n    values: [0.1]\nprogram: train.py\n"
            return {"project": {"sweep": {**sweep, "config": config}}}
        if operation == "RunResumeStatus":
            return {"model": self._resume(values)}
        return self._rest(operation, query)

    def _rest(self, operation: str, query: str) -> dict:  # noqa: PLR0911  a table of questions
        viewer = {
            "id": "VQ==", "entity": self.entity, "username": "alice", "email": "alice@example.com", "admin": False,
            "flags": "{}", "teams": {"edges": [{"node": {"name": self.entity}}]}, "apiKeys": {"edges": []},
        }
        artifact = {"id": "QXJ0", "state": "PENDING", "artifactSequence": {"latestArtifact": None}, "digest": "d"}
        manifest = {"id": "TQ==", "file": {"id": "f", "uploadUrl": f"{self.url}/upload", "uploadHeaders": []}}
        answers = {
            "CreateArtifact": {"createArtifact": {"artifact": artifact}},
            "CommitArtifact": {"commitArtifact": {"artifact": artifact}},
            "UpdateArtifact": {"updateArtifact": {"artifact": artifact}},
            "CreateArtifactManifest": {"createArtifactManifest": {"artifactManifest": manifest}},
            "UpdateArtifactManifest": {"updateArtifactManifest": {"artifactManifest": manifest}},
            "RunStoppedStatus": {"project": {"run": {"stopped": False}}},
            "OrganizationCoreWeaveOrganizationID": {"entity": {"organization": {"coreWeaveOrganizationId": None}}},
        }
        if operation in answers:
            return answers[operation]
        if "viewer" in query:
            return {"viewer": viewer, "serverInfo": _VERSIONS}
        if "serverInfo" in query:
            return {"serverInfo": _VERSIONS}
        if "clientIDMapping" in query:
            return {"clientIDMapping": None}
        if "project" in query and "rtifact" in query:
            return {"project": {"artifactCollection": None, "artifact": None, "artifactType": None}}
        if "__type" in query:
            kinds = ("QueryType", "MutationType", "ServerInfoType")
            return {"__type": None, "TypeInfo": None, **{kind: {"fields": []} for kind in kinds}}
        return {}

    def _key(self, values: dict) -> tuple[str, str, str]:
        name = values.get("name") or values.get("id") or "run00001"
        return values.get("entity") or self.entity, values.get("project") or "uncategorized", str(name)

    def _bucket(self, values: dict) -> dict:
        entity, project, name = key = self._key(values)
        self.runs[key] = self.runs.get(key, 0) + 1
        bucket = {
            "id": base64.b64encode(f"Run:v1:{name}:{project}:{entity}".encode()).decode(), "name": name,
            "displayName": values.get("displayName") or f"calm-river-{len(self.runs)}", "description": None,
            "config": values.get("config"), "sweepName": values.get("sweep"), "tags": [], "historyLineCount": 0,
            "project": {"id": "UA==", "name": project, "entity": {"id": "RQ==", "name": entity}},
        }
        return {"bucket": bucket, "inserted": self.runs[key] == 1}

    def _resume(self, values: dict) -> dict:
        entity, project, name = key = self._key(values)
        bucket = {
            "id": "x", "name": name, "summaryMetrics": "{}", "displayName": "calm-river", "logLineCount": 1,
            "historyLineCount": 1, "eventsLineCount": 1, "historyTail": '["{\\"_step\\":2,\\"_runtime\\":1}"]',
            "eventsTail": '["{\\"_runtime\\":1}"]', "config": "{}", "tags": [], "notes": "", "wandbConfig": '{"t":1}',
        }
        return {
            "id": "UA==", "name": project, "entity": {"id": "RQ==", "name": entity},
            "bucket": bucket if key in self.runs else None,
        }

    def _uploads(self, operation: str, values: dict) -> dict:
        if operation == "CreateRunFiles":
            files = [{"name": name, "uploadUrl": f"{self.url}/upload/{name}"} for name in values.get("files", ())]
            return {"createRunFiles": {"runID": "x", "uploadHeaders": [], "files": files}}
        nodes = [
            {"node": {
                "storagePath": file.get("name"), "uploadUrl": f"{self.url}/upload", "uploadHeaders": [],
                "uploadMultipartUrls": None, "artifact": {"id": "QXJ0"},
            }}
            for file in values.get("artifactFiles", ())
        ]
        return {"createArtifactFiles": {"files": {"edges": nodes}}}

    def _commands(self) -> list[dict]:
        self.heartbeats += 1
        if self.heartbeats == 1:
            return [{"type": "run", "run_id": "sweeprun1", "program": "train.py", "args": {"lr": {"value": 0.1}}}]
        return [] if self.heartbeats < 4 else [{"type": "exit"}]
