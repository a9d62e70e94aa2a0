"""The island's time: UTC+7, without summer time."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

LOCAL_MS = 7 * 3_600_000
"""How far the island's clocks are ahead of UTC."""
LOCAL = timezone(timedelta(milliseconds=LOCAL_MS))


def local(ms: int) -> datetime:
    """A time in ms since 1970 UTC, as the island's clocks show it."""
    return datetime.fromtimestamp(ms / 1000, LOCAL)


def minute(text: str) -> str:
    """A time in ISO 8601, as the island's clocks show it to the minute."""
    return f"{datetime.fromisoformat(text).astimezone(LOCAL):%Y-%m-%d %H:%M}"


def local_day(ms: int) -> date:
    """The local day of a time in ms."""
    return local(ms).date()


def span_of(day: date) -> tuple[int, int]:
    """Beginning and end of a local day in ms."""
    start = round(datetime(day.year, day.month, day.day, tzinfo=LOCAL).timestamp() * 1000)
    return start, start + 86_400_000
