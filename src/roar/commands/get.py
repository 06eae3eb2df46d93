"""`roar get`: fetch objects and folders from object storage, as a job of its own."""

import os
import re
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable

from roar.commands.arguments import Parser
from roar.commands.transfers import add_options, carry_out, open_or_explain
from roar.errors import UsageError
from roar.present.text import printable
from roar.query.references import find_at_location
from roar.transfer.download import fetch, list_objects
from roar.transfer.locations import parse_location
from roar.transfer.moving import Moved, Progress
from roar.transfer.stores import open_store


def parser() -> Parser:
    """The command line of `roar get`."""
    result = Parser("get", "Fetch an object, or all of a folder of objects, and record that as a job: it reads the"
                    " objects and writes the files. What is here already with the same content is not fetched again,"
                    " and what was broken off is taken up. Digests are compared where the store has one. URL is"
                    " s3://BUCKET/NAME, gs://BUCKET/NAME, az://CONTAINER/NAME, file:///FOLDER/NAME, or a web address,"
                    " which may be a signed one: nothing secret of it is recorded.")
    result.add_argument("url", metavar="URL", help="what to fetch")
    result.add_argument("path", metavar="PATH", nargs="?",
                        help="the file or folder that it becomes; with / at its end, or not given: the folder that it"
                             " goes into under its own name")
    result.add_argument("--digest", metavar="BLAKE3", type=_digest,
                        help="what the object's content must be; it is not put into place otherwise")
    add_options(result)
    return result


def _digest(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", text.lower()):
        raise ArgumentTypeError(f"{text!r} is no digest: 64 hexadecimal digits")
    return text.lower()


def main(argv: list[str]) -> int:
    """Fetch what is not here yet."""
    arguments = parser().parse_args(argv)
    location = parse_location(arguments.url)
    store = open_store(location)
    items = list_objects(store, location, arguments.path)
    if arguments.digest and (len(items) > 1 or items[0].source != location):
        raise UsageError(f"{location.url} is a folder; --digest is for one object.", hint="roar get --help")
    opened = open_or_explain()
    own = opened.workspace.folder
    for item in items:
        if os.path.realpath(item.path).startswith(f"{os.path.realpath(own)}/"):
            raise UsageError(f"{item.path} lies in {own}, which holds the record.", hint="roar get URL ELSEWHERE")
    before = None if opened.database is None else find_at_location(opened.database, location.url)
    fetched: list[Moved] = []

    def move(progress: Progress, done: Callable[[Moved], None]) -> None:
        def note(moved: Moved) -> None:
            fetched.append(moved)
            done(moved)

        fetch(store, items, force=arguments.force, wanted=arguments.digest, progress=progress, done=note)

    words = ("roar", "get", location.url, *(() if arguments.path is None else (arguments.path,)),
             *(("--digest", arguments.digest) if arguments.digest else ()))
    status = carry_out(words, arguments, opened, move)
    if before is not None and not arguments.quiet and [one for one in fetched if one.location.url == location.url
                                                       and one.digest != before.digest]:
        sys.stderr.write(f"roar: {printable(location.url)} no longer holds what was recorded there last"
                         f" ({before.digest[:12]})\n")
    return status
