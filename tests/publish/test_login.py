"""Logging in to a real server with accounts, the browser's part played over HTTP."""

import json
import os
import re
import stat
import subprocess
import sys
import urllib.parse
import urllib.request

import pytest

from roar.errors import SettingsError
from roar.publish.credentials import find_token, forget_token, keep_token

PASSWORD = "correct horse battery"


@pytest.fixture
def guarded(glaas):
    """The server again, now with accounts and the user ada."""
    glaas.stop()
    subprocess.run([sys.executable, "-m", "glaas.cli", "user", "add", "ada", "--password-stdin", "--database",
                    f"sqlite:///{glaas.file}"], input=PASSWORD, text=True, check=True, capture_output=True)
    glaas.options = ["--accounts"]
    glaas.start()
    return glaas


def verb(desk, name, *arguments, **more):
    """A verb by its module, with the exit status and errors of the real command."""
    code = ("import sys; from importlib import import_module; from roar.errors import RoarError\n"
            "try: sys.exit(import_module(f'roar.commands.{sys.argv[1]}').main(sys.argv[2:]))\n"
            "except RoarError as error: print(error.message, 'try:', error.hint, file=sys.stderr); sys.exit(1)")
    return subprocess.Popen([sys.executable, "-c", code, name, *arguments], cwd=desk.root, env=desk.env, text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def run(desk, name, *arguments, text="", status=0):
    process = verb(desk, name, *arguments)
    out, errors = process.communicate(text, timeout=60)
    assert process.returncode == status, (out, errors)
    return out + errors


def approve(url, code):
    """What a person does in the browser."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())

    def send(path, **fields):
        request = urllib.request.Request(url + path, data=urllib.parse.urlencode(fields).encode(),
                                         headers={"Origin": url})
        with browser.open(request, timeout=30) as answer:
            return answer.read().decode()

    send("/login", name="ada", password=PASSWORD)
    assert "Connected" in send("/device", code=code)


def test_the_whole_way(desk, guarded):
    desk.init()
    desk.python("open('a.txt', 'w').write('a')")
    refused = desk.roar("register", "--server", guarded.url, status=1).stderr
    assert f"try: roar login --server {guarded.url}\n" in refused
    assert "nobody" in run(desk, "whoami", "--server", guarded.url, status=1)
    login = verb(desk, "login", "--server", guarded.url, "--no-browser")
    address = login.stdout.readline().split()[-1]
    code = re.search(r"[A-Z]{4}-[A-Z]{4}", address)[0]
    assert code in login.stdout.readline()
    approve(guarded.url, code)
    out, errors = login.communicate(timeout=60)
    assert login.returncode == 0, errors
    assert "as ada" in out
    kept = desk.home / ".config" / "roar" / "credentials.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    token = json.loads(kept.read_text())[guarded.url]
    assert token not in out
    assert "ada on" in run(desk, "whoami", "--server", guarded.url)
    refused = desk.roar("register", "--server", guarded.url, "--project", "nowhere", status=1).stderr
    assert "There is no such project on this server." in refused
    assert "try:" not in refused, "the same again would not help"
    desk.roar("register", "--server", guarded.url)
    assert "forgotten" in run(desk, "logout", "--server", guarded.url)
    assert "roar login" in desk.roar("register", "--server", guarded.url, status=1).stderr
    assert "as ada" in run(desk, "login", "--server", guarded.url, "--token", text=token + "\n")
    refused = run(desk, "login", "--server", guarded.url, "--token", text="no\n", status=1)
    assert "unknown, expired or revoked" in refused
    desk.roar("register", "--server", guarded.url)


def test_a_server_without_accounts_needs_no_login(desk, glaas):
    assert "has no accounts" in run(desk, "login", "--server", glaas.url)
    assert "has no accounts" in run(desk, "whoami", "--server", glaas.url)
    assert "There was no token" in run(desk, "logout", "--server", glaas.url)


def test_tokens_are_kept_by_server(tmp_path):
    environ = {"HOME": str(tmp_path)}
    keep_token("https://a.example", "one", environ)
    keep_token("https://b.example", "two", environ)
    assert find_token("https://a.example", environ) == "one"
    assert find_token("https://a.example", {**environ, "ROAR_GLAAS_TOKEN": "three"}) == "three"
    assert forget_token("https://a.example", environ)
    assert not forget_token("https://a.example", environ)
    assert (find_token("https://a.example", environ), find_token("https://b.example", environ)) == (None, "two")
    assert os.listdir(tmp_path / ".config" / "roar") == ["credentials.json"]
    (tmp_path / ".config" / "roar" / "credentials.json").write_text("[1]")
    with pytest.raises(SettingsError):
        find_token("https://a.example", environ)
