"""With accounts: nothing private is ever listed, counted, searched or guessable."""

import dataclasses
import re
import uuid

import pytest
from registrations import body, dataset_of, digest, digits, job, uid, use, wandb_run
from sqlalchemy import select, update
from starlette.testclient import TestClient

from glaas import accounts, models, search
from glaas.access import create_project, set_member
from glaas.app import create_app
from glaas.db import open_engine, writing
from glaas.settings import Settings
from roar import model
from roar.errors import UsageError
from roar.wire import DatasetMember, Registration

JSON = {"content-type": "application/json"}
PASSWORD = "correct horse battery"
SECRET_SESSION = "7e" * 16
MARKS = ("hush", uid(77), "7e7e7e7e7e", digest("hush.bin"), digest("hush.bin")[:10], "hush0run", digest("hush member"))


def private_registration():
    """Shares `shared.csv` with what is public, and holds a dataset that contains it."""
    members = (DatasetMember(path="hush member", digest=digest("hush member"), size=5),
               DatasetMember(path="shared.csv", digest=digest("shared.csv"), size=1234))
    folder = dataset_of(members)
    secret = job(77, name="hush job", command=("hush.py",), labels={"hush": "hush"},
                 inputs=(use("shared.csv"), use("hush.csv"),
                         dataclasses.replace(use("hush/"), digest=folder.digest, size=1239, kind="dataset", files=2)),
                 outputs=(use("hush.bin"),),
                 tracker_runs=(wandb_run(run_id="hush0run", project="hush",
                                         url="https://wandb.ai/x/hush/runs/hush0run"),))
    return Registration(version=1, client="roar", session=SECRET_SESSION, jobs=(secret,), datasets=(folder,))


@dataclasses.dataclass
class Guarded:
    client: TestClient
    engine: object
    tokens: dict

    def get(self, path, who=None, **more):
        headers = {"authorization": f"Bearer {self.tokens[who]}"} if who else {}
        return self.client.get(path, headers=headers, **more)

    def post(self, registration, who=None, project=None):
        headers = {"authorization": f"Bearer {self.tokens[who]}"} if who else {}
        return self.client.post("/api/v1/sessions", content=body(registration), headers=JSON | headers,
                                params={"project": project} if project else {})


@pytest.fixture
def guarded(database):
    """Alice writes the private project `hush`, bob and anyone do not know of it; `open` is public."""
    engine = open_engine(database)
    tokens = {}
    with writing(engine) as connection:
        ids = {name: accounts.add_user(connection, name, PASSWORD, admin=name == "root")
               for name in ("alice", "bob", "carol", "root")}
        hush = create_project(connection, "hush", "private")
        public = create_project(connection, "open", "public")
        set_member(connection, hush, ids["alice"], can_write=True)
        set_member(connection, hush, ids["carol"], can_write=False)
        set_member(connection, public, ids["bob"], can_write=True)
        tokens = {name: accounts.add_token(connection, number, "test") for name, number in ids.items()}
        tokens["reader"] = accounts.add_token(connection, ids["alice"], "read", scope="read")
    with TestClient(create_app(Settings(database=database, accounts=True)), base_url="https://testserver") as client:
        yield Guarded(client, engine, tokens)
    engine.dispose()


@pytest.fixture
def filled(guarded):
    """Bob's public session and Alice's private one."""
    known = job(1, inputs=(use("shared.csv"),), outputs=(use("known.txt"),))
    public = dataclasses.replace(digits(), jobs=(known,), datasets=(), payloads=())
    assert guarded.post(public, "bob", "open").status_code == 201
    answer = guarded.post(private_registration(), "alice", "hush")
    assert answer.status_code == 201, answer.text
    guarded.dag = answer.json()["dag"]
    return guarded


