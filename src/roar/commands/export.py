"""`roar export`: a session, or the lineage of a job or artifact, as a document of another format."""

import io
import os
import sys
from argparse import Namespace

from roar.commands.arguments import Parser
from roar.commands.opening import Opened, open_record
from roar.commands.overwriting import check_overwriting
from roar.errors import RoarError, UsageError, WorkspaceError, install_hint
from roar.present.text import count_text, printable
from roar.publish.register import encode
from roar.publish.registration import make_registration
from roar.query.references import ArtifactReference, FolderReference, JobReference, Reference, SessionReference
from roar.query.selection import select
from roar.shell import quoted_path
from roar.wire import Registration

FORMATS = ("cyclonedx", "openlineage", "prov", "ro-crate")
_LISTED = 10


def parser() -> Parser:
    """The command line of `roar export`."""
    result = Parser("export", "Write a session, or a job or artifact with all that it came from, as a CycloneDX 1.6"
                              " ML-BOM, OpenLineage events, W3C PROV-JSON or an RO-Crate 1.2 (a Process Run Crate)."
                              " Tracker runs are in each as references. Nothing leaves this machine.")
    result.add_argument("ref", nargs="?", metavar="REF",
                        help="a session, job, artifact, folder or tracker run's URL or id (default: the current"
                             " session)")
    result.add_argument("--format", required=True, choices=FORMATS, help="what to write")
    result.add_argument("--output", metavar="PATH",
                        help="write to a file, or into a folder under the name that the format's tools expect"
                             " (default: print it)")
    result.add_argument("--files", action="store_true",
                        help="for ro-crate: pack the files that are still as recorded beside the document; PATH is"
                             " then a new folder, or an archive if it ends with .zip")
    result.add_argument("--members", action="store_true",
                        help="list every file of datasets too, not only those that a job used by themselves")
    result.add_argument("--all", action="store_true", help="with --files: name every file that is not packed")
    return result


def main(argv: list[str]) -> int:
    """Write the document, or the package."""
    arguments = parser().parse_args(argv)
    if arguments.files and (arguments.format != "ro-crate" or not arguments.output):
        raise UsageError("--files packs an RO-Crate, and needs a place for it.",
                         hint="roar export --format ro-crate --files --output crate.zip")
    opened = open_record()
    found, publishable = select(opened.database, opened.workspace, arguments.ref)
    registration = make_registration(publishable, opened.workspace)
    if arguments.files:
        return _pack(opened, registration, _subject(found, arguments.ref), arguments)
    body, name = _document(registration, _subject(found, arguments.ref), arguments.format, members=arguments.members)
    if arguments.output is None:
        _print(body)
    else:
        _write(opened, arguments, name, body)
    return 0


def _command(arguments: Namespace) -> str:
    """The same command without the place."""
    ref = [] if arguments.ref is None else [quoted_path(arguments.ref)]
    options = [f"--{name}" for name in ("files", "members") if getattr(arguments, name)]
    return " ".join(["roar export", *ref, "--format", arguments.format, *options])


def _document(registration: Registration, subject: tuple[str, str | None], name: str, *, members: bool,
              packed: dict[str, str] | None = None) -> tuple[bytes, str]:
    """The document and what the format's tools expect its file to be called."""
    try:
        from glaas.offline import export_registration  # noqa: PLC0415  a door from the client to the server

        document = export_registration(encode(registration), *subject, name, members=members, packed=packed)
    except ImportError as error:
        raise RoarError("Exports need the formats' libraries, which come with roar's server part and are not installed"
                        f" ({error.name} is missing).", hint=install_hint("server")) from error
    return document.body, document.file_name


def _pack(opened: Opened, registration: Registration, subject: tuple[str, str | None], arguments: Namespace) -> int:
    from roar.publish.packing import plan_packing, write_package  # noqa: PLC0415  only for --files

    output: str = arguments.output
    check_overwriting(opened, output, instead=f"{_command(arguments)} --output NEW_FILE.zip")
    packing = plan_packing(opened.database, opened.workspace, registration)
    body, _ = _document(registration, subject, "ro-crate", members=arguments.members, packed=packing.names)
    write_package(output, body, packing)
    print(output)
    sys.stdout.flush()
    listed = packing.left_out if arguments.all else packing.left_out[:_LISTED]
    for path, reason in listed:
        print(f"roar: {printable(path)} is described but not packed: {reason}.", file=sys.stderr)
    if len(packing.left_out) > len(listed):
        place = quoted_path(output) if output.endswith(".zip") else "NEW_FOLDER"
        print(f"roar: … and {count_text(len(packing.left_out) - len(listed), 'more file')}:"
              f" {_command(arguments)} --all --output {place}", file=sys.stderr)
    return 0


def _subject(found: Reference | FolderReference, ref: str | None) -> tuple[str, str | None]:
    """What is exported, as a noun and its name."""
    if isinstance(found, SessionReference):
        return "session", None
    if isinstance(found, JobReference):
        return "job", found.uid
    if isinstance(found, ArtifactReference):
        return "artifact", found.digest
    if isinstance(found, FolderReference):
        return "folder", found.path
    return "tracker run", found.url or ref


def _print(body: bytes) -> None:
    """As it is: JSON is UTF-8, whatever the terminal speaks."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.flush()
        sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()
    else:
        sys.stdout.write(body.decode())


def _write(opened: Opened, arguments: Namespace, name: str, body: bytes) -> None:
    output: str = arguments.output
    path = os.path.join(output, name) if output.endswith("/") or os.path.isdir(output) else output
    check_overwriting(opened, path, instead=f"{_command(arguments)} --output NEW_FILE")
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(path, "wb") as file:
            file.write(body)
    except OSError as error:
        raise WorkspaceError(f"{path} cannot be written: {error.strerror}.") from error
    print(path)
