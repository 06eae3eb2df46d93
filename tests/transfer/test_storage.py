"""`roar put` and `roar get` against a real S3 server, as a user would type them."""

import base64
import http.server
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import urllib.request

import pytest
from blake3 import blake3

READER = {"AWS_ACCESS_KEY_ID": "READERKEY", "AWS_SECRET_ACCESS_KEY": "readersecret"}
LARGE = 200 * 1024 * 1024


def digest_of(content):
    return blake3(content).hexdigest()


def parts(folder):
    return [name for name in os.listdir(folder) if name.startswith(".roar-")]


def use(job, side):
    """The one input or output of a job."""
    (only,) = job[side]
    return only


def train(desk, name="model.pt", text="weights"):
    return desk.python(f"open({name!r}, 'w').write({text!r})")


def test_a_file_there_and_back(desk, bucket):
    train(desk)
    desk.roar("put", "model.pt", f"{bucket.url}/models/v1.pt")
    put = desk.job()
    digest = digest_of(b"weights")
    assert bucket.read("models/v1.pt") == (b"weights", {"blake3": digest})
    assert (put["kind"], put["exit_code"], put["tracer"]) == ("put", 0, {"mode": "transfer", "gaps": []})
    assert put["command"] == ["roar", "put", "model.pt", f"{bucket.url}/models/v1.pt"]
    assert use(put, "inputs") == {"path": "model.pt", "digest": digest, "size": 7, "kind": "file"}
    assert use(put, "outputs") == {"path": f"{bucket.url}/models/v1.pt", "digest": digest, "size": 7, "kind": "file"}
    os.unlink(desk.root / "model.pt")
    desk.roar("get", f"{bucket.url}/models/v1.pt", "back.pt")
    got = desk.job()
    assert (desk.root / "back.pt").read_bytes() == b"weights"
    assert got["kind"] == "get"
    assert use(got, "inputs") == use(put, "outputs")
    assert use(got, "outputs") == {**use(put, "inputs"), "path": "back.pt"}
    assert parts(desk.root) == []


def test_lineage_goes_through_the_store(desk, bucket):
    train(desk)
    desk.roar("put", "model.pt", f"{bucket.url}/models/")
    os.rename(desk.root / "model.pt", desk.root / "moved.pt")
    desk.roar("get", f"{bucket.url}/models/model.pt", "elsewhere/")
    desk.python("open('score', 'w').write(open('elsewhere/model.pt').read() + '!')")
    jobs = desk.json("lineage", "score")["jobs"]
    assert [job["command"][1] for job in jobs] == ["-c", "get", "put", "-c"]
    assert jobs[-1]["uid"] == desk.job("@1")["uid"]
    assert desk.json("lineage", f"{bucket.url}/models/model.pt")["root"] == digest_of(b"weights")
    assert "roar itself, which moved the files" in desk.roar("show", "@2").stdout
    listed = desk.roar("log", "--path", f"{bucket.url}/models/model.pt").stdout
    assert len(listed.splitlines()) == 2
    assert "roar get" in listed
    assert f"{bucket.url}/models/model.pt" in desk.roar("dag", "--json").stdout


def test_status_does_not_call_objects_gone(desk, bucket):
    train(desk)
    desk.roar("put", "model.pt", f"{bucket.url}/models/")
    desk.roar("get", f"{bucket.url}/models/model.pt", "copy.pt")
    status = desk.json("status")
    assert {output["path"]: output["state"] for output in status["outputs"]} == {
        "model.pt": "fresh", "copy.pt": "fresh"}
    desk.write("model.pt", "trained again")
    assert [step["step"] for step in desk.json("status")["steps"] if step["stale"]] == [2, 3]


def test_another_machine_and_glaas(desk, bucket, glaas, tmp_path):
    """The digest joins what two workspaces know, on the server too."""
    train(desk)
    desk.roar("put", "model.pt", f"{bucket.url}/models/")
    desk.roar("register", "--server", glaas)
    other = tmp_path / "other"
    other.mkdir()
    desk.roar("get", f"{bucket.url}/models/model.pt", cwd=other)
    desk.roar("run", "-q", sys.executable, "-c", "open('score', 'w').write(open('model.pt').read() + '!')", cwd=other)
    desk.roar("register", "--server", glaas, cwd=other)
    got = json.loads(desk.roar("show", "@1", "--json", cwd=other).stdout)
    score = json.loads(desk.roar("show", "@2", "--json", cwd=other).stdout)["outputs"][0]["digest"]
    with urllib.request.urlopen(f"{glaas}/api/v1/artifacts/{score}/lineage?direction=up") as answer:
        lineage = json.load(answer)
    assert desk.job("@1")["uid"] in {job["uid"] for job in lineage["jobs"]}
    with urllib.request.urlopen(f"{glaas}/jobs/{got['uid']}") as answer:
        page = answer.read().decode()
    assert f"{bucket.url}/models/model.pt" in page
    assert "roar itself moved these files." in page
    assert 'href="s3:' not in page


