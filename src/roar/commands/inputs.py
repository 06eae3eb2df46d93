"""`roar inputs`: the root inputs, and which of them nothing recorded produced."""

from collections.abc import Sequence

from roar.commands.arguments import Parser
from roar.commands.opening import open_record, say, say_lost
from roar.model import FileUse, is_location
from roar.present.answer import print_json
from roar.present.jobs import meanwhile_text, use_lines
from roar.present.text import count_text, paint
from roar.query.references import SessionReference, resolve_or_folder
from roar.query.roots import Root, find_roots, jobs_behind
from roar.shell import quoted_path


def parser() -> Parser:
    """The command line of `roar inputs`."""
    result = Parser("inputs", "List the root inputs of a session, or of what led to an artifact or job: what its jobs"
                    " read and none of them made. Those that a recorded job outside made are told apart.")
    result.add_argument("ref", metavar="REF", nargs="?", default="@",
                        help="what to look behind (default: this session)")
    result.add_json()
    return result


def main(argv: list[str]) -> int:
    """Print the root inputs."""
    arguments = parser().parse_args(argv)
    opened = open_record(only_answers=True)
    found = resolve_or_folder(opened.database, opened.workspace, arguments.ref)
    jobs = jobs_behind(opened.database, found, given=True)
    roots = find_roots(opened.database, jobs)
    say_lost(opened, found)
    if not jobs and not isinstance(found, SessionReference):
        say(f"No recorded job made {arguments.ref}: it is a root input itself.")
    if arguments.json:
        print_json({"inputs": roots})
        return 0
    made = [root for root in roots if root.made_by is not None]
    stored = [root for root in roots if root.made_by is None and is_location(root.path)]
    unknown = [root for root in roots if root.made_by is None and not is_location(root.path)]
    _print(f"{count_text(len(unknown), 'root input')} that nothing recorded produced", unknown)
    if stored:
        _print(f"{count_text(len(stored), 'root input')} fetched from where they are stored", stored)
    if made:
        _print(f"{count_text(len(made), 'root input')} made by recorded jobs outside this graph", made)
    if any(root.members for root in roots):
        ref = "" if arguments.ref == "@" else f" {quoted_path(arguments.ref)}"
        print(paint(f"Files of a dataset that are some of it are only counted; each: roar inputs{ref} --json", "dim"))
    return 0


def _print(title: str, roots: Sequence[Root]) -> None:
    print(paint(title, "bold"))
    uses = [FileUse(path=root.path, digest=root.digest, size=root.size, kind=root.kind, files=root.files,
                    note=_note(root)) for root in roots]
    for line in use_lines(uses):
        print(f"  {line}")


def _note(root: Root) -> str | None:
    if root.made_by is not None:
        return f"made by job {root.made_by[:8]}"
    if root.meanwhile is not None:
        return meanwhile_text(f"job {root.meanwhile[:8]}")
    return root.note
