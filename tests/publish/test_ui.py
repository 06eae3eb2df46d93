import json
import signal
import socket
import subprocess
import time
import urllib.request


def fetch(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read().decode()


def wait_for(look, seconds=30):
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def test_the_workspaces_own_pages_follow_what_is_recorded(desk):
    desk.init()
    desk.python("open('a.txt', 'w').write('a')")
    desk.roar("reset", status=None)
    desk.python("open('b.txt', 'w').write('b')")
    ui = desk.start("ui", "--no-browser", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        url = ui.stdout.readline().split()[-1]
        assert url.startswith("http://127.0.0.1:")

        def jobs():
            return [job["uid"] for job in json.loads(fetch(f"{url}api/v1/jobs"))["jobs"]]

        everything = {job["uid"] for job in desk.json("log", "--all")["jobs"]}
        assert len(everything) == 2
        wait_for(lambda: set(jobs()) == everything)
        desk.python("open('c.txt', 'w').write('c')")
        newest = desk.job()["uid"]
        wait_for(lambda: newest in jobs())
        assert "c.txt" in fetch(f"{url}jobs/{newest}")
    finally:
        ui.send_signal(signal.SIGINT)
        assert ui.wait(30) in {0, 130}
        ui.stdout.close()


def test_a_record_that_may_only_be_read_has_pages_too(desk):
    desk.roar("run", "true")
    for path in (*(desk.root / ".roar").iterdir(), desk.root / ".roar"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    desk.be_anybody()
    ui = desk.start("ui", "--no-browser", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        url = ui.stdout.readline().split()[-1]
        wait_for(lambda: len(json.loads(fetch(f"{url}api/v1/jobs"))["jobs"]) == 1)
    finally:
        ui.send_signal(signal.SIGINT)
        ui.wait(30)
        ui.stdout.close()
        (desk.root / ".roar").chmod(0o755)
    assert not list(desk.tmp.iterdir())


def test_without_the_server_part(desk):
    desk.init()
    desk.python("pass")
    (desk.root / "sitecustomize.py").write_text("import sys\nsys.modules['fastapi'] = None\n")
    failed = desk.roar("ui", "--no-browser", status=1, env={"PYTHONPATH": str(desk.root)})
    assert "in a clone of roar: pip install '.[server]'" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_port_that_is_taken_is_named_with_what_to_type(desk):
    desk.roar("run", "true")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        failed = desk.roar("ui", "--no-browser", "--port", str(port), status=1)
    assert failed.stderr == (f"roar: roar ui cannot listen on 127.0.0.1 port {port}: Address already in use.\n"
                             "  try: roar ui\n")