def test_a_root_input_that_was_fetched_has_a_source(desk, bucket):
    bucket.write("raw.csv", b"1,2,3")
    desk.roar("get", f"{bucket.url}/raw.csv")
    desk.python("open('n', 'w').write(str(len(open('raw.csv').read())))")
    (root,) = desk.json("inputs")["inputs"]
    assert (root["path"], root["digest"]) == (f"{bucket.url}/raw.csv", digest_of(b"1,2,3"))
    assert "1 root input fetched from where they are stored" in desk.roar("inputs").stdout
    checklist = desk.roar("status", "--checklist", status=1).stdout
    assert re.search(r"(?m)^.*every root input has a source.*$", checklist)
    items = json.loads(desk.roar("status", "--checklist", "--json", status=1).stdout)["checklist"]
    passed = {item["title"]: item["passed"] for item in items}
    assert passed["every root input has a source"] is True
    assert passed["every job was observed without gaps"] is True


def test_what_is_there_is_not_sent_or_fetched_again(desk, proxy, bucket):
    for number in range(5):
        desk.write(f"d/{number}", str(number))
    desk.roar("put", "d", f"{bucket.url}/d")
    assert proxy.count("PUT") == 5
    desk.write("d/new", "new")
    said = desk.roar("put", "d", f"{bucket.url}/d").stderr
    assert proxy.count("PUT") == 6
    assert "sent 1 file" in said
    assert "5 files there already" in said
    assert len(desk.job()["outputs"]) == 6
    desk.roar("get", f"{bucket.url}/d", "back")
    os.unlink(desk.root / "back/3")
    before = proxy.count("GET", "/d/")
    said = desk.roar("get", f"{bucket.url}/d", "back").stderr
    assert proxy.count("GET", "/d/") == before + 1
    assert "fetched 1 file, 1 B" in said
    assert [job["step"] for job in desk.json("log")["jobs"]] == [2, 2, 1, 1]


def test_an_object_without_a_digest_is_compared_by_its_content(desk, proxy, bucket):
    """As when another program put it there. Its ETag is never taken for a digest."""
    desk.write("same", "alike")
    desk.write("other", "alikE")
    bucket.write("same", b"alike")
    bucket.write("other", b"alike")
    desk.roar("put", "same", f"{bucket.url}/same")
    assert "is there already with other content" in desk.roar("put", "other", f"{bucket.url}/other", status=1).stderr
    assert proxy.count("PUT") == 0
    desk.roar("get", f"{bucket.url}/same")
    assert "1 file there already" in desk.roar("get", f"{bucket.url}/same").stderr


def test_other_content_is_replaced_only_with_force(desk, bucket):
    desk.write("d/a", "new")
    desk.write("d/b", "b")
    bucket.write("d/a", b"old")
    said = desk.roar("put", "d", f"{bucket.url}/d", status=1).stderr
    assert f"{bucket.url}/d/a is there already with other content; nothing was sent." in said
    assert "--force" in said
    assert bucket.keys() == {"d/a"}
    said = desk.roar("get", f"{bucket.url}/d/a", "d/a", status=1).stderr
    assert f"{desk.root}/d/a is there already with other content; nothing was fetched." in said
    assert (desk.root / "d/a").read_text() == "new"
    assert desk.roar("log", status=0).stdout.startswith("No job")
    desk.roar("get", f"{bucket.url}/d/a", "d/a", "--force")
    assert (desk.root / "d/a").read_text() == "old"
    desk.write("d/a", "new")
    desk.roar("put", "d", f"{bucket.url}/d", "--force")
    assert bucket.read("d/a")[0] == b"new"


