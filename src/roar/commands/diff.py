"""`roar diff`: what differs between two jobs, the likely cause first."""

import os
import sys
from collections.abc import Container, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import NamedTuple

from roar.analyze.sources import is_source
from roar.commands.arguments import Parser
from roar.commands.lineage import as_root
from roar.commands.opening import Opened, open_record
from roar.errors import NotFoundError
from roar.model import Job
from roar.observe.code import DIFF, find_repository, git_environment
from roar.present.answer import print_json
from roar.present.jobs import SHORT
from roar.present.text import command_text, count_text, on_one_line, paint, printable, table
from roar.query.differences import Change, Difference, code_of, compare, ids_of_redacted, source_of, visible_part
from roar.query.differing_files import with_members
from roar.query.jobs import load_job, load_patch
from roar.query.lineage import find_maker
from roar.query.references import JobReference, resolve
from roar.query.repository import Trees, code_trees, find_work_tree, run_git
from roar.query.sessions import jobs_of_other_sessions
from roar.shell import quoted_path

_SHOWN = 20
_SECTIONS = ("parameters", "inputs", "code", "packages", "host", "outputs", "result", "tracker_runs")
_DIGESTED = frozenset({"inputs", "outputs"})


class _Cut(NamedTuple):
    """After how many items a list is cut, None for never, and the command that compares so."""

    most: int | None
    command: str


def parser() -> Parser:
    """The command line of `roar diff`."""
    result = Parser("diff", "Show what differs between two jobs: what may have caused it first (parameters, inputs,"
                    " code, packages, host), then what came of it. An artifact stands for the last job that made it.")
    result.add_argument("a", metavar="A", help="the earlier job")
    result.add_argument("b", metavar="B", help="the later job")
    result.add_argument("--code", action="store_true", help="print the whole difference of the code")
    result.add_argument("--all", action="store_true", help="cut no list")
    result.add_json()
    return result


def main(argv: list[str]) -> int:
    """Compare and print."""
    arguments = parser().parse_args(argv)
    opened = open_record(only_answers=True)
    before, after = (_load(opened, ref) for ref in (arguments.a, arguments.b))
    uncommitted = _uncommitted(opened, before), _uncommitted(opened, after)
    difference = with_members(opened.database, compare(before, after, uncommitted))
    with code_trees(opened.workspace, (before, after), uncommitted) if difference.code else nullcontext() as trees:
        if difference.code:
            alike = _have_same_source(opened, before, after, uncommitted, trees)
            hidden = alike and ids_of_redacted(uncommitted[0]) != ids_of_redacted(uncommitted[1])
            difference = replace(difference, alike=alike, hidden=hidden)
        text = _code_difference(opened, before, after, uncommitted, trees)
    if arguments.json:
        shape = {name: getattr(difference, name) for name in _SECTIONS}
        print_json({"a": before.uid, "b": after.uid, "likely_causes": difference.causes(), **shape,
                    "code_diff": text})
        return 0
    shown = _Cut(None if arguments.all else _SHOWN, f"roar diff {quoted_path(arguments.a)} {quoted_path(arguments.b)}")
    _print_title(before, after, difference, jobs_of_other_sessions(opened.database, [before.uid, after.uid]))
    for name in _SECTIONS:
        _print_section(name, getattr(difference, name), shown)
        if name == "code" and difference.code:
            _print_code(text, difference, whole=arguments.code, command=f"{shown.command} --code")
    return 0


def _load(opened: Opened, ref: str) -> Job:
    root = as_root(opened, ref, resolve(opened.database, opened.workspace, ref))
    if isinstance(root, JobReference):
        return load_job(opened.database, root.row_id)
    maker = find_maker(opened.database, root)
    if maker is None:
        raise NotFoundError(f"{ref!r} was made by no recorded job.", hint="roar log")
    return load_job(opened.database, maker)


def _uncommitted(opened: Opened, job: Job) -> bytes:
    """The uncommitted changes that a job ran with, without those of files that it used as data."""
    patch = load_patch(opened.database, job)
    if patch is None:
        return b""
    work_tree = find_work_tree(opened.workspace, job) or opened.workspace.root
    data = {os.path.relpath(opened.workspace.absolute(use.path), work_tree) + ("/" if use.path.endswith("/") else "")
            for use in (*job.inputs, *job.outputs)}
    return code_of(patch, data)


def _print_title(before: Job, after: Job, difference: Difference, others: Container[str]) -> None:
    for mark, job in (("a", before), ("b", after)):
        step = "" if job.uid in others else f"@{job.step} "
        print(f"{mark}  {step}{job.uid[:8]}  {command_text(job.command)}")
    causes = difference.causes()
    if before.uid == after.uid:
        print("that is one job")
    elif not before.outputs and not after.outputs:
        print("neither has outputs")
    elif not difference.outputs:
        print(paint("the outputs are the same", "green"))
    elif causes:
        print(f"likely {'cause' if len(causes) == 1 else 'causes'}: {paint(', '.join(causes), 'bold')}")
    elif difference.hidden:
        print("nothing recorded explains it but a secret in the code, which is not in the record")
    else:
        print("nothing recorded explains it: the command may be random, or read what was not seen")


