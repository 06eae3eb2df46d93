"""Times as the tables keep them: RFC 3339 in UTC with microseconds, so that they sort as text."""

from datetime import UTC, datetime, timedelta


def now(*, later_s: float = 0) -> str:
    """The time now, or `later_s` seconds later."""
    return (datetime.now(UTC) + timedelta(seconds=later_s)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