def test_names_of_all_kinds(desk, bucket):
    names = ["sp ace", "ü☃", "a+b&c=d", "h#a?s%20h", "[1]*~'\"", "100%", "new\nline", "tab\there", "lit%0Aeral",
             "lit%250Aeral", ".hidden", "deep/er/still", "empty"]
    for name in names:
        desk.write(f"d/{name}", "" if name == "empty" else name)
    desk.roar("put", "d", f"{bucket.url}/ü d/")
    assert "ü d/d/new%0Aline" in bucket.keys()  # noqa: SIM118  no dictionary
    desk.roar("get", f"{bucket.url}/ü d/d", "back")
    found = {str(path.relative_to(desk.root / "back")): path.read_text()
             for path in (desk.root / "back").rglob("*") if path.is_file()}
    assert found == {name: "" if name == "empty" else name for name in names}
    job = desk.job()
    assert {item["digest"] for item in job["inputs"]} == {item["digest"] for item in job["outputs"]}
    assert len(job["inputs"]) == len(names)


def test_a_name_that_is_no_text_is_told(desk, bucket):
    with open(os.fsencode(desk.root) + b"/\xff.bin", "w") as file:
        file.write("x")
    said = desk.roar("put", ".", f"{bucket.url}/d", status=2).stderr
    assert "its name is not UTF-8" in said
    assert bucket.keys() == set()


def test_a_folder_of_two_thousand_files_is_one_dataset(desk, bucket):
    desk.python("import os; os.mkdir('data')\nfor n in range(2000): open(f'data/{n}.txt', 'w').write(str(n))")
    desk.roar("put", "data", f"{bucket.url}/sets/")
    made, put = desk.job("@1"), desk.job()
    there = {**use(made, "outputs"), "path": f"{bucket.url}/sets/data/"}
    assert use(put, "inputs") == use(made, "outputs")
    assert use(put, "outputs") == there
    assert there["files"] == 2000
    desk.roar("get", f"{bucket.url}/sets/data", "copy")
    got = desk.job()
    assert use(got, "inputs") == there
    assert use(got, "outputs") == {**use(made, "outputs"), "path": "copy/"}
    assert [job["uid"] for job in desk.json("lineage", "copy")["jobs"]] == [got["uid"], put["uid"], made["uid"]]
    assert len(bucket.keys()) == 2000


def test_a_recorded_dataset_is_sent_by_its_digest(desk, bucket):
    desk.python("import os; os.mkdir('data')\nfor n in range(120): open(f'data/{n}.txt', 'w').write(str(n))")
    made = use(desk.job(), "outputs")
    desk.write("data/more.txt", "not a member")
    desk.roar("put", made["digest"][:12], f"{bucket.url}/sets/")
    assert use(desk.job(), "outputs") == {**made, "path": f"{bucket.url}/sets/data/"}
    assert len(bucket.keys()) == 120
    desk.write("data/7.txt", "changed")
    said = desk.roar("put", made["digest"][:12], f"{bucket.url}/sets/", status=1).stderr
    assert f"The content of artifact {made['digest'][:12]} lies nowhere any more." in said


def large_file(desk, size=LARGE):
    block = os.urandom(1 << 20)
    with open(desk.root / "large.bin", "wb") as file:
        file.writelines(number.to_bytes(8, "big") + block[8:] for number in range(size >> 20))
    return blake3().update_mmap(desk.root / "large.bin").hexdigest()  # with more threads no fork could do so later


def test_a_large_file_goes_in_parts(desk, proxy, bucket):
    digest = large_file(desk)
    desk.roar("put", "large.bin", f"{bucket.url}/large.bin")
    assert proxy.count("PUT", "uploadId=") == 25
    head = bucket.client.head_object(Bucket=bucket.name, Key="large.bin")
    assert (head["ContentLength"], head["Metadata"]) == (LARGE, {"blake3": digest})
    desk.roar("get", f"{bucket.url}/large.bin", "back.bin")
    assert use(desk.job(), "outputs")["digest"] == digest
    assert desk.roar("get", f"{bucket.url}/large.bin", "back.bin").stderr.count("there already") == 1


def test_a_killed_get_is_taken_up(desk, proxy, bucket, until):
    digest = large_file(desk, 48 << 20)
    desk.roar("put", "large.bin", f"{bucket.url}/large.bin")
    proxy.slow, proxy.moved = 30_000_000, 0
    process = desk.start("get", f"{bucket.url}/large.bin", "back.bin")
    until(lambda: proxy.moved > 20_000_000)
    process.kill()
    process.wait()
    assert not (desk.root / "back.bin").exists()
    (part,) = parts(desk.root)
    begun = (desk.root / part).stat().st_size
    assert begun > 1_000_000
    proxy.slow, proxy.moved = None, 0
    proxy.requests.clear()
    desk.roar("get", f"{bucket.url}/large.bin", "back.bin")
    assert [headers["range"] for method, _, headers in proxy.requests if method == "GET"] == [f"bytes={begun}-"]
    assert use(desk.job(), "outputs")["digest"] == digest
    assert parts(desk.root) == []


