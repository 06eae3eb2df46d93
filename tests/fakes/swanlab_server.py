"""A SwanLab server as far as the SDK needs one to run online."""

from server import FakeServer, Request


class FakeSwanLab(FakeServer):
    """Projects live in memory; the user is `alice`."""

    def __init__(self) -> None:
        super().__init__()
        self.projects: set[tuple[str, str]] = set()

    def answer(self, request: Request) -> tuple[int, object]:
        path = request.path.partition("?")[0]
        parts = path.strip("/").split("/")
        if path.endswith("login/api_key"):
            user = {"username": "alice", "name": "alice", "id": 1}
            return 200, {"sid": "s1", "expiredAt": "2099-01-01T00:00:00.000Z", "userInfo": user}
        if parts[:2] == ["api", "projects"] and request.method == "POST":
            self.projects.add((parts[2], request.json.get("name", "")))
            return 201, {"cuid": "project1"}
        if parts[:2] == ["api", "project"] and len(parts) == 4 and request.method == "GET":
            if (parts[2], parts[3]) not in self.projects:
                return 404, {"code": "Not_Found", "message": "not found"}
            group = {"username": parts[2], "name": parts[2], "type": "TEAM"}
            return 200, {
                "cuid": "project1", "name": parts[3], "username": parts[2], "path": f"/{parts[2]}/{parts[3]}",
                "visibility": "PRIVATE", "_count": {"experiments": 1}, "group": group,
            }
        if path.endswith("/experiment") and request.method == "POST":
            asked = request.json
            return 201, {"cuid": asked.get("cuid"), "slug": asked.get("cuid"), "name": asked.get("name"), "id": 1}
        return 200, {}
