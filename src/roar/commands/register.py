"""`roar register`: publish a session, or the lineage of a job or artifact, to a glaas server."""

import functools
import sys
from argparse import Namespace
from collections.abc import Container

from roar.commands.arguments import Parser
from roar.commands.opening import open_record
from roar.config import load_settings
from roar.errors import PublishError
from roar.present.answer import print_json
from roar.present.checklist import render_checklist
from roar.present.text import command_text, count_text, printable
from roar.publish.credentials import find_token
from roar.publish.path_key import load_path_key
from roar.publish.register import Published, encode, register
from roar.publish.registration import make_registration
from roar.publish.server import Server, parse_server
from roar.query.checklist import check_reproducibility
from roar.query.selection import select
from roar.query.sessions import Publishable, jobs_of_other_sessions
from roar.wire import Registration, canonical_json, dag_digest, to_json
from roar.workspace import Workspace, find_workspace

_LISTED = 20
_OTHER_MEMBERS = "the digest is not that of the members"  # as glaas says it


def parser() -> Parser:
    """The command line of `roar register`."""
    result = Parser("register", "Publish a session to a glaas server, and print the addresses of its pages;"
                                " the last line is the session's. Publishing again changes nothing.")
    result.add_argument("ref", nargs="?", metavar="REF",
                        help="a session, or a job, artifact or folder, which is published with all that it came from"
                             " (default: the current session)")
    result.add_argument("--server", metavar="URL", help="the server (default: the setting glaas.url)")
    result.add_argument("--project", metavar="NAME",
                        help="the server's project that the session joins; it stays there (default: the server's)")
    result.add_argument("--dry-run", action="store_true",
                        help="say what would be published and whether it could be reproduced, and send nothing")
    result.add_json()
    return result


def main(argv: list[str]) -> int:
    """Publish, or with `--dry-run` say what would be."""
    arguments = parser().parse_args(argv)
    opened = open_record()
    _, publishable = select(opened.database, opened.workspace, arguments.ref)
    registration = make_registration(publishable, opened.workspace)
    body = encode(registration)
    others = jobs_of_other_sessions(opened.database, (job.uid for job in publishable.jobs))
    if arguments.dry_run:
        checklist = check_reproducibility(opened.database, opened.workspace, publishable.jobs)
        if arguments.json:
            print_json({**to_json(registration), "dag": dag_digest(registration), "checklist": checklist})
        else:
            url = arguments.server or load_settings(opened.workspace).text("glaas.url")
            whole = command_text([*_words(arguments), "--dry-run", "--json"])
            place = parse_server(url).url if url else "no server: none is set"
            _say_plan(publishable, others, len(body), place, whole)
            sys.stdout.write("\n" + render_checklist(checklist, more=whole))
        return 0
    server = _server(arguments.server)
    try:
        published = _send(server, registration, body, opened.workspace, arguments.project)
    except PublishError as error:
        what = count_text(len(publishable.jobs), "job")
        kept = f"Not published: {what}. The record here is complete; nothing is lost."
        raise PublishError(error.message, details=(*error.details, kept),
                           hint=error.hint or (command_text(_words(arguments)) if error.passing else None)) from error
    if arguments.json:
        print_json({"dag": published.dag, "url": published.url, "created": published.created,
                    "jobs": [{"uid": uid, "url": url} for uid, url in published.job_urls.items()]})
    else:
        _say_published(publishable, others, published, command_text([*_words(arguments), "--json"]))
    return 0


def _words(arguments: Namespace) -> list[str]:
    """The same command again, to be sent."""
    ref = [] if arguments.ref is None else [f"./{arguments.ref}" if arguments.ref.startswith("-") else arguments.ref]
    return ["roar", "register", *ref, *(["--server", arguments.server] if arguments.server else []),
            *(["--project", arguments.project] if arguments.project else [])]


def find_server_url(given: str | None) -> str:
    """The server that a command line names, else the one in the settings.

    Raises:
        PublishError: neither.
    """
    url = given or load_settings(find_workspace()).text("glaas.url")
    if not url:
        raise PublishError("No glaas server is set.", hint="--server URL, or roar config glaas.url URL; your own pages"
                           " need none: roar ui")
    return url


def _server(url: str | None) -> Server:
    server = parse_server(find_server_url(url))
    return parse_server(server.url, find_token(server.url))


def _send(server: Server, registration: Registration, body: bytes, workspace: Workspace, project: str | None
          ) -> Published:
    """Publish; an older server, which takes more for a secret or no odd names, gets what it takes."""
    try:
        return register(server, body, project=project)
    except PublishError as error:
        if not error.secret and not any(_OTHER_MEMBERS in detail for detail in error.details):
            raise
        from roar.publish.older_servers import for_older_servers, without_odd_names  # noqa: PLC0415  few are that old

        older = canonical_json(for_older_servers(registration, functools.partial(load_path_key, workspace))
                               if error.secret else without_odd_names(registration))
        if older == body:
            raise
        published = register(server, older, project=project)
        what = ("takes some names for secrets: it got [redacted] in their place" if error.secret else
                "takes no names that are not UTF-8, or with a backslash or a newline: it got no list of the files of "
                "datasets with such names")
        sys.stderr.write(f"roar: {server.url} is older and {what}\n")
        return published


def _say_plan(publishable: Publishable, others: Container[str], size: int, server: str, whole: str) -> None:
    files = sum(len(job.inputs) + len(job.outputs) for job in publishable.jobs)
    _say_earlier(publishable, whole)
    for job in publishable.jobs[-_LISTED:]:
        step = "" if job.uid in others else f"@{job.step}  "
        print(f"{step}{job.uid[:8]}  {printable(job.name or '')}{'  ' if job.name else ''}"
              f"{command_text(job.command)}")
    datasets = sum(len(dataset.members) for dataset in publishable.datasets)
    members = f" and {count_text(datasets, 'file')} in datasets" if datasets else ""
    print(f"{count_text(len(publishable.jobs), 'job')} with {count_text(files, 'file use')}{members}, {size:,} bytes,"
          f" would go to {server}. No file's content is sent.")


def _say_earlier(publishable: Publishable, whole: str) -> None:
    if len(publishable.jobs) > _LISTED:
        print(f"… and {count_text(len(publishable.jobs) - _LISTED, 'earlier job')}: {whole}")


def _say_published(publishable: Publishable, others: Container[str], published: Published, whole: str) -> None:
    _say_earlier(publishable, whole)
    for job in publishable.jobs[-_LISTED:]:
        print(f"{job.uid[:8] if job.uid in others else f'@{job.step}'}  {published.job_urls.get(job.uid, '')}")
    if not published.created:
        sys.stdout.flush()
        print("The server had all of it already.", file=sys.stderr)
    print(published.url)