def test_what_was_begun_with_another_object_is_not_taken_up(desk, proxy, bucket, until):
    large_file(desk, 32 << 20)
    desk.roar("put", "large.bin", f"{bucket.url}/large.bin")
    proxy.slow, proxy.moved = 30_000_000, 0
    process = desk.start("get", f"{bucket.url}/large.bin", "back.bin")
    until(lambda: proxy.moved > 15_000_000)
    process.kill()
    process.wait()
    proxy.slow = None
    digest = large_file(desk, 32 << 20)
    desk.roar("put", "--force", "large.bin", f"{bucket.url}/large.bin")
    desk.roar("get", f"{bucket.url}/large.bin", "back.bin")
    assert use(desk.job(), "outputs")["digest"] == digest
    assert parts(desk.root) == []


def test_a_killed_put_leaves_no_object(desk, proxy, bucket, until):
    digest = large_file(desk, 48 << 20)
    proxy.slow = 8_000_000
    process = desk.start("put", "large.bin", f"{bucket.url}/large.bin")
    until(lambda: proxy.moved > 10_000_000)
    process.kill()
    process.wait()
    proxy.slow = None
    assert bucket.keys() == set()
    assert desk.roar("log").stdout.startswith("No job")
    desk.roar("put", "large.bin", f"{bucket.url}/large.bin")
    assert bucket.client.head_object(Bucket=bucket.name, Key="large.bin")["Metadata"] == {"blake3": digest}


def test_a_killed_put_of_a_folder_sends_the_rest(desk, proxy, bucket, until):
    for number in range(60):
        desk.write(f"d/{number}", "x" * 100_000)
    proxy.slow = 400_000
    process = desk.start("put", "d", f"{bucket.url}/d")
    until(lambda: proxy.moved > 2_000_000)
    process.kill()
    process.wait()
    proxy.slow = None
    until(lambda: proxy.busy == 0)  # a request that was whole when the client was killed is carried out
    there = len(bucket.keys())
    assert 0 < there < 60
    proxy.requests.clear()
    desk.roar("put", "d", f"{bucket.url}/d")
    assert proxy.count("PUT") == 60 - there
    assert len(bucket.keys()) == 60
    assert len(desk.job()["outputs"]) == 60


def test_ctrl_c_records_what_was_moved(desk, proxy, bucket, until):
    for number in range(40):
        desk.write(f"d/{number:02}", "x" * 100_000)
    proxy.slow = 400_000
    process = desk.start("put", "d", f"{bucket.url}/d", stderr=subprocess.PIPE, text=True)
    until(lambda: proxy.moved > 2_000_000)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    job = desk.job()
    assert (job["state"], job["exit_code"]) == ("interrupted", 130)
    assert {item["path"].removeprefix(f"{bucket.url}/") for item in job["outputs"]} == bucket.keys()
    assert 0 < len(job["outputs"]) < 40


def test_two_at_the_same_file_do_not_mix(desk, proxy, bucket, until):
    large_file(desk, 32 << 20)
    desk.roar("put", "large.bin", f"{bucket.url}/large.bin")
    proxy.slow, proxy.moved = 20_000_000, 0
    first = desk.start("get", f"{bucket.url}/large.bin", "back.bin", "-q")
    until(lambda: proxy.moved > 2_000_000)
    said = desk.roar("get", f"{bucket.url}/large.bin", "back.bin", status=1).stderr
    assert "Another roar is writing" in said
    assert first.wait(60) == 0
    assert (desk.root / "back.bin").read_bytes() == (desk.root / "large.bin").read_bytes()


def test_a_wrong_object_behind_the_name_is_told(desk, bucket):
    right, wrong = digest_of(b"the right model"), digest_of(b"another model")
    bucket.write("model.pt", b"another model", blake3=right)
    said = desk.roar("get", f"{bucket.url}/model.pt", status=1).stderr
    assert f"{bucket.url}/model.pt is not what its store says it is: its content is {wrong[:12]}" in said
    assert os.listdir(desk.root) == [".roar"]
    bucket.write("model.pt", b"another model", blake3=wrong)
    desk.write("model.pt", "mine")
    said = desk.roar("get", "--force", "--digest", right, f"{bucket.url}/model.pt", status=1).stderr
    assert f"is not what it should be: its content is {wrong[:12]}…, not {right[:12]}…" in said
    assert (desk.root / "model.pt").read_text() == "mine"
    desk.roar("get", "--force", "--digest", wrong, f"{bucket.url}/model.pt")
    assert (desk.root / "model.pt").read_text() == "another model"


