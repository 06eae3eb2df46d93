"""Hand-made records."""

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
