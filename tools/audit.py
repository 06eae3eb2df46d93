"""Look for known vulnerabilities in what `pip install '.[server]'` installs.

Usage: python tools/audit.py [--pip-audit PROGRAM] [--index] [--must-ask]

Three questions, because the last two need services that are not reachable from everywhere:

1. Is a package, as installed here or as pyproject.toml would still accept it, older than the fix of a vulnerability in
   FIXED? That list is kept by hand, of what would matter to a server that strangers reach.
2. Has its author or the package index taken back what is installed? The index that pip uses says of every release
   whether it is yanked (PEP 592), and of a project whether it is in quarantine (PEP 792), in the simple API as JSON
   (PEP 691). That is no list of vulnerabilities, but answers wherever packages can be installed.
3. Does pip-audit know of a vulnerability? It asks PyPI's advisory database about each package. Where that does not
   answer, pip-audit itself says `No known vulnerabilities found`; here it counts as not asked, which is said, and is
   an error with --must-ask.

The last lines say what was looked at and what was not.
"""

import argparse
import http.client
import json
import re
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "roar-lineage"
# Package, first version with the fix, advisory.
FIXED = (
    ("authlib", "1.6.4", "CVE-2025-59420: unknown critical headers of a token are passed over"),
    ("authlib", "1.6.5", "CVE-2025-61920: tokens of any length are decoded"),
    ("cryptography", "44.0.1", "CVE-2024-12797: the OpenSSL in its wheels"),
    ("h11", "0.16.0", "CVE-2025-43859: chunked bodies are read in two ways"),
    ("idna", "3.7", "CVE-2024-3651: names of any length take quadratic time"),
    ("jinja2", "3.1.6", "CVE-2025-27516: the sandbox can be left"),
    ("python-multipart", "0.0.18", "CVE-2024-53981: a crafted form blocks the process"),
    ("starlette", "0.40.0", "CVE-2024-47874: forms without a limit"),
    ("starlette", "0.47.2", "CVE-2025-54121: a large form blocks the process"),
    ("starlette", "0.49.1", "CVE-2025-62727: a Range header takes quadratic time"),
)


def installed(name: str = PROJECT, extras: frozenset[str] = frozenset({"server"})) -> dict[str, str]:
    """Name and version of every package that the project's installation needs, found in this environment."""
    found: dict[str, str] = {}
    waiting = [(name, extras)]
    done: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        item = waiting.pop()
        if item in done:
            continue
        done.add(item)
        package, wanted = item
        try:
            known = distribution(package)
        except PackageNotFoundError:
            continue
        if canonicalize_name(package) != PROJECT:
            found[canonicalize_name(package)] = known.version
        for text in known.requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or any(
                    requirement.marker.evaluate({"extra": extra}) for extra in wanted | {""}):
                waiting.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return found


def floors(pyproject: str) -> dict[str, str]:
    """The oldest version of each package that pyproject.toml accepts."""
    project = tomllib.loads(pyproject)["project"]
    texts = project["dependencies"] + project["optional-dependencies"]["server"]
    matches = (re.match(r"([\w.-]+)(?:\[.*\])?>=([\w.]+)$", text) for text in texts)
    return {canonicalize_name(match[1]): match[2] for match in matches if match}


def known_flaws(versions: dict[str, str]) -> list[str]:
    """A line for each vulnerability of FIXED that these versions have."""
    return [f"{name} {versions[name]} is older than {fix}: {advisory}" for name, fix, advisory in FIXED
            if name in versions and Version(versions[name]) < Version(fix)]


