"""What differs between two jobs, the likely causes apart from the effects."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from roar.analyze.sources import is_source
from roar.model import REDACTED, FileUse, Host, Job, TrackerRun
from roar.observe.patches import name_of, sections_of
from roar.wire import ORDER, order_between, parameters_of

NO_DIGEST: Final = "no digest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that differs; None where one side has no such thing. Of two datasets `members` has what differs."""

    name: str
    before: str | None
    after: str | None
    members: "tuple[Change, ...]" = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Two jobs compared.

    Attributes:
        parameters: the words of the commands: options by name, others by position; their order, where it is all that
            differs.
        inputs, outputs: by path, with digests.
        code: `commit`, `branch`, `patch`, and of each submodule and nested repository its commit.
        packages: the interpreter as `python`, and distributions by name.
        host: facts about the machine.
        result: exit code and state.
        tracker_runs: by tracker, with URL or id.
        alike: whether the code is known to be the same in all that is source code, be the commits others, but for what
            was redacted.
        hidden: whether something does differ in what was redacted.
    """

    parameters: tuple[Change, ...] = ()
    inputs: tuple[Change, ...] = ()
    code: tuple[Change, ...] = ()
    packages: tuple[Change, ...] = ()
    host: tuple[Change, ...] = ()
    outputs: tuple[Change, ...] = ()
    result: tuple[Change, ...] = ()
    tracker_runs: tuple[Change, ...] = ()
    alike: bool = False
    hidden: bool = False

    def causes(self) -> list[str]:
        """What could have made the outputs differ, the likely first: the order of words only if nothing else could."""
        names = [name for name in ("parameters", "inputs", "code", "packages", "host")
                 if getattr(self, name) and not (name == "code" and self.alike)]
        order_alone = [change.name for change in self.parameters] == [ORDER]
        return names[1:] if order_alone and len(names) > 1 else names


def code_of(patch: bytes, data: Collection[str]) -> bytes:
    """A patch (git-diff(1)) without the files that are data.

    Args:
        patch: as it was recorded.
        data: paths from the root of the work tree; one that ends in `/` is a folder.
    """
    return b"".join(section for section in sections_of(patch) if not _is_data(name_of(section), data))


def source_of(patch: bytes) -> list[bytes]:
    """The sections of a patch that are about source code, or of which that cannot be told."""
    return [section for section in sections_of(patch) if section and (
        is_source(f"/{name_of(section) or '.py'}") or b"\nrename from " in section)]


def visible_part(patch: bytes) -> bytes:
    """A patch without the ids of files in which a secret was redacted: those differ where nothing but that does."""
    return b"".join(_ID_LINE.sub(b"", section, count=1) if _REDACTED in section else section
                    for section in sections_of(patch))


def ids_of_redacted(patch: bytes) -> list[bytes]:
    """The ids, as they were with the changes, of source files in which a secret was redacted."""
    return [found[1] for section in source_of(patch) if _REDACTED in section and (found := _ID_LINE.search(section))]


_REDACTED: Final = REDACTED.encode()
_ID_LINE: Final = re.compile(rb"^index [0-9a-f]+\.\.([0-9a-f]+).*\n", re.MULTILINE)


def _is_data(name: str, data: Collection[str]) -> bool:
    return name in data or any(name[:at + 1] in data for at, letter in enumerate(name) if letter == "/")


def compare(before: Job, after: Job, code: tuple[bytes, bytes] | None = None) -> Difference:
    """What differs between two jobs.

    Args:
        before: the one.
        after: the other.
        code: the code in the uncommitted changes of each, as `code_of` gives it; None where the patches are not at
            hand, and are compared as a whole.
    """
    return Difference(
        parameters=(*changes_between(_parameters(before), _parameters(after)), *_order(before, after)),
        inputs=changes_between(_digests(before.inputs), _digests(after.inputs)),
        code=changes_between(_code(before, code), _code(after, code)),
        packages=changes_between(_packages(before), _packages(after)),
        host=changes_between(_host(before.host), _host(after.host)),
        outputs=changes_between(_digests(before.outputs), _digests(after.outputs)),
        result=changes_between(_result(before), _result(after)),
        tracker_runs=changes_between(_runs(before.tracker_runs), _runs(after.tracker_runs)))


def changes_between(before: dict[str, str], after: dict[str, str]) -> tuple[Change, ...]:
    """What differs between two sets of named values."""
    names = dict.fromkeys((*before, *after))
    return tuple(Change(name=name, before=before.get(name), after=after.get(name)) for name in names
                 if before.get(name) != after.get(name))


def _parameters(job: Job) -> dict[str, str]:
    parameters = parameters_of(job.command)
    if job.cwd != ".":
        parameters["folder"] = job.cwd
    return parameters


def _order(before: Job, after: Job) -> tuple[Change, ...]:
    order = order_between(before.command, after.command)
    return () if order is None else (Change(name=ORDER, before=order[0], after=order[1]),)


def _digests(uses: Sequence[FileUse]) -> dict[str, str]:
    return {use.path: use.digest or NO_DIGEST for use in uses}


def _code(job: Job, code: tuple[bytes, bytes] | None) -> dict[str, str]:
    if job.git is None:
        return {}
    patch = None if code is not None and code[0] == code[1] else job.git.patch
    facts = {"commit": job.git.commit, "branch": job.git.branch, "patch": patch}
    facts |= {f"{inner.path} ({inner.kind})": inner.commit for inner in job.git.repositories}
    return {name: value for name, value in facts.items() if value is not None}


def _packages(job: Job) -> dict[str, str]:
    if job.python is None:
        return {}
    return {"python": job.python.version} | job.python.versions()


def _host(host: Host | None) -> dict[str, str]:
    if host is None:
        return {}
    facts = {"os": host.os, "machine": host.machine, "cpu": host.cpu, "cpus": str(host.cpus),
             "memory": None if host.memory is None else str(host.memory), "gpus": ", ".join(host.gpus) or None}
    return {name: value for name, value in facts.items() if value is not None}


def _result(job: Job) -> dict[str, str]:
    result = {"state": str(job.state)}
    if job.exit_code is not None:
        result["exit code"] = str(job.exit_code)
    return result


def _runs(runs: Sequence[TrackerRun]) -> dict[str, str]:
    found: dict[str, str] = {}
    for run in runs:
        key, number = run.label, 2
        while key in found:
            key, number = f"{run.label} ({number})", number + 1
        found[key] = run.url or run.run_id
    return found