def everything(dag):
    """Every address at which something private could show."""
    secret = digest("hush.bin")
    shared = digest("shared.csv")
    folder = private_registration().datasets[0].digest
    api = ["jobs", f"jobs/{uid(77)}", f"jobs/{uid(77)}/inputs", f"jobs/{uid(77)}/outputs", f"sessions/{dag}",
           *(f"{what}/export/{name}" for name in ("cyclonedx", "openlineage", "prov", "ro-crate")
             for what in (f"sessions/{dag}", f"jobs/{uid(77)}", f"artifacts/{secret}", f"artifacts/{shared}",
                          f"artifacts/{folder}", f"artifacts/{digest('hush member')}", f"jobs/{uid(1)}")),
           "sessions", f"sessions?session={SECRET_SESSION}", f"artifacts/{folder}/members?folder=",
           f"artifacts/{secret}", f"artifacts/{shared}", f"artifacts/{folder}", f"artifacts/{folder}/members",
           f"artifacts/{digest('hush member')}", f"artifacts/{shared}/lineage?depth=9",
           f"artifacts/{secret}/lineage", "tracker-runs", "tracker-runs?project=hush",
           "trackers", f"jobs/{uid(1)}", f"jobs/{uid(1)}/inputs", f"jobs/{uid(1)}/outputs",
           *(f"artifacts/{one}/uses?role={role}" for one in (secret, shared, folder)
             for role in ("input", "output", "payload")),
           f"compare?a={uid(77)}&b={uid(1)}"]
    queries = ["hush", "hush.py", "hush=hush", uid(77)[:20], secret[:12], "hush.bin", "shared.csv", "hush0run",
               "https://wandb.ai/x/hush/runs/hush0run", dag[:12], "numpy", "7e7e7e7e", digest("hush member")[:12],
               "hush/hush member", "mine/hush member"]
    pages = ["/", "/tracker-runs", "/tracker-runs?project=x", f"/jobs/{uid(77)}", f"/jobs/{uid(77)}/inputs",
             f"/artifacts/{folder}?folder=hush", f"/artifacts/{folder}?within=hush",
             f"/dag/{dag}", f"/artifacts/{secret}", f"/artifacts/{shared}", f"/artifacts/{folder}", f"/jobs/{uid(1)}",
             f"/compare?a={uid(77)}&b={uid(1)}"]
    return ([f"/api/v1/{path}" for path in api] + pages + [f"/search?q={q}" for q in queries]
            + [f"/api/v1/search?q={q}" for q in queries])


def without_echo(path, text):
    """A page may repeat the address it was asked for."""
    for part in re.split(r"[/?=&]", path):
        if len(part) > 3:
            text = text.replace(part, "").replace(part[:64], "")
    return text.replace(digest("hush.bin")[:10], "") if "artifacts" in path and "404" in text else text


def test_an_export_holds_only_what_its_viewer_may_see(guarded):
    """What was made in private is known only as an input of the public job; who may see both gets both."""
    hidden = job(77, outputs=(use("mid.bin"),), tracker_runs=(wandb_run(run_id="hush0run"),))
    seen = job(1, started_at="2026-11-22T11:00:00.000000Z", inputs=(use("mid.bin"),), outputs=(use("known.txt"),))
    for number, (one, who, project) in enumerate(((hidden, "alice", "hush"), (seen, "bob", "open"))):
        session = dataclasses.replace(digits(), session=f"{number:032x}", jobs=(one,), datasets=(), payloads=())
        assert guarded.post(session, who, project).status_code == 201
    path = f"/api/v1/artifacts/{digest('known.txt')}/export"
    for name in ("cyclonedx", "openlineage", "prov", "ro-crate"):
        for who, shown in ((None, False), ("bob", False), ("alice", True), ("root", True)):
            text = guarded.get(f"{path}/{name}", who).text
            uids = (uid(77), str(uuid.UUID(uid(77))))
            assert "known.txt" in text
            assert any(one in text for one in uids) == ("hush0run" in text) == shown, (name, who)


@pytest.mark.parametrize("who", [None, "bob"])
def test_nothing_private_shows(filled, who):
    for path in everything(filled.dag):
        answer = filled.get(path, who)
        assert answer.status_code in {200, 404}, path
        text = without_echo(path, answer.text)
        assert [mark for mark in MARKS if mark in text] == [], (path, answer.text)
        assert SECRET_SESSION not in text