def ask_pip_audit(program: str, versions: dict[str, str]) -> tuple[list[str], int]:
    """A line for each vulnerability that pip-audit knows, and how many packages it could not ask about."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        requirements.write("".join(f"{name}=={version}\n" for name, version in sorted(versions.items())))
        requirements.flush()
        done = subprocess.run(
            [program, "--requirement", requirements.name, "--no-deps", "--disable-pip", "--format", "json",
             "--progress-spinner", "off", "--timeout", "10"], capture_output=True, text=True, check=False)
    try:
        answer = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(f"pip-audit says: {done.stderr.strip().splitlines()[-1:] or done.returncode}", file=sys.stderr)
        return [], len(versions)
    flaws = [f"{entry['name']} {entry['version']}: {flaw['id']}, fixed in {', '.join(flaw['fix_versions']) or 'none'}"
             for entry in answer for flaw in entry.get("vulns", ())]
    return flaws, sum("skip_reason" in entry for entry in answer)


def configured_index() -> str:
    """The package index that pip uses here, with a slash at the end."""
    done = subprocess.run([sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True,
                          text=True, check=False)
    return (done.stdout.strip() or "https://pypi.org/simple").rstrip("/") + "/"


def ask_index(index: str, versions: dict[str, str]) -> tuple[list[str], list[str]]:
    """A line for each package that was taken back, and the packages about which the index did not answer."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        answers = dict(zip(versions, pool.map(lambda name: _project(index, name), versions), strict=True))
    flaws = [flaw for name, answer in answers.items() if answer is not None
             for flaw in _taken_back(name, versions[name], answer)]
    return flaws, [name for name, answer in answers.items() if answer is None]


def _project(index: str, name: str) -> dict[str, Any] | None:
    request = urllib.request.Request(f"{index}{name}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            found = json.load(answer)
    except (OSError, ValueError, http.client.HTTPException):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("files"), list) else None


def _taken_back(name: str, version: str, project: dict[str, Any]) -> Iterator[str]:
    status = project.get("project-status", project.get("meta", {}).get("project-status", {}))
    if (status.get("status") if isinstance(status, dict) else status) == "quarantined":
        yield f"{name}: the package index has it in quarantine"
    files = [file for file in project["files"] if _version_of(file["filename"]) == Version(version)]
    if files and all(file.get("yanked", False) is not False for file in files):
        reason = next((file["yanked"] for file in files if isinstance(file["yanked"], str) and file["yanked"]), "")
        yield f"{name} {version} is yanked" + (f": {reason}" if reason else "")


def _version_of(file_name: str) -> Version | None:
    """The version in the name of a wheel or a source archive; old archives have names of other forms."""
    try:
        if file_name.endswith(".whl"):
            return parse_wheel_filename(file_name)[1]
        return parse_sdist_filename(file_name)[1]
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None


def main(argv: list[str] | None = None) -> int:
    """Audit; 1 where a vulnerability is known, 2 where the service had to be asked and did not answer."""
    parser = argparse.ArgumentParser(description="Look for known vulnerabilities in what is installed.")
    parser.add_argument("--pip-audit", metavar="PROGRAM", help="ask the advisory database with this pip-audit")
    parser.add_argument("--index", metavar="URL", nargs="?", const="", help="ask the package index (default: pip's)"
                        " whether what is installed was taken back")
    parser.add_argument("--must-ask", action="store_true", help="not being able to ask is an error")
    arguments = parser.parse_args(argv)
    versions = installed()
    flaws = known_flaws(versions)
    flaws += [f"pyproject.toml: {flaw}" for flaw in known_flaws(floors((ROOT / "pyproject.toml").read_text()))]
    said = [f"{len(FIXED)} vulnerabilities of the list kept by hand: looked for in all of them"]
    silent = 0
    if arguments.index is not None:
        more, quiet = ask_index(arguments.index or configured_index(), versions)
        flaws += more
        silent += len(quiet)
        said.append(f"yanked or in quarantine: {_asked('the package index', len(versions), len(quiet))}")
    unasked = len(versions)
    if arguments.pip_audit:
        more, unasked = ask_pip_audit(arguments.pip_audit, versions)
        flaws += more
    said.append("all published vulnerabilities: " + _asked("the advisory database", len(versions), unasked))
    for flaw in flaws:
        print(flaw)
    print(f"audit: {len(versions)} packages, {len(flaws)} known vulnerabilities or taken back")
    for line in said:
        print(f"  {line}")
    return 1 if flaws else 2 if (unasked or silent) and arguments.must_ask else 0


def _asked(whom: str, count: int, unasked: int) -> str:
    if not unasked:
        return f"{whom} was asked about all of them"
    if unasked == count:
        return f"NOT looked for: {whom} did not answer for any of them"
    return f"{whom} did not answer for {unasked} of them"


if __name__ == "__main__":
    sys.exit(main())
