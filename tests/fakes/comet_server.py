"""A Comet server as far as the SDK needs one to run online."""

from server import FakeServer, Request


class FakeComet(FakeServer):
    """Its pages live at `pages`, which is not where its API lives: only the SDK's own line tells."""

    pages = "http://comet.example"

    def answer(self, request: Request) -> tuple[int, object]:
        path = request.path.partition("?")[0]
        if path.endswith(("logger/add/run", "logger/get/run")):
            workspace = request.json.get("teamName") or request.json.get("workspace") or "alice"
            project = request.json.get("projectName") or "general"
            asset = f"{self.url}/assets/"
            return 200, {
                "runId": "r1", "project_id": "p1", "focusUrl": f"{self.pages}/{workspace}/{project}/", "lastOffset": 0,
                "featureToggles": [], "githubEnabled": False, "name": "brave_name_1", "cometWebAssetUrl": asset,
                "cometWebImageUrl": asset, "cometRestApiAssetUrl": asset, "cometRestApiImageUrl": asset,
            }
        if "status-report" in path:
            return 200, {
                "is_alive_beat_duration_millis": 10000, "gpu_monitor_interval_millis": 60000,
                "cpu_monitor_interval_millis": 60000, "parameter_update_interval_millis": 1000, "pending_rpcs": False,
            }
        if "version" in path:
            return 200, {"version": "4.5.0", "msg": "4.5.0", "client_version": "4.5.0"}
        if "account-details" in path:
            return 200, {"userName": "alice", "defaultWorkspaceName": "alice"}
        return 200, {"msg": "ok", "success": True}
