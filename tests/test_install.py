"""What is installed for tests comes from where pip would take it."""

import subprocess
import sys

import pytest

from loading import TOOLS, load_tool


@pytest.fixture(scope="module")
def install():
    return load_tool("install")


def test_settings_of_pip_are_handed_on(install, monkeypatch):
    for name in (*install._SETTINGS.values(), "UV_INDEX_STRATEGY"):
        monkeypatch.delenv(name, raising=False)
    assert install.settings("") == {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    assert install.settings("""
:env:.find-links='/a\\n/b'
:env:.default-timeout='180'
global.cert='/etc/ca.pem'
global.constraint='/etc/constraints.txt'
global.extra-index-url='https://one.example/simple https://two.example/simple'
global.find-links='/c'
install.index-url='https://three.example/simple'
""") == {"UV_INDEX_STRATEGY": "unsafe-best-match", "UV_FIND_LINKS": "/a,/b", "SSL_CERT_FILE": "/etc/ca.pem",
         "UV_CONSTRAINT": "/etc/constraints.txt", "UV_DEFAULT_INDEX": "https://three.example/simple",
         "UV_INDEX": "https://one.example/simple https://two.example/simple"}
    monkeypatch.setenv("UV_CONSTRAINT", "/own.txt")
    assert "UV_CONSTRAINT" not in install.settings("global.constraint='/etc/constraints.txt'")


PACKAGE = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "little"
version = "1"
"""
BACKEND = """
import os, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    if "UV" in os.environ and os.environ.get("NO_UV"):
        raise SystemExit("not with uv")
    with zipfile.ZipFile(os.path.join(folder, "little-1-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("little.py", "")
        wheel.writestr("little-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: little\\nVersion: 1\\n")
        wheel.writestr("little-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("little-1.dist-info/RECORD", "")
    return "little-1-py3-none-any.whl"
"""


@pytest.mark.parametrize("uv_fails", [False, True])
def test_where_uv_fails_pip_installs(tmp_path, monkeypatch, uv_fails):
    (tmp_path / "pyproject.toml").write_text(PACKAGE)
    (tmp_path / "backend.py").write_text(BACKEND)
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    if uv_fails:
        monkeypatch.setenv("NO_UV", "1")
    done = subprocess.run([sys.executable, TOOLS / "install.py", "--into", environment / "bin/python", tmp_path],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("uv could not install this, so pip does:") is uv_fails
    subprocess.run([environment / "bin/python", "-c", "import little"], check=True)
