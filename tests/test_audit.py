"""The audit finds what it should, and does not take silence for an answer."""

import importlib.util
import json
import os
import stat
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def audit():
    specification = importlib.util.spec_from_file_location("audit_tool", ROOT / "tools" / "audit.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


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
    assert "0 known vulnerabilities" in capsys.readouterr().out


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
    assert "did not answer for" in capsys.readouterr().out
    assert audit.main(["--pip-audit", program, "--must-ask"]) == 2
