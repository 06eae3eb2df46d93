"""Take secrets out of text before it is stored anywhere.

What counts as a secret is in `roar.credentials`: the value of a name that says so (`--api-key X`, `TOKEN=X`,
`?write_token=X`, `{"password": "X"}`), user info in a URL, `-u user:password`, the options by which well-known
programs take a password, and strings in the published shapes of well-known credentials.

The paths of files are not looked through: a path says which file it was, and a record with another path would be
wrong. A file that is *named* like a credential is recorded under that name; `roar.wire.without_secrets` takes the
secret out of it, and out of everything else, before anything is published or exported.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from roar.credentials.text import PEM_BEGIN, PEM_END, redact_over_lines, redact_text, redact_url
from roar.credentials.values import is_secret_argument, is_secret_name
from roar.credentials.words import redact_words as redact_command
from roar.model import REDACTED

__all__ = ["REDACTED", "is_secret_name", "redact_command", "redact_labels", "redact_patch", "redact_text",
           "redact_url"]

_KEY_BEGINS, _KEY_ENDS = re.compile(PEM_BEGIN), re.compile(PEM_END)
_KEY_BODY = re.compile(r"\s*[\"']?[A-Za-z0-9+/=]{4,100}(?:\\n)?[\"']?,?\s*")
_HUNK = re.compile(r"(@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@)(.*)", re.DOTALL)


def redact_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels without the values whose key, or whose shape, says that they are secrets."""
    return {key: REDACTED if is_secret_argument(key, value) else redact_text(value) for key, value in labels.items()}


def redact_patch(patch: str) -> str:
    """A patch in git's form without secrets, line for line: prefixes, hunks and their counts stay as they are.

    Changed lines, the context around them and the text behind a hunk's second `@@` are looked through, the lines of
    either side together, too; a private key goes as a whole. The names of files stay, and so does binary data. Where
    a secret stood on a context or a removed line, the patch no longer applies there by itself.
    """
    lines = patch.split("\n")
    at = 0
    while at < len(lines):
        hunk = _HUNK.fullmatch(lines[at])
        at += 1
        if hunk is None:
            continue
        lines[at - 1] = hunk[1] + redact_text(hunk[4])
        end = _end_of_hunk(lines, at, int(hunk[2] or 1), int(hunk[3] or 1))
        lines[at:end] = _redact_hunk(lines[at:end])
        at = end
    return "\n".join(lines)


def _end_of_hunk(lines: Sequence[str], at: int, old: int, new: int) -> int:
    while at < len(lines) and (old > 0 or new > 0 or lines[at].startswith("\\")):
        old -= lines[at][:1] in {"-", " ", ""}
        new -= lines[at][:1] in {"+", " ", ""}
        at += 1
    return at


def _redact_hunk(lines: list[str]) -> list[str]:
    cut: list[tuple[int, int] | None] = [(0, 0)] * len(lines)
    sides = [[(i, line[1:]) for i, line in enumerate(lines) if line[:1] in {side, " "}] for side in ("-", "+")]
    if any("PRIVATE KEY" in line for line in lines):
        for side in sides:
            for index, span in _key_spans(side):
                cut[index] = span
    kept = list(lines)
    for side in sides:
        texts = redact_over_lines("\n".join(text for _, text in side)).split("\n") if side else []
        for (index, before), text in zip(side, texts, strict=True):
            if text != before and cut[index] == (0, 0):
                kept[index] = kept[index][:1] + text
    redacted = cache(_redact_line)  # many lines are alike
    return [redacted(line, span) for line, span in zip(kept, cut, strict=True)]


def _redact_line(line: str, span: tuple[int, int] | None) -> str:
    if line.startswith("\\"):
        return line  # "\ No newline at end of file"
    prefix, text, end = line[:1], line[1:].removesuffix("\r"), "\r" if line[1:].endswith("\r") else ""
    if span is None:
        return prefix + REDACTED + end
    start, stop = span
    if stop == 0:
        return prefix + redact_text(text) + end
    return prefix + redact_text(text[:start]) + REDACTED + redact_text(text[stop:]) + end


def _key_spans(lines: Sequence[tuple[int, str]]) -> Iterator[tuple[int, tuple[int, int] | None]]:
    """The lines of one side of a hunk that belong to a private key: which part of each, or None for all of it."""
    inside = False
    for place, (index, text) in enumerate(lines):
        begins, ends = _KEY_BEGINS.search(text), _KEY_ENDS.search(text)
        if inside:
            yield index, (0, ends.end()) if ends else None
            inside = ends is None
        elif begins:
            inside = not _KEY_ENDS.search(text, begins.end())
            if inside:
                yield index, (begins.start(), len(text))
        elif ends:  # a key that began above the hunk
            for before, body in reversed(lines[:place]):
                if not _KEY_BODY.fullmatch(body):
                    break
                yield before, None
                yield index, (0, ends.end())
