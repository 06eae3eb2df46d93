"""The generated pages are those that the program would generate now."""

import sys
from pathlib import Path

import pytest

from loading import load_tool

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def tool():
    return load_tool("write_client_pages")


@pytest.mark.parametrize("name", ["config.md", "schema.md"])
def test_page_is_current(tool, name):
    assert (ROOT / "docs" / name).read_text() == tool.PAGES[name](), "python tools/write_client_pages.py"


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="argparse words its help differently in other versions")
def test_command_line_page_is_current(tool, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert (ROOT / "docs" / "cli.md").read_text() == tool.cli_page(), "python tools/write_client_pages.py"


def test_every_table_of_the_record_is_explained(tool):
    page = tool.schema_page()
    for table in ("job", "artifact", "file_use", "dependency", "digest_cache"):
        assert f"## {table}\n" in page
