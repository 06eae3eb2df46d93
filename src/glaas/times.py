"""Times as the tables keep them: RFC 3339 in UTC with microseconds, so that they sort as text."""

import functools
from datetime import UTC, datetime, timedelta


def now(*, later_s: float = 0) -> str:
    """The time now, or `later_s` seconds later."""
    return (datetime.now(UTC) + timedelta(seconds=later_s)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@functools.lru_cache(maxsize=4096)
def moment_after(started_at: str, duration_s: float | None) -> str | None:
    """The time `duration_s` seconds after `started_at`; None where that is not known."""
    if duration_s is None:
        return None
    try:
        end = datetime.fromisoformat(started_at) + timedelta(seconds=duration_s)
    except OverflowError:
        return None
    return end.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"  # strftime writes the year 1 as `1`
