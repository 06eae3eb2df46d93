"""`roar put`: send files and folders to object storage, as a job of its own."""

import os
import re
from collections.abc import Callable

from roar.analyze.digest import identity
from roar.commands.arguments import Parser
from roar.commands.transfers import Record, add_options, carry_out, open_or_explain
from roar.errors import NotFoundError, UsageError
from roar.model import is_location
from roar.present.progress import digesting
from roar.query.artifacts import load_artifact
from roar.query.files_now import dataset_is_unchanged, digest_now
from roar.query.references import ArtifactReference, resolve
from roar.record import digests
from roar.transfer.locations import parse_location
from roar.transfer.moving import Moved, Progress
from roar.transfer.stores import open_store
from roar.transfer.upload import Sending, list_files, send, with_digests

_DIGEST = re.compile("[0-9a-f]{6,64}")


def parser() -> Parser:
    """The command line of `roar put`."""
    result = Parser("put", "Send files and folders to object storage, and record that as a job: it reads the files and"
                    " writes the objects. What is there already with the same content is not sent again. URL is"
                    " s3://BUCKET/NAME, gs://BUCKET/NAME, az://CONTAINER/NAME or file:///FOLDER/NAME. A file or folder"
                    " becomes NAME; with / at its end it goes into NAME.")
    result.add_argument("path", metavar="PATH", nargs="+",
                        help="a file, a folder, or the digest of a recorded file or dataset")
    result.add_argument("url", metavar="URL", help="where to")
    add_options(result)
    return result


def main(argv: list[str]) -> int:
    """Send what is not there yet."""
    arguments = parser().parse_args(argv)
    if is_location(arguments.path[-1]) or not is_location(arguments.url):
        raise UsageError(f"The last argument of roar put is the URL to send to, not {arguments.url!r}.",
                         hint="roar put PATH s3://BUCKET/NAME")
    location = parse_location(arguments.url)
    opened = open_or_explain()
    paths, members = _find_paths(opened, arguments.path)
    groups = list_files(paths, location, members)
    store = open_store(location)
    groups = _digested(opened, groups, quiet=arguments.quiet)
    place = {item.target.url: number for number, group in enumerate(groups) for item in group}

    def move(progress: Progress, done: Callable[[Moved], None]) -> None:
        items = [item for group in groups for item in group]
        send(store, items, force=arguments.force, progress=progress, done=done)

    return carry_out(("roar", "put", *arguments.path, location.url), arguments, opened, move,
                     lambda moved: place[moved.location.url])


def _find_paths(opened: Record, words: list[str]) -> tuple[list[str], dict[str, frozenset[str]]]:
    """Where the content that each word names lies now; for a dataset named by its digest, the members of that folder.

    Raises:
        NotFoundError: it lies nowhere, or is not what was recorded.
    """
    paths: list[str] = []
    members: dict[str, frozenset[str]] = {}
    for word in words:
        if os.path.lexists(word) or opened.database is None or not _DIGEST.fullmatch(word):
            paths.append(word)
            continue
        found = resolve(opened.database, opened.workspace, word)
        if not isinstance(found, ArtifactReference):
            raise NotFoundError(f"{word!r} is neither a file, a folder, nor a recorded artifact.",
                                hint="roar show REF lists a job's outputs")
        artifact = load_artifact(opened.database, found.row_id)
        path = next((path for name in artifact.names if not is_location(name)
                     and _lies_at(opened, path := opened.workspace.absolute(name), found, artifact.files)), None)
        if path is None:
            raise NotFoundError(f"The content of artifact {found.digest[:12]} lies nowhere any more.",
                                hint=f"roar show {found.digest[:12]}")
        paths.append(path)
        if artifact.files is not None:
            members[path] = frozenset(member.path for member in artifact.members)
    return paths, members


def _lies_at(opened: Record, path: str, found: ArtifactReference, files: int | None) -> bool:
    assert opened.database is not None
    if files is not None:
        return os.path.isdir(path) and dataset_is_unchanged(opened.database, path, found.row_id)
    try:
        return digest_now(opened.database, path) == found.digest
    except OSError:
        return False


def _digested(opened: Record, groups: list[list[Sending]], *, quiet: bool) -> list[list[Sending]]:
    """The same with digests; what the record knows is not read for them."""
    keys = [identity(item.signature) for group in groups for item in group]
    known = {} if opened.database is None else digests.find(opened.database, keys)
    with digesting(quiet=quiet) as show:
        groups, digested = with_digests(groups, known, show)
    if opened.database is not None:
        digests.remember(opened.database, [
            (identity(one.signature), one.digest) for one in digested
            if one.settled and one.signature is not None and one.digest is not None])
    return groups
