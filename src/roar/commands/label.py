"""`roar label`: set, unset or list labels."""

import sys
from collections.abc import Iterable, Mapping
from itertools import takewhile

from roar.commands.arguments import Parser
from roar.commands.opening import Opened, open_record
from roar.errors import NotFoundError, UsageError
from roar.present.answer import print_json
from roar.present.text import printable
from roar.query.references import ArtifactReference, JobReference, Reference, SessionReference, resolve
from roar.record.writer import set_label
from roar.shell import quoted


def parser() -> Parser:
    """The command line of `roar label`."""
    result = Parser("label", "Set, unset or list the labels of jobs, artifacts or a session (@ for this one).")
    result.add_argument("ref", metavar="REF", help="what to label; more may follow, before the labels")
    result.add_argument("labels", metavar="KEY=VALUE", nargs="*", help="labels to set; none lists them")
    result.add_argument("--unset", metavar="KEY", action="append", default=[], help="a label to remove")
    result.add_json()
    return result


def main(argv: list[str]) -> int:
    """Change the labels, then print what they are. Nothing is changed where one that is named is not known."""
    arguments = parser().parse_args(argv)
    more = list(takewhile(lambda word: "=" not in word, arguments.labels))
    pairs = [_pair(text) for text in arguments.labels[len(more):]]
    opened = open_record()
    targets = {ref: _target(ref, resolve(opened.database, opened.workspace, ref)) for ref in (arguments.ref, *more)}
    _check_unset(opened, targets, arguments.unset)
    for target in targets.values():
        for key, value in (*((key, None) for key in arguments.unset), *pairs):
            set_label(opened.database, target, key, value)
    labels = {ref: _labels(opened, target) for ref, target in targets.items()}
    if arguments.json:
        print_json({"labels": labels[arguments.ref]} if not more else {"labels_of": labels})
        return 0
    for ref, found in labels.items():
        for key, value in found.items():
            print(f"{f'{printable(ref)}: ' if more else ''}{printable(key)}={printable(value)}")
    return 0


def _check_unset(opened: Opened, targets: Mapping[str, tuple[str, int]], keys: Iterable[str]) -> None:
    for ref, target in targets.items():
        for key in keys:
            if key not in _labels(opened, target):
                raise NotFoundError(f"{ref} has no label {key!r}.", hint=f"roar label {quoted(ref)}")


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"A label is KEY=VALUE, not {text!r}.", hint="roar label @-1 owner=alice")
    from roar.observe.redaction import redact_labels  # noqa: PLC0415  listing labels needs no rules

    safe = redact_labels({key: value})[key]
    if safe != value:
        sys.stderr.write(f"roar: what looks like a secret in label {printable(key)} is not kept\n")
    return key, safe


def _target(ref: str, found: Reference) -> tuple[str, int]:
    if isinstance(found, JobReference):
        return "job", found.row_id
    if isinstance(found, ArtifactReference):
        return "artifact", found.row_id
    if isinstance(found, SessionReference):
        return "session", found.row_id
    raise NotFoundError(f"{ref} is a tracker run: label the job that made it.", hint=f"roar show {quoted(ref)}")


def _labels(opened: Opened, target: tuple[str, int]) -> dict[str, str]:
    return dict(opened.database.execute(
        f"SELECT key, value FROM label WHERE {target[0]}_id = ? ORDER BY key", (target[1],)))  # noqa: S608  names of our own