@pytest.mark.parametrize("who", ["alice", "carol", "root"])
def test_members_and_admins_see_it(filled, who):
    for path in (f"/jobs/{uid(77)}", f"/dag/{filled.dag}", f"/artifacts/{digest('hush.bin')}",
                 f"/artifacts/{digest('hush member')}"):
        assert filled.get(path, who).status_code == 200, path
    assert "hush job" in filled.get("/", who).text


def test_what_is_unknown_and_what_is_private_look_the_same(filled):
    private = filled.get(f"/api/v1/jobs/{uid(77)}", "bob").json()
    unknown = filled.get(f"/api/v1/jobs/{uid(78)}", "bob").json()
    assert private == {key: str(value).replace(uid(78), uid(77)) if key != "status" else value
                       for key, value in unknown.items()}


@pytest.mark.parametrize(("who", "project", "status"), [
    (None, None, 401), (None, "open", 401), ("reader", "hush", 403), ("carol", "hush", 403), ("bob", "hush", 404),
    ("alice", "open", 403), ("bob", None, 201), ("alice", "hush", 201), ("root", "hush", 201),
    ("bob", "nowhere", 404)])
def test_who_may_register_where(guarded, who, project, status):
    assert guarded.post(digits() if project != "hush" else private_registration(), who, project).status_code == status


def test_a_session_stays_in_its_project(filled):
    more = dataclasses.replace(private_registration(), jobs=(*private_registration().jobs, job(78)))
    assert filled.post(more, "bob", "open").status_code == 404
    for known in (more, private_registration()):
        refused = filled.post(known, "alice", "open")
        assert refused.status_code == 409
        assert refused.json()["detail"] == "This session is in the project hush already and stays there."
    assert filled.get(f"/api/v1/jobs/{uid(78)}", "alice").status_code == 404
    assert filled.post(more, "alice").status_code == 201
    assert filled.post(more, "alice", "hush").json()["created"] is False
    assert filled.get(f"/api/v1/jobs/{uid(78)}").status_code == 404
    assert filled.get(f"/api/v1/jobs/{uid(78)}", "alice").json()["project"] == "hush"


def claim(**more):
    """A session of bob's own that names digests of what only alice has."""
    taken = job(50, inputs=(dataclasses.replace(use("mine"), **more),))
    return dataclasses.replace(digits(), session="b0" * 16, jobs=(taken,), datasets=(), payloads=())


def test_the_digest_of_a_dataset_opens_none_of_its_members(filled):
    """Bob was sent a link to a private dataset. He says that he used it, and sees his own words only."""
    folder = private_registration().datasets[0].digest
    assert filled.post(claim(digest=folder, size=7, kind="dataset", files=9), "bob", "open").status_code == 201
    mine = filled.get(f"/api/v1/artifacts/{folder}", "bob").json()
    assert (mine["size"], mine["files"], mine["names"]) == (7, 9, ["mine"])
    assert filled.get(f"/api/v1/artifacts/{folder}/members", "bob").json()["members"] == []
    exports = [f"/api/v1/jobs/{uid(50)}/export/{name}?members=true"
               for name in ("cyclonedx", "openlineage", "prov", "ro-crate")]
    for path in [*everything(filled.dag), *exports]:
        text = without_echo(path, filled.get(path, "bob").text).replace(folder, "")
        assert [mark for mark in MARKS if mark in text] == [], path
    assert len(filled.get(f"/api/v1/artifacts/{folder}/members", "alice").json()["members"]) == 2


def test_who_knows_the_members_of_a_dataset_sees_them(filled):
    folder = private_registration().datasets[0]
    told = dataclasses.replace(claim(digest=folder.digest, size=1239, kind="dataset", files=2), datasets=(folder,))
    assert filled.post(told, "bob", "open").status_code == 201
    assert len(filled.get(f"/api/v1/artifacts/{folder.digest}/members").json()["members"]) == 2


@pytest.fixture
def den(guarded):
    """A private project of bob's besides."""
    with writing(guarded.engine) as connection:
        den = create_project(connection, "den", "private")
        set_member(connection, den, accounts.find_user_id(connection, "bob"), can_write=True)
    return guarded


