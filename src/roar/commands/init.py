"""`roar init`: set a workspace up. The first `roar run` does it too."""

import os

from roar.commands.arguments import Parser
from roar.present.text import printable
from roar.record.database import open_database
from roar.workspace import Workspace, ask_for, open_workspace


def parser() -> Parser:
    """The command line of `roar init`."""
    result = Parser("init", "Set a workspace up at the root of the git work tree, else in the current folder."
                    " The first `roar run` does it too.")
    result.add_argument("--here", action="store_true",
                        help="in the current folder, wherever a work tree begins; / becomes a workspace only so")
    return result


def main(argv: list[str]) -> int:
    """Make `.roar/` and the record in it."""
    arguments = parser().parse_args(argv)
    if arguments.here:
        ask_for(Workspace(os.path.realpath(os.getcwd())))
    existed = not arguments.here and os.path.exists(_database())
    workspace = open_workspace(create=True)
    open_database(workspace.database).close()
    print(f"{printable(workspace.folder)} {'is set up already' if existed else 'is ready'}.")
    return 0


def _database() -> str:
    from roar.workspace import find_workspace  # noqa: PLC0415  asked before the workspace is made

    workspace: Workspace = find_workspace()
    return workspace.database
