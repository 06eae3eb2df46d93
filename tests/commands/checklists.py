"""A checklist, and its hints followed as they stand."""

import json
import re
import subprocess
import sys


def checklist(desk, *arguments, folder="."):
    """The lines of a checklist by their titles: of the session, or of what else is asked, in a folder."""
    items = json.loads(desk.roar(*(arguments or ("status", "--checklist")), "--json", status=None,
                                 cwd=desk.root / folder).stdout)["checklist"]
    return {item["title"]: item for item in items}


def follow(desk, hint, folder=".", *, check=True):
    """Run the commands of a hint in a folder, with messages for the commits and a place for each `source=URL`.

    They may fail without `check`.
    """
    commands = re.sub(r"(git(?: -C \S+)? commit)", r"\1 -m more", hint).replace("=URL", "=s3://bucket/raw")
    subprocess.run(["sh", "-ec", re.sub(r"\broar ", f"{sys.executable} -m roar ", commands)],
                   cwd=desk.root / folder,
                   env=desk.env, check=check, capture_output=True, stdin=subprocess.DEVNULL)
