"""glaas inside the command line, without server and database: what a client exports of its own record."""

from collections.abc import Mapping

from glaas.errors import ProblemError
from glaas.exports import Document, Format, Noun, Subject, export, make_lineage
from glaas.ingest import parse_registration
from roar.errors import RoarError
from roar.wire import dag_digest


def export_registration(body: bytes, noun: str, name: str | None, format_name: str, *, members: bool = False,
                        packed: Mapping[str, str] | None = None) -> Document:
    """What `body` registers as a document of another format: the same as a server gives that it is registered with.

    Args:
        body: an encoded registration.
        noun: what it is of: `session`, `job`, `artifact` or `tracker run`.
        name: of that; None for a session, whose name is its DAG's digest.
        format_name: a `Format`.
        members: whether datasets are told with every file.
        packed: for RO-Crate, the files that lie beside the document: by digest their paths.

    Raises:
        RoarError: a server would refuse the registration, for example because it holds a secret.
    """
    try:
        registration = parse_registration(body)
    except ProblemError as problem:
        where = f" (at {problem.flaws[0].pointer})" if problem.flaws else ""
        raise RoarError(f"{problem.detail.rstrip('.')}{where}.") from None
    subject = Subject(noun=Noun(noun), name=dag_digest(registration) if name is None else name)
    lineage = make_lineage(subject, registration.session, registration.jobs, registration.datasets,
                           registration.payloads, members=members)
    return export(lineage, Format(format_name), packed)
