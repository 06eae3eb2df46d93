"""A ClearML API server as far as the SDK needs one to run online."""

import base64
import json
import time
import uuid

from server import FakeServer, Request


def _part(content: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


class FakeClearMl(FakeServer):
    """Tasks live in memory; every project has the same id."""

    project = "a" * 32

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[str, dict] = {}

    def answer(self, request: Request) -> tuple[int, object]:
        endpoint = request.path.partition("?")[0].strip("/").rpartition("/")[2]
        meta = {
            "id": uuid.uuid4().hex, "trx": "x", "result_code": 200, "result_subcode": 0, "result_msg": "OK",
            "endpoint": {"name": endpoint, "requested_version": "2.23", "actual_version": "2.23"}, "error_stack": None,
        }
        return 200, {"meta": meta, "data": self._data(endpoint, request.json)}

    def _data(self, endpoint: str, asked: dict) -> dict:
        statuses = {"tasks.started": "in_progress", "tasks.stopped": "stopped", "tasks.completed": "completed"}
        if endpoint == "tasks.create":
            task = uuid.uuid4().hex
            self.tasks[task] = {**asked, "id": task, "status": "created"}
            return {"id": task}
        if endpoint in {"tasks.get_by_id", "tasks.get_by_id_ex"}:
            known = self.tasks.get(asked.get("task", ""), {})
            blank = {"execution": {"artifacts": []}, "script": {}, "hyperparams": {}, "status": "in_progress"}
            return {"task": {**blank, **known, "id": asked.get("task"), "project": self.project}}
        if endpoint in {"tasks.edit", "tasks.update"}:
            changes = {key: value for key, value in asked.items() if key not in {"task", "force"}}
            self.tasks.setdefault(asked.get("task", ""), {}).update(changes)
            return {"updated": 1, "fields": {}}
        if endpoint in statuses:
            self.tasks.setdefault(asked.get("task", ""), {})["status"] = statuses[endpoint]
            return {"updated": 1, "started": 1, "fields": {}}
        return self._fixed().get(endpoint, {"updated": 1})

    def _fixed(self) -> dict[str, dict]:
        claims = {
            "auth_type": "Bearer", "env": "x", "exp": int(time.time()) + 999_999, "api_version": "2.23",
            "server_version": "1.14.0", "server_build": "1", "feature_set": "basic",
            "identity": {"user": "u1", "company": "c1", "role": "user"},
        }
        token = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}.c2ln"
        return {
            "auth.login": {"token": token},
            "projects.get_all": {"projects": []},
            "projects.create": {"id": self.project},
            "tasks.get_all": {"tasks": []},
            "tasks.get_all_ex": {"tasks": []},
            "users.get_current_user": {"user": {"id": "u1", "name": "alice", "company": {"id": "c1", "name": "C"}}},
            "server.info": {"version": "1.14.0", "build": "1", "commit": "x"},
            "events.add_batch": {"added": 1, "errors": 0, "errors_info": {}},
            "tasks.get_hyper_params": {"params": []},
            "tasks.get_configurations": {"configurations": []},
        }
