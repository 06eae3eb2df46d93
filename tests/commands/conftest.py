"""Hand-made records, and one who may commit."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode does not look beside a test module by itself
sys.path.insert(0, str(Path(__file__).parent.parent / "record"))
from recording import Recorder


@pytest.fixture
def recorder(tmp_path):
    made = Recorder(tmp_path / "workspace")
    yield made
    assert made.database.execute("PRAGMA foreign_key_check").fetchall() == []
    made.database.close()
@pytest.fixture
def user(desk, tmp_path):
    """One who may commit."""
    desk.env["GIT_CONFIG_GLOBAL"] = str(tmp_path / "gitconfig")
    for name, value in (("user.name", "a"), ("user.email", "a@b"), ("protocol.file.allow", "always"),
                        ("core.editor", "true")):
        subprocess.run(["git", "config", "--global", name, value], env=desk.env, check=True)
    return desk