def _print_section(name: str, changes: Sequence[Change], shown: _Cut) -> None:
    if not changes:
        return
    print(f"\n{paint(name.replace('_', ' '), 'bold')} ({len(changes):,})")
    short = SHORT if name in _DIGESTED else None
    rows = [row for change in changes[:shown.most] for row in _rows(change, short, shown)]
    lines = iter(table([row for row in rows if len(row) > 1]))
    for row in rows:
        print(row[0] if len(row) == 1 else next(lines))
    if shown.most is not None and len(changes) > shown.most:
        print(f"  … and {len(changes) - shown.most:,} more: {shown.command} --all")


def _rows(change: Change, short: int | None, shown: _Cut) -> Iterator[tuple[str, ...]]:
    """A change, and below it those of a dataset's files; what is said of the rest stands alone."""
    for indent, one in (("  ", change), *(("    ", member) for member in change.members[:shown.most])):
        yield f"{indent}{printable(one.name)}", _side(one.before, short), "→", _side(one.after, short)
    if shown.most is not None and len(change.members) > shown.most:
        more = count_text(len(change.members) - shown.most, "more file")
        yield (f"    … and {more}: {shown.command} --all",)


def _side(value: str | None, short: int | None) -> str:
    return "(none)" if value is None else printable(value)[:short]


def _have_same_source(opened: Opened, before: Job, after: Job, uncommitted: tuple[bytes, bytes],
                      trees: Trees | None) -> bool:
    """Whether no source file and no submodule differs. What else a command reads is among its inputs."""
    if trees is not None:
        return _differs_in_no_source(trees.folder, trees.before, trees.after)
    if before.git is None or after.git is None or not before.git.commit or not after.git.commit:
        return False
    if source_of(visible_part(uncommitted[0])) != source_of(visible_part(uncommitted[1])):
        return False
    return before.git.commit == after.git.commit or _differs_in_no_source(
        opened.workspace.absolute(before.cwd), before.git.commit, after.git.commit)


def _differs_in_no_source(folder: str, before: str, after: str) -> bool:
    """Whether two commits or trees are known to have the same source files and submodules."""
    changed = run_git(folder, "diff", "--raw", "--no-renames", "--no-relative", "-z", before, after)
    if changed is None:
        return False
    fields = changed.split("\0")
    return not any(_SUBMODULE in modes or is_source(f"/{name}")
                   for modes, name in zip(fields[::2], fields[1::2], strict=False))


_SUBMODULE = "160000"  # the mode of a submodule's commit, git-diff(1)


def _print_code(text: str | None, difference: Difference, *, whole: bool, command: str) -> None:
    if difference.alike:
        print("  no source file differs" + (", but for a secret that was redacted" if difference.hidden else ""))
    if text is None:
        print("  the commits are not in this repository, so their difference cannot be shown")
    elif whole:
        sys.stdout.write("\n" + "".join(f"{_patch_line(line)}\n" for line in text.removesuffix("\n").split("\n")))
    elif text:
        print(f"  {count_text(len(text.splitlines()), 'line')} of difference: {command}")


def _patch_line(line: str) -> str:
    """A line as it is, but for what a terminal would obey."""
    return "\t".join(map(on_one_line, line.split("\t")))


def _code_difference(opened: Opened, before: Job, after: Job, uncommitted: tuple[bytes, bytes],
                     trees: Trees | None) -> str | None:
    """The difference of the code as a patch; None where git cannot tell. Empty where it is stored otherwise only."""
    whole = None if trees is None else _git_diff(trees.folder, trees.before, trees.after)
    if whole is not None:
        return whole
    if before.git is None or after.git is None or not before.git.commit or not after.git.commit:
        return None
    text = ""
    if before.git.commit != after.git.commit:
        committed = _git_diff(opened.workspace.absolute(before.cwd), before.git.commit, after.git.commit)
        if committed is None:
            return None
        text += committed
    return text + _patch_difference(*map(visible_part, uncommitted))


def _git_diff(folder: str, before: str, after: str) -> str | None:
    import subprocess  # noqa: PLC0415  only where commits differ

    root = find_repository(folder)
    if root is None:
        return None
    try:
        done = subprocess.run(["git", *DIFF, before, after], cwd=root, env=git_environment(), capture_output=True,
                              check=False)
    except OSError:
        return None
    return done.stdout.decode("utf-8", "backslashreplace") if done.returncode == 0 else None


def _patch_difference(before: bytes, after: bytes) -> str:
    """How the uncommitted changes differ: each side's patch, `-` and `+` before its lines."""
    import difflib  # noqa: PLC0415  only where patches differ

    old, new = (patch.decode("utf-8", "backslashreplace").splitlines(keepends=True) for patch in (before, after))
    return "".join(difflib.unified_diff(old, new, "uncommitted changes of a", "uncommitted changes of b"))