def test_a_new_object_under_an_old_name_is_mentioned(desk, bucket):
    desk.write("model.pt", "first")
    desk.roar("put", "model.pt", f"{bucket.url}/model.pt")
    bucket.write("model.pt", b"second")
    said = desk.roar("get", f"{bucket.url}/model.pt", "now.pt").stderr
    assert f"no longer holds what was recorded there last ({digest_of(b'first')[:12]})" in said


def test_a_server_that_is_busy_is_asked_again(desk, proxy, bucket):
    desk.write("a", "content")
    proxy.refuse = 2
    desk.roar("put", "a", f"{bucket.url}/a")
    proxy.refuse = 2
    desk.roar("get", f"{bucket.url}/a", "b")
    assert (desk.root / "b").read_text() == "content"
    assert proxy.refuse == 0


def test_a_put_that_fails_half_way_leaves_no_object(desk, proxy, bucket):
    large_file(desk, 24 << 20)
    proxy.refuse, proxy.status, proxy.part = 1000, 403, "partNumber=2"
    said = desk.roar("put", "large.bin", f"{bucket.url}/large.bin", status=1).stderr
    assert said.startswith(f"roar: Permission denied for {bucket.url}/large.bin.\n")
    assert bucket.keys() == set()
    assert desk.roar("log").stdout.startswith("No job")


def test_a_file_that_changes_while_it_is_sent_makes_no_object(desk, proxy, bucket, until):
    large_file(desk, 48 << 20)
    proxy.slow = 8_000_000
    process = desk.start("put", "large.bin", f"{bucket.url}/large.bin", stderr=subprocess.PIPE, text=True)
    until(lambda: proxy.moved > 2_000_000)
    with open(desk.root / "large.bin", "r+b") as file:
        file.seek(-1000, os.SEEK_END)
        file.write(b"changed")
    proxy.slow = None
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "large.bin was changed while it was sent; the object was not made." in said
    assert bucket.keys() == set()


def test_a_web_server_that_is_busy_or_breaks_off(desk, proxy, bucket, at):
    digest = large_file(desk, 24 << 20)
    desk.roar("put", "large.bin", f"{bucket.url}/large.bin")
    proxy.refuse, proxy.cut, proxy.spared = 2, 500_000, 1  # the first look at its head begins with the body, too
    with at(proxy.address) as through:
        signed = through.generate_presigned_url("get_object", Params={"Bucket": bucket.name, "Key": "large.bin"})
    desk.roar("get", signed, "back.bin")
    assert (proxy.refuse, proxy.cut) == (0, None)
    assert use(desk.job(), "outputs")["digest"] == digest
    assert proxy.requests[-1][2]["Range"] == "bytes=500000-"
    assert "1 file there already" in desk.roar("get", signed, "back.bin").stderr


def test_a_connection_that_breaks_is_taken_up(desk, proxy, bucket):
    digest = large_file(desk, 24 << 20)
    desk.roar("put", "large.bin", f"{bucket.url}/large.bin")
    proxy.cut = 500_000
    desk.roar("get", f"{bucket.url}/large.bin", "back.bin")
    assert proxy.cut is None
    assert use(desk.job(), "outputs")["digest"] == digest


def test_what_was_fetched_is_known_where_the_next_job_edits_it(desk, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "data").write_text("raw\n")
    desk.roar("get", f"file://{tmp_path}/store/data", "data")
    fetched = desk.job()["uid"]
    desk.roar("run", "sh", "-c", "echo more >> data")
    assert use(desk.job(), "inputs")["digest"] == digest_of(b"raw\n")
    assert fetched[:8] in desk.roar("lineage", "data").stdout


class Guarded(http.server.BaseHTTPRequestHandler):
    """Answers one user, and leads to another server behind `/moved`."""

    def do_GET(self):
        asked.append((self.server.server_port, self.path, self.headers.get("Authorization")))
        moved = self.path == "/moved"
        right = asked[-1][2] == "Basic " + base64.b64encode(b"ann:p@ss").decode()
        self.send_response(302 if moved else 200 if right else 401)
        if moved:
            self.send_header("Location", f"http://127.0.0.1:{self.server.other}/f.txt")
        self.send_header("Content-Length", "5" if right and not moved else "0")
        self.end_headers()
        self.wfile.write(b"hello" if right and not moved else b"")

    def log_message(self, *_):
        pass