def told(number, sizes):
    """A job that wrote a dataset with members of these sizes, which its digest does not cover, and a reader."""
    members = dataset_of(tuple(DatasetMember(path=f"{n}.npy", digest=digest(f"secret {n}"), size=size)
                               for n, size in enumerate(sizes)))
    whole = model.FileUse(path="data", digest=members.digest, size=sum(sizes), kind=model.Kind.DATASET, files=3)
    reader = job(number + 1, inputs=(use("data/1.npy", "secret 1", sizes[1]),), outputs=(use(f"m{number}"),))
    return dataclasses.replace(digits(), session=uid(number), jobs=(job(number, outputs=(whole,)), reader),
                               datasets=(members,), payloads=())


@pytest.mark.parametrize("order", [("bob", "alice"), ("alice", "bob")])
def test_sizes_told_out_of_sight_are_not_told_others(den, order):
    """Nor do they stand in the way of what others tell."""
    sizes = {"bob": [7, 8, 9], "alice": [100, 101, 102]}
    project = {"bob": "den", "alice": "hush"}
    numbers = {"bob": 60, "alice": 50}
    for turn, who in enumerate((*order, *order)):
        answer = den.post(told(numbers[who] + turn // 2 * 5, sizes[who]), who, project[who])
        assert answer.status_code == 201, answer.text
    whole = told(50, sizes["bob"]).datasets[0].digest
    for who, seen in (("bob", sizes["bob"]), ("alice", sizes["alice"]), ("carol", sizes["alice"])):
        for more in ("", "?folder=", "?within=npy"):
            found = den.get(f"/api/v1/artifacts/{whole}/members{more}", who).json()["members"]
            assert [one["size"] for one in found] == seen, (who, more)
        inside = digest("secret 2")
        assert den.get(f"/api/v1/artifacts/{inside}", who).json()["size"] == seen[2]
        hits = den.get(f"/api/v1/search?q={inside[:20]}", who).json()["artifacts"]
        hits += den.get("/api/v1/search?q=data/2.npy", who).json()["artifacts"]
        assert [one["size"] for one in hits] == [seen[2]] * 2
        nodes = den.get(f"/api/v1/artifacts/{inside}/lineage", who).json()["artifacts"]
        assert [one["size"] for one in nodes if one["digest"] == inside] == [seen[2]]
        number = numbers.get(who, 50)
        exported = den.get(f"/api/v1/jobs/{uid(number)}/export/openlineage?members=true", who).text
        others = [7, 8, 9] if seen != [7, 8, 9] else [100, 101, 102]
        assert not re.findall(rf'"(?:size|fileSize|bytes)": ?(?:{"|".join(map(str, others))})\b', exported)
        read = den.get(f"/api/v1/jobs/{uid(number + 1)}/inputs", who).json()["inputs"]
        assert [one["written_by"]["uid"] for one in read] == [uid(number)]


@pytest.mark.parametrize("known", [True, False])
def test_a_refused_size_tells_nothing_of_what_is_out_of_sight(den, known):
    """Bob says first that he has some content, and then how large it may be: that is asked of his own project only."""
    if known:
        assert den.post(named(40, ["plan"]), "alice", "hush").status_code == 201
    for number, size, status in ((41, None, 201), (42, 1, 201), (43, 1234, 422), (44, 1, 201)):
        mine = job(number, inputs=(use("x", "plan.bin", size),))
        answer = den.post(dataclasses.replace(digits(), session=uid(number), jobs=(mine,), datasets=(), payloads=()),
                          "bob", "den")
        assert answer.status_code == status, (size, answer.text)
    assert den.get(f"/api/v1/artifacts/{digest('plan.bin')}", "bob").json()["size"] == 1


def test_a_wrong_size_in_one_project_does_not_block_another(filled):
    wrong = claim(digest=digest("hush.csv"), size=5)
    assert filled.post(wrong, "bob", "open").status_code == 201
    assert filled.post(named(40, ["hush"], inputs=(use("hush.csv"),)), "alice", "hush").status_code == 201


def named(number, names, **more):
    """A job with these words in its command and these files."""
    taken = job(number, command=("python", *names), outputs=tuple(use(f"{name}.bin") for name in names), **more)
    return dataclasses.replace(digits(), session=uid(number), jobs=(taken,), datasets=(), payloads=())


def test_what_is_hidden_takes_no_place_in_a_search(guarded):
    """Else hidden words could be guessed letter by letter: by how many of one's own are found beside them."""
    for number in range(10):
        assert guarded.post(named(100 + number, [f"wombat~{number}"]), "bob", "open").status_code == 201
    for number in range(3):
        assert guarded.post(named(200 + number, [f"wombat{n}" for n in range(number, 40)]), "alice", "hush"
                            ).status_code == 201
    for who, jobs, files in (("bob", 10, 10), (None, 10, 10), ("alice", 3, 10), ("root", 3, 10)):
        for prefix in ("wombat", "womb"):
            found = guarded.get("/api/v1/search", who, params={"q": prefix, "limit": 100}).json()
            assert (len(found["jobs"]), len(found["artifacts"])) == (jobs, files), (who, prefix)
    found = guarded.get("/api/v1/search", "bob", params={"q": "wombat~"}).json()
    assert len(found["jobs"]) == len(found["artifacts"]) == 10


def test_hidden_digests_and_packages_take_no_place_either(guarded, monkeypatch):
    monkeypatch.setattr(search, "ENVIRONMENTS_LOOKED_AT", 1)
    search._environments_with.cache_clear()
    for number in range(20):
        python = model.Python(version=f"3.{number}", packages=(model.Package(name="wombats", version="1"),))
        hidden = named(200 + number, ["x"], python=python, inputs=(
            dataclasses.replace(use(f"hidden{number}"), digest=f"abcd{number:060x}"),))
        assert guarded.post(hidden, "alice", "hush").status_code == 201
    python = model.Python(version="2.7", packages=(model.Package(name="wombats", version="1"),))
    mine = named(300, ["y"], python=python, inputs=(dataclasses.replace(use("mine"), digest="abcd" + "f" * 60),))
    assert guarded.post(mine, "bob", "open").status_code == 201
    for query in ("wombats", "wombats==1"):
        found = guarded.get("/api/v1/search", "bob", params={"q": query}).json()["jobs"]
        assert [one["uid"] for one in found] == [uid(300)]
    found = guarded.get("/api/v1/search", "bob", params={"q": "abcd", "limit": 1}).json()["artifacts"]
    assert [one["path"] for one in found] == ["mine"]
    search._environments_with.cache_clear()


@pytest.mark.parametrize("size", [1, 1234, None])
def test_a_refusal_does_not_tell_that_some_content_is_there(filled, size):
    """Bob guesses what a private file holds, and says its digest with any size: he is answered as if it were new."""
    guess = digest("hush.bin")
    assert filled.post(claim(digest=guess, size=size), "bob", "open").status_code == 201
    assert filled.get(f"/api/v1/artifacts/{guess}", "bob").json()["size"] == size
    assert filled.get(f"/api/v1/artifacts/{guess}").json()["size"] == size
    again = dataclasses.replace(private_registration(), client="roar 2", jobs=(
        *private_registration().jobs, job(79, inputs=(use("hush.bin"),))))
    answer = filled.post(again, "alice")
    assert answer.status_code == 201, answer.text
    assert filled.get(f"/api/v1/jobs/{uid(77)}", "alice").json()["outputs"][0]["size"] == 1234


def test_tokens_expire_and_are_revoked(guarded):
    assert guarded.get("/api/v1/whoami", "alice").json()["user"] == "alice"
    with writing(guarded.engine) as connection:
        alice = accounts.find_user_id(connection, "alice")
        newest = accounts.tokens_of(connection, alice)[-1]
        accounts.revoke_token(connection, newest.id)
    assert guarded.get("/api/v1/whoami", "alice").status_code == 401
    with writing(guarded.engine) as connection:
        connection.execute(update(models.token), {"expires_at": "2020-01-01T00:00:00.000000Z"})
    assert guarded.get("/api/v1/jobs", "bob").status_code == 401
    assert guarded.client.get("/api/v1/jobs", headers={"authorization": "Bearer nonsense"}).status_code == 401


def test_a_tokens_days_and_number_have_bounds(guarded):
    client = guarded.client
    sign_in(client, "alice")
    headers = {"origin": "https://testserver"}
    for days in ("0", "3661", "0000199999", "00001999999999999", "9" * 200, "\u0663"):
        answer = client.post("/account/tokens", data={"name": "x", "days": days}, headers=headers)
        assert answer.status_code == 422, days
        assert "1 to 3660 days" in answer.text
    assert client.post("/account/tokens", data={"name": "x", "days": "3660"}, headers=headers).status_code == 200
    for number in ("0", str(2**63), "99999999999999999999999"):
        answer = client.post(f"/account/tokens/{number}/revoke", headers=headers, follow_redirects=False)
        assert answer.status_code == 303, number


@pytest.mark.parametrize("who", ["reader", "alice"])
def test_a_token_makes_no_other_token(guarded, who):
    """Else one that may only read, or that expires tomorrow, would be as good as any."""
    headers = {"origin": "https://testserver", "authorization": f"Bearer {guarded.tokens[who]}"}
    begun = guarded.client.post("/api/v1/device").json()
    for path, data in (("/account/tokens", {"name": "x"}), ("/device", {"code": begun["user_code"]}),
                       ("/account/tokens/1/revoke", {})):
        assert guarded.client.post(path, data=data, headers=headers).status_code == 403
    ask = {"device_code": begun["device_code"]}
    assert guarded.client.post("/api/v1/device/token", json=ask).json() == {"error": "authorization_pending"}


def test_a_disabled_user_may_do_nothing(guarded):
    with writing(guarded.engine) as connection:
        accounts.set_active(connection, "bob", active=False)
    assert guarded.get("/api/v1/jobs", "bob").status_code == 401
    assert sign_in(guarded.client, "bob").status_code == 401


def test_no_secret_is_kept(guarded):
    with guarded.engine.connect() as connection:
        kept = str([list(connection.execute(select(table))) for table in (models.user, models.token, models.audit)])
    assert PASSWORD not in kept
    for token in guarded.tokens.values():
        assert token not in kept
        assert token.removeprefix("glaas_") not in kept


def sign_in(client, name, password=PASSWORD, origin="https://testserver", **more):
    return client.post("/login", data={"name": name, "password": password} | more, follow_redirects=False,
                       headers={"origin": origin} if origin else {})


def test_signing_in_with_a_browser(filled):
    client = filled.client
    assert client.get(f"/jobs/{uid(77)}").status_code == 404
    answer = sign_in(client, "alice", target="/account")
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    cookie = answer.headers["set-cookie"]
    for word in ("__Host-glaas=", "HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert word in cookie
    assert client.get(f"/jobs/{uid(77)}").status_code == 200
    assert "alice" in client.get("/account").text
    made = client.post("/account/tokens", data={"name": "ci", "scope": "read", "days": "7"},
                       headers={"origin": "https://testserver"})
    fresh = re.search(r"<code>(glaas_[\w-]+)</code>", made.text)[1]
    assert fresh not in client.get("/account").text
    client.post("/logout", headers={"origin": "https://testserver"})
    assert client.get(f"/jobs/{uid(77)}").status_code == 404
    assert client.get(f"/jobs/{uid(77)}", headers={"authorization": f"Bearer {fresh}"}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", None, "https://testserver.evil.example"])
def test_another_sites_form_does_nothing(guarded, origin):
    client = guarded.client
    assert sign_in(client, "alice", origin=origin).status_code == 403
    assert sign_in(client, "alice").status_code == 303
    headers = {"origin": origin} if origin else {}
    assert client.post("/account/tokens", data={"name": "x"}, headers=headers).status_code == 403
    assert client.post("/logout", headers=headers).status_code == 403
    assert client.post("/api/v1/sessions", content=body(digits()), headers=JSON | headers).status_code == 403
    assert "alice" in client.get("/account").text


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_what_the_browser_says_of_the_sender_counts(guarded, site):
    headers = {"sec-fetch-site": site, "origin": "https://testserver"}
    data = {"name": "alice", "password": PASSWORD}
    assert guarded.client.post("/login", data=data, headers=headers).status_code == 403
    headers = {"sec-fetch-site": "same-origin", "origin": "null"}
    assert guarded.client.post("/login", data=data, headers=headers, follow_redirects=False).status_code == 303


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert"])
def test_signing_in_never_leads_elsewhere(guarded, target):
    assert sign_in(guarded.client, "alice", target=target).headers["location"] == "/"


def test_guessing_a_password_is_slowed_down(guarded):
    statuses = [sign_in(guarded.client, "alice", password="wrong").status_code for _ in range(accounts.MOST_FAILURES)]
    assert set(statuses) == {401}
    assert sign_in(guarded.client, "alice").status_code == 429
    assert sign_in(guarded.client, "bob").status_code == 303


def test_roar_logs_in_by_way_of_a_browser(guarded):
    client = guarded.client
    begun = client.post("/api/v1/device").json()
    ask = {"device_code": begun["device_code"]}
    waiting = client.post("/api/v1/device/token", json=ask)
    assert (waiting.status_code, waiting.json()) == (400, {"error": "authorization_pending"})
    assert client.get("/device", follow_redirects=False).status_code == 303
    sign_in(client, "alice")
    assert begun["user_code"] in client.get(begun["verification_uri_complete"]).text
    wrong = client.post("/device", data={"code": "BBBB-BBBB"}, headers={"origin": "https://testserver"})
    assert "unknown or has expired" in wrong.text
    done = client.post("/device", data={"code": begun["user_code"].lower()}, headers={"origin": "https://testserver"})
    assert "Connected" in done.text
    client.cookies.clear()
    token = client.post("/api/v1/device/token", json=ask).json()["access_token"]
    assert client.get("/api/v1/whoami", headers={"authorization": f"Bearer {token}"}).json()["user"] == "alice"
    assert client.post("/api/v1/device/token", json=ask).json() == {"error": "expired_token"}


@pytest.mark.parametrize("shut_out", [
    lambda connection: [accounts.set_active(connection, "alice", active=active) for active in (False, True)],
    lambda connection: accounts.set_password(connection, "alice", "another horse battery")])
def test_a_device_login_ends_with_the_session_it_was_approved_in(guarded, shut_out):
    client = guarded.client
    begun = client.post("/api/v1/device").json()
    sign_in(client, "alice")
    client.post("/device", data={"code": begun["user_code"]}, headers={"origin": "https://testserver"})
    with writing(guarded.engine) as connection:
        shut_out(connection)
    answer = client.post("/api/v1/device/token", json={"device_code": begun["device_code"]})
    assert (answer.status_code, answer.json()) == (400, {"error": "expired_token"})


def test_the_audit_log_tells_who_did_what(guarded):
    sign_in(guarded.client, "alice")
    sign_in(guarded.client, "bob", password="wrong")
    with guarded.engine.connect() as connection:
        lines = [(row.action, row.subject) for row in connection.execute(select(models.audit))]
    assert ("signed in", "alice") in lines
    assert ("sign-in failed", "bob") in lines
    assert ("user added", "root") in lines


@pytest.mark.parametrize(("name", "password"), [
    ("", PASSWORD), ("a b", PASSWORD), ("-x", PASSWORD), ("x" * 101, PASSWORD), ("ok", "short"), ("alice", PASSWORD)])
def test_users_that_cannot_be(guarded, name, password):
    with pytest.raises(UsageError), writing(guarded.engine) as connection:
        accounts.add_user(connection, name, password)


def test_a_sender_may_be_held_back(database):
    with TestClient(create_app(Settings(database=database, writes_per_minute=2))) as client:
        statuses = [client.post("/api/v1/sessions", content=body(digits()), headers=JSON).status_code
                    for _ in range(3)]
    assert statuses == [201, 200, 429]
