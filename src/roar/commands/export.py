"""`roar export`: a session, or the lineage of a job or artifact, as a document of another format."""

import io
import os
import sys

from roar.commands.arguments import Parser
from roar.commands.opening import open_record
from roar.errors import RoarError, WorkspaceError
from roar.publish.register import encode
from roar.publish.registration import make_registration
from roar.query.references import ArtifactReference, JobReference, Reference, SessionReference
from roar.query.selection import select

FORMATS = ("cyclonedx", "openlineage", "prov", "ro-crate")


def parser() -> Parser:
    """The command line of `roar export`."""
    result = Parser("export", "Write a session, or a job or artifact with all that it came from, as a CycloneDX 1.6"
                              " ML-BOM, OpenLineage events, W3C PROV-JSON or an RO-Crate 1.2 (a Process Run Crate)."
                              " Tracker runs are in each as references. Nothing leaves this machine.")
    result.add_argument("ref", nargs="?", metavar="REF",
                        help="a session, job, artifact or tracker run's URL (default: the current session)")
    result.add_argument("--format", required=True, choices=FORMATS, help="what to write")
    result.add_argument("--output", metavar="PATH",
                        help="write to a file, or into a folder under the name that the format's tools expect"
                             " (default: print it)")
    result.add_argument("--members", action="store_true",
                        help="list every file of datasets too, not only those that a job used by themselves")
    return result


def main(argv: list[str]) -> int:
    """Write the document."""
    arguments = parser().parse_args(argv)
    opened = open_record()
    found, publishable = select(opened.database, opened.workspace, arguments.ref)
    body = encode(make_registration(publishable))
    try:
        from glaas.embedded import export_registration  # noqa: PLC0415  the one door from the client to the server

        document = export_registration(body, *_subject(found), arguments.format, members=arguments.members)
    except ImportError as error:
        raise RoarError("Exports need the formats' libraries, which come with roar's server part and are not installed"
                        f" ({error.name} is missing).", hint="pip install 'roar-lineage[server]'") from error
    if arguments.output is None:
        _print(document.body)
    else:
        _write(arguments.output, document.file_name, document.body)
    return 0


def _subject(found: Reference) -> tuple[str, str | None]:
    """What is exported, as a noun and its name."""
    if isinstance(found, SessionReference):
        return "session", None
    if isinstance(found, JobReference):
        return "job", found.uid
    if isinstance(found, ArtifactReference):
        return "artifact", found.digest
    return "tracker run", found.url


def _print(body: bytes) -> None:
    """As it is: JSON is UTF-8, whatever the terminal speaks."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.flush()
        sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()
    else:
        sys.stdout.write(body.decode())


def _write(output: str, name: str, body: bytes) -> None:
    path = os.path.join(output, name) if output.endswith("/") or os.path.isdir(output) else output
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(path, "wb") as file:
            file.write(body)
    except OSError as error:
        raise WorkspaceError(f"{path} cannot be written: {error.strerror}.") from error
    print(path)
