"""Problems as RFC 9457 documents for programs, and as pages for people."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

PROBLEM_JSON = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that is wrong in a request; `pointer` is a JSON pointer into its body. The value is never repeated."""

    pointer: str
    detail: str


class ProblemError(Exception):
    """A request that is not answered as asked.

    Args:
        status: the HTTP status.
        detail: one sentence for a person.
        flaws: what is wrong in the body, where that is known.
        headers: of the answer.
    """

    def __init__(self, status: int, detail: str, *, flaws: tuple[Flaw, ...] = (),
                 headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = HTTPStatus(status)
        self.detail = detail
        self.flaws = flaws
        self.headers = headers or {}

    def document(self) -> dict[str, Any]:
        """The problem document, without its instance."""
        return problem_document(self.status, self.detail, self.flaws)


def problem_document(status: int, detail: str, flaws: tuple[Flaw, ...] = ()) -> dict[str, Any]:
    """A problem document of type `about:blank`: the title is the status's own phrase."""
    document: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": int(status),
                                "detail": detail}
    if flaws:
        document["errors"] = [{"pointer": flaw.pointer, "detail": flaw.detail} for flaw in flaws]
    return document


def not_found(what: str) -> ProblemError:
    """`what` is a sentence's subject: `job 12ab…`. The same answer for what is not there and what may not be seen."""
    return ProblemError(404, f"There is no {what} on this server.")
