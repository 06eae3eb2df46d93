"""Look for known vulnerabilities in what `pip install roar-lineage[server]` installs.

Usage: python tools/audit.py [--pip-audit PROGRAM] [--must-ask]

Two questions, because the second needs a service that is not reachable from everywhere:

1. Is a package, as installed here or as pyproject.toml would still accept it, older than the fix of a vulnerability in
   FIXED? That list is kept by hand, of what would matter to a server that strangers reach.
2. Does pip-audit know of one? It asks PyPI's advisory database about each package. Where that does not answer,
   pip-audit itself says `No known vulnerabilities found`; here it counts as not asked, which is said, and is an error
   with --must-ask.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
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


def main(argv: list[str] | None = None) -> int:
    """Audit; 1 where a vulnerability is known, 2 where the service had to be asked and did not answer."""
    parser = argparse.ArgumentParser(description="Look for known vulnerabilities in what is installed.")
    parser.add_argument("--pip-audit", metavar="PROGRAM", help="ask the advisory database with this pip-audit")
    parser.add_argument("--must-ask", action="store_true", help="not being able to ask is an error")
    arguments = parser.parse_args(argv)
    versions = installed()
    flaws = known_flaws(versions)
    flaws += [f"pyproject.toml: {flaw}" for flaw in known_flaws(floors((ROOT / "pyproject.toml").read_text()))]
    unasked = len(versions)
    if arguments.pip_audit:
        more, unasked = ask_pip_audit(arguments.pip_audit, versions)
        flaws += more
    for flaw in flaws:
        print(flaw)
    print(f"audit: {len(versions)} packages, {len(flaws)} known vulnerabilities"
          + (f"; the advisory database did not answer for {unasked} of them" if unasked else ""))
    return 1 if flaws else 2 if unasked and arguments.must_ask else 0


if __name__ == "__main__":
    sys.exit(main())