asked = []


def test_user_and_password_of_a_web_address_go_to_its_server_alone(desk):
    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Guarded) for _ in range(2)]
    servers[0].other = servers[1].server_port
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"127.0.0.1:{servers[0].server_port}"
    desk.roar("get", f"http://ann:p%40ss@{host}/f.txt")
    assert (desk.root / "f.txt").read_text() == "hello"
    assert use(desk.job(), "inputs")["path"] == f"http://{host}/f.txt"
    asked.clear()
    desk.roar("get", f"http://ann:p%40ss@{host}/moved", "other", status=1)
    assert {(port, bool(secret)) for port, _, secret in asked} == {
        (servers[0].server_port, True), (servers[1].server_port, False)}
    assert "401" in desk.roar("get", f"http://ann:wrong@{host}/f.txt", "other", status=1).stderr
    for server in servers:
        server.shutdown()
        server.server_close()


def test_nothing_secret_of_a_signed_address_is_recorded(desk, bucket):
    bucket.write("raw data.csv", b"1,2,3")
    signed = bucket.client.generate_presigned_url("get_object", Params={"Bucket": bucket.name, "Key": "raw data.csv"})
    secrets = [value for value in re.findall(r"=([^&]{8,})", signed) if value != "raw%20data.csv"]
    assert len(secrets) >= 2
    said = desk.roar("get", signed, env=dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ""))
    assert (desk.root / "raw data.csv").read_bytes() == b"1,2,3"
    clean = f"{bucket.address}/{bucket.name}/raw%20data.csv"
    job = desk.job()
    assert use(job, "inputs")["path"] == clean
    assert job["command"] == ["roar", "get", clean]
    kept = b"".join(path.read_bytes() for path in (desk.root / ".roar").rglob("*") if path.is_file())
    for secret in secrets:
        assert secret.encode() not in kept
        assert secret not in said.stderr + said.stdout
    expired = re.sub(r"Signature=[^&]*", "Signature=00deadbeef00", signed)
    said = desk.roar("get", expired, "again.csv", status=1).stderr
    assert "answers 403" in said
    assert "deadbeef" not in said


@pytest.mark.parametrize("url", ["s3://AKIAIOSFODNN7EXAMPLE:hunter22secret@bucket/x", "s3://bob@bucket/x",
                                 "az://box/x?sv=2024&sig=hunter22secret"])
def test_secrets_in_a_url_are_refused_and_not_repeated(desk, url):
    desk.write("a", "a")
    said = desk.roar("put", "a", url, status=2).stderr
    assert "credentials do not belong there" in said
    assert "hunter22" not in said
    assert not (desk.root / ".roar").exists()


