"""The audit finds what it should, and does not take silence for an answer."""

import functools
import http.server
import json
import os
import stat
import sys
import threading

import pytest

from loading import load_tool


@pytest.fixture(scope="module")
def audit():
    return load_tool("audit")


@pytest.fixture
def pip_audit(tmp_path):
    """A program that answers as pip-audit does."""
    def make(answer, status=0):
        program = tmp_path / "pip-audit"
        program.write_text(f"#!{sys.executable}\nimport sys\nprint({answer!r})\nsys.exit({status})\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return os.fspath(program)
    return make


def test_nothing_known_is_installed_or_accepted(audit, capsys):
    assert audit.main([]) == 0
    said = capsys.readouterr().out
    assert "0 known vulnerabilities" in said
    assert "all published vulnerabilities: NOT looked for" in said


def test_it_looks_at_everything_that_the_server_needs(audit):
    assert {"authlib", "blake3", "cryptography", "fastapi", "h11", "jinja2", "joserfc", "psycopg", "psycopg-binary",
            "pydantic", "python-multipart", "rich", "sqlalchemy", "starlette", "uvicorn"} <= set(audit.installed())
    assert "pytest" not in audit.installed()


def test_old_versions_are_found(audit):
    assert audit.known_flaws({"jinja2": "3.1.5", "h11": "0.16.0"}) == [
        "jinja2 3.1.5 is older than 3.1.6: CVE-2025-27516: the sandbox can be left"]
    accepted = audit.floors('[project]\ndependencies = ["Jinja2>=3.1"]\n[project.optional-dependencies]\n'
                            'server = ["psycopg[binary]>=3.2", "starlette"]')
    assert accepted == {"jinja2": "3.1", "psycopg": "3.2"}
    assert len(audit.known_flaws(accepted)) == 1


def test_what_pip_audit_knows_counts(audit, pip_audit, capsys):
    program = pip_audit(json.dumps({"dependencies": [
        {"name": "idna", "version": "3", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.7"]}]}]}), 1)
    assert audit.main(["--pip-audit", program]) == 1
    assert "idna 3: PYSEC-1, fixed in 3.7" in capsys.readouterr().out


@pytest.mark.parametrize("answer", [
    json.dumps({"dependencies": [{"name": "idna", "skip_reason": "Dependency not found on PyPI"}]}), "no JSON"])
def test_silence_is_no_answer(audit, pip_audit, capsys, answer):
    program = pip_audit(answer)
    assert audit.main(["--pip-audit", program]) == 0
    assert "advisory database did not answer for" in capsys.readouterr().out
    assert audit.main(["--pip-audit", program, "--must-ask"]) == 2


@pytest.fixture
def index(tmp_path):
    """A package index on loopback that answers with the given projects."""
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def serve(projects):
        for name, project in projects.items():
            (tmp_path / name).mkdir()
            (tmp_path / name / "index.html").write_text(project if isinstance(project, str) else json.dumps(project))
        return f"http://127.0.0.1:{server.server_address[1]}/"

    yield serve
    server.shutdown()
    server.server_close()


def files(**yanked):
    names = {"wheel": "some_thing-1.2-py3-none-any.whl", "source": "some_thing-1.2.tar.gz",
             "other": "some_thing-1.3.tar.gz", "odd": "some-thing-old.win32.exe"}
    return {"files": [{"filename": names[key], "yanked": value} for key, value in yanked.items()]}


@pytest.mark.parametrize(("project", "flaws"), [
    (files(wheel=False, source=False, other=True), []),
    (files(wheel="broken on 32 bits", source=False), []),  # one file of it is still good
    (files(wheel="leaks", source="leaks", odd=False), ["some-thing 1.2 is yanked: leaks"]),
    (files(wheel=True, source=""), ["some-thing 1.2 is yanked"]),
    (files(source=False) | {"project-status": {"status": "quarantined"}},
     ["some-thing: the package index has it in quarantine"]),
    (files(source=False) | {"meta": {"api-version": "1.4", "project-status": "quarantined"}},
     ["some-thing: the package index has it in quarantine"]),
    (files(), []),
])
def test_what_was_taken_back_is_found(audit, index, project, flaws):
    assert audit.ask_index(index({"some-thing": project}), {"some-thing": "1.2.0".removesuffix(".0")}) == (flaws, [])


def test_an_index_that_does_not_answer_is_not_taken_for_one_that_did(audit, index, capsys):
    here = index({"good": files(source=False), "page": "<html>no JSON</html>"})
    assert audit.ask_index(here, {"good": "1.2", "page": "1", "gone": "1"}) == ([], ["page", "gone"])
    assert audit.main(["--index", here]) == 0
    assert "yanked or in quarantine: NOT looked for" in capsys.readouterr().out
    assert audit.main(["--index", here, "--must-ask"]) == 2