@pytest.mark.parametrize(("words", "env", "status", "sentence", "hint"), [
    (["put", "a", "s3://no-such-bucket/x"], {}, 1, "There is no bucket no-such-bucket.", "check its name"),
    (["get", "s3://no-such-bucket/x"], {}, 1, "There is no bucket no-such-bucket.", "check its name"),
    (["get", "s3://{bucket}/nothing"], {}, 1, "There is nothing at s3://{bucket}/nothing.", None),
    (["get", "s3://{bucket}/nothing/"], {}, 1, "There is nothing at s3://{bucket}/nothing/.", None),
    (["put", "nothing", "s3://{bucket}/x"], {}, 1, "There is no file or folder nothing", None),
    (["put", "folder", "s3://{bucket}/x"], {}, 1, "folder holds no files.", None),
    (["put", "a", "s3://{bucket}/x"], READER, 1,
     "Permission denied for s3://{bucket}/x.", "the credentials must allow"),
    (["get", "s3://{bucket}/there"], {"AWS_ACCESS_KEY_ID": "NOBODY"}, 1, "does not know the access key.",
     "check AWS_ACCESS_KEY_ID"),
    (["get", "s3://{bucket}/there"], {"AWS_SECRET_ACCESS_KEY": "wrong"}, 1, "does not accept the secret key.",
     "check AWS_SECRET_ACCESS_KEY"),
    (["get", "s3://{bucket}/there"], {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, 1,
     "http://127.0.0.1:9 cannot be reached", "check the network"),
    (["put", "a", "ftp://host/x"], {}, 2, "roar cannot move files to or from ftp:// addresses.", "s3://, gs://, az://"),
    (["put", "a", "https://host/x"], {}, 2, "roar does not put files on web servers.", "s3://"),
    (["put", "a", "b"], {}, 2, "The last argument of roar put is the URL to send to, not 'b'.", "roar put PATH s3://"),
    (["put", "s3://{bucket}/there", "a"], {}, 2, "The last argument of roar put is the URL", "roar put PATH s3://"),
    (["put", "a", "s3:///x"], {}, 2, "'s3:///x' names no bucket.", "s3://BUCKET/NAME"),
    (["put", "a", "s3://{bucket}/x//y"], {}, 2, "holds an empty part", None),
    (["put", "a", "folder/../a", "s3://{bucket}/x/"], {}, 0, "recorded @1", None),
    (["put", "a", "other/a", "s3://{bucket}/x"], {}, 2, "would both become s3://{bucket}/x/a.", "one `roar put`"),
    (["get", "--digest", "abc", "s3://{bucket}/there"], {}, 2, "'abc' is no digest", "roar get --help"),
    (["get", "--digest", "0" * 64, "s3://{bucket}/"], {}, 2, "--digest is for one object", "roar get --help"),
])
def test_what_is_wrong_is_said_in_one_sentence(desk, bucket, words, env, status, sentence, hint):
    desk.write("a", "a")
    desk.write("other/a", "b")
    (desk.root / "folder").mkdir()
    bucket.write("there", b"x")
    bucket.write("there too", b"x")
    done = desk.roar(*(word.format(bucket=bucket.name) for word in words), env=env, status=status)
    lines = done.stderr.splitlines()
    assert sentence.format(bucket=bucket.name) in lines[0]
    assert (lines[1].startswith("  try: ") and hint in lines[1]) if hint else (status == 0 or len(lines) == 1)
    assert "Traceback" not in done.stderr


def test_without_credentials_it_says_where_they_go(desk, bucket):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del desk.env[name]
    said = desk.roar("get", f"{bucket.url}/x", status=1).stderr
    assert said.startswith("roar: No credentials for S3 were found.\n  try: aws configure")


def test_a_profile_of_the_aws_tools_is_enough(desk, bucket):
    """Keys and the server's address from `~/.aws`, as `aws s3 cp` finds them."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        del desk.env[name]
    (desk.home / ".aws").mkdir()
    (desk.home / ".aws/credentials").write_text(
        "[lab]\naws_access_key_id = ALICEKEY\naws_secret_access_key = alicesecret\n")
    (desk.home / ".aws/config").write_text(f"[profile lab]\nregion = us-east-1\nendpoint_url = {bucket.address}\n")
    desk.write("a", "a")
    desk.roar("put", "a", f"{bucket.url}/a", env={"AWS_PROFILE": "lab"})
    assert bucket.keys() == {"a"}
    said = desk.roar("put", "a", f"{bucket.url}/b", env={"AWS_PROFILE": "nobody"}, status=1).stderr
    assert "The credentials for S3 cannot be had: The config profile (nobody) could not be found." in said


def test_a_reader_may_get(desk, bucket):
    bucket.write("a", b"a")
    desk.roar("get", f"{bucket.url}/a", env=READER)
    assert (desk.root / "a").read_text() == "a"


def test_who_may_not_look_sends_with_force(desk, bucket):
    desk.write("a", "a")
    desk.write("b", "b")
    writer = {"AWS_ACCESS_KEY_ID": "WRITERKEY", "AWS_SECRET_ACCESS_KEY": "writersecret"}
    for paths in (("a",), ("a", "b")):
        said = desk.roar("put", *paths, f"{bucket.url}/d/", env=writer, status=1).stderr
        assert "try: the credentials must allow to look, too; --force sends without" in said
        assert bucket.keys() == set()
    desk.roar("put", "a", "b", f"{bucket.url}/d/", "--force", env=writer)
    assert bucket.keys() == {"d/a", "d/b"}


def test_without_the_library_it_says_what_to_install(desk):
    desk.write("a", "a")
    code = ("import sys; sys.modules['obstore'] = None\nfrom roar.cli import main\nsys.exit(main(sys.argv[1:]))")
    done = subprocess.run([sys.executable, "-c", code, "put", "a", "gs://bucket/a"], cwd=desk.root, env=desk.env,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == ("roar: Buckets need a library that is not installed.\n"
                           "  try: in a clone of roar: pip install '.[storage]'\n")
    done = subprocess.run([sys.executable, "-c", code, "put", "a", f"file://{desk.tmp}/store/a"], cwd=desk.root,
                          env=desk.env, capture_output=True, text=True, check=True)
    assert (desk.tmp / "store/a").read_text() == "a"


def test_objects_that_name_folders_are_none(desk, bucket):
    """Some tools make an empty object for each folder."""
    for key in ("d/", "d/sub/", "d/sub/file"):
        bucket.write(key, b"x" if key.endswith("file") else b"")
    bucket.write("dd/not below d", b"x")
    desk.roar("get", f"{bucket.url}/d/", "back")
    assert [str(path.relative_to(desk.root)) for path in (desk.root / "back").rglob("*")] == ["back/sub",
                                                                                             "back/sub/file"]


def test_a_whole_bucket(desk, bucket):
    bucket.write("a", b"a")
    bucket.write("b/c", b"c")
    desk.roar("get", bucket.url)
    assert (desk.root / bucket.name / "b/c").read_text() == "c"


def test_quiet_and_json(desk, bucket):
    desk.write("a", "a")
    done = desk.roar("put", "-q", "--json", "--name", "up", "--label", "owner=alice", "a", f"{bucket.url}/a")
    job = desk.job()
    assert done.stderr == ""
    assert json.loads(done.stdout) == {"job": job["uid"], "step": 1, "files": [
        {"path": "a", "url": f"{bucket.url}/a", "digest": digest_of(b"a"), "size": 1, "state": "moved"}]}
    assert (job["name"], job["labels"]) == ("up", {"owner": "alice"})
    assert "up: roar put" in desk.roar("log", "--label", "owner=alice").stdout


def test_progress_shows_on_a_terminal(desk, proxy, bucket):
    large_file(desk, 16 << 20)
    proxy.slow = 20_000_000
    ours, theirs = pty.openpty()
    process = desk.start("put", "large.bin", f"{bucket.url}/large.bin", stderr=theirs, env={"TERM": "xterm"})
    os.close(theirs)
    shown = b""
    while True:
        try:
            block = os.read(ours, 65536)
        except OSError:  # EIO: the other side is closed
            break
        shown += block
    os.close(ours)
    assert process.wait() == 0
    assert b"roar: sending" in shown
    assert b"recorded @1" in shown


def test_a_rerun_by_its_step_and_a_reproduction(desk, bucket):
    bucket.write("raw.csv", b"1,2,3")
    desk.roar("get", f"{bucket.url}/raw.csv")
    desk.python("open('n', 'w').write(str(len(open('raw.csv').read())))")
    desk.roar("put", "n", f"{bucket.url}/n")
    assert [job["kind"] for job in desk.json("reproduce", "n")["jobs"]] == ["get", "run"]
    done = desk.roar("reproduce", "n", "--run", "--into", str(desk.tmp / "again"))
    assert "2 of 2 outputs came out the same" in done.stdout
    os.unlink(desk.root / "raw.csv")
    desk.roar("run", "-q", "@1")
    assert (desk.root / "raw.csv").read_bytes() == b"1,2,3"
    assert [(job["step"], job["kind"]) for job in desk.json("log")["jobs"]] == [
        (1, "get"), (3, "put"), (2, "run"), (1, "get")]
    bucket.write("raw.csv", b"4")
    assert "differs" in desk.roar("reproduce", "n", "--run", "--into", str(desk.tmp / "third"), status=1).stdout


def test_pop_forgets_the_job_and_leaves_the_object(desk, bucket):
    desk.write("a", "a")
    desk.roar("put", "a", f"{bucket.url}/a")
    desk.roar("pop", "--delete-outputs")
    assert bucket.keys() == {"a"}
    assert (desk.root / "a").exists()


def test_a_place_where_nothing_can_be_recorded(desk, bucket):
    desk.write("a", "a")
    (desk.root / ".roar").write_text("in the way")
    said = desk.roar("put", "a", f"{bucket.url}/a").stderr
    assert "this job was not recorded" in said
    assert bucket.keys() == {"a"}


def test_completion_knows_the_verbs(desk):
    assert desk.roar("completion", "words", "--", "pu").stdout == "put\n"
    assert "--force" in desk.roar("completion", "words", "--", "get", "--").stdout.split()


def test_nothing_is_fetched_into_the_record(desk, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "x").write_text("x")
    desk.roar("init")
    before = (desk.root / ".roar" / "roar.db").read_bytes()
    done = desk.roar("get", "--force", f"file://{tmp_path}/store/x", ".roar/roar.db", status=2)
    assert ".roar/roar.db lies in " in done.stderr
    assert (desk.root / ".roar" / "roar.db").read_bytes() == before
