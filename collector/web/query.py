"""What callers give: query parameters, times, spans and bodies, checked before anything is done with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Literal, Protocol, TypeVar

import msgspec

from collector.averages.periods import Period
from collector.web.context import Context, Refusal
from edge_agent.contract.device import Box
from edge_agent.contract.nearest import nearest

T = TypeVar("T")

MAX_MS = 4_102_444_800_000
DAY_MS = 86_400_000
_SPAN = re.compile(r"([0-9]{1,6})(s|m|h|d)")
_SPAN_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
MAX_SPAN_MS = 3660 * 86_400_000
_LOST_PLUS = re.compile(r" (\d\d:\d\d)$")
_TEXT = r"^[^\x00]*$"
"""What any database takes: PostgreSQL refuses the character 0."""


class ReadingsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Query of `/api/v1/readings`."""

    station: str
    quantity: str
    start: str | None = None
    stop: str | None = None
    every: str | None = None
    format: Literal["json", "csv", "parquet"] = "json"


class AveragesQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Query of `/api/v1/averages`."""

    station: str
    quantity: str
    period: Period = "1h"
    start: str | None = None
    stop: str | None = None
    format: Literal["json", "csv", "parquet"] = "json"


class AqiQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Query of `/api/v1/aqi`."""

    station: str
    period: Literal["1h", "24h"] = "1h"
    start: str | None = None
    stop: str | None = None
    format: Literal["json", "csv"] = "json"


class CurveQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Query of `/api/v1/curve.png`."""

    station: str
    quantity: str
    start: str | None = None
    stop: str | None = None


class GapsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Query of `/api/v1/gaps`."""

    station: str
    start: str | None = None
    stop: str | None = None


class DayQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Query of `/api/v1/reports/<station>`; `day` such as 2026-01-31, today if left out."""

    day: str | None = None


class LimitsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Query of `/api/v1/limits`; `day` such as 2026-01-31, today if left out."""

    station: str
    day: str | None = None


class ExceedancesQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Query of `/api/v1/exceedances`."""

    station: str | None = None
    start: str | None = None
    stop: str | None = None
    open: bool = False
    """Only those that go on."""


class PlatesQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Query of `/api/v1/plates`; `plate` may hold `*` and `?`."""

    plate: Annotated[str, msgspec.Meta(max_length=24, pattern=_TEXT)] | None = None
    camera: str | None = None
    site: Annotated[str, msgspec.Meta(pattern=_TEXT)] | None = None
    start: str | None = None
    stop: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    format: Literal["json", "csv"] = "json"


class AlertsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Query of `/api/v1/alerts`."""

    start: str | None = None
    stop: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100


class WatchlistQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Query of `/api/v1/watchlist`: also entries that are no longer in use?"""

    all: bool = False


class NewEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/watchlist`."""

    pattern: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=_TEXT)]
    expires: Annotated[str, msgspec.Meta(max_length=40)]
    officer: Annotated[str, msgspec.Meta(max_length=64, pattern=_TEXT)] | None = None
    """Who answers for it; left out, the token's holder."""


def parse_query(query: Mapping[str, str], kind: type[T]) -> T:
    """Query parameters as a struct. Raises Refusal."""
    try:
        return msgspec.convert(dict(query), kind, strict=False)
    except msgspec.ValidationError as error:
        names = ", ".join(field.name for field in msgspec.structs.fields(kind))  # type: ignore[arg-type]
        raise Refusal(
            400,
            (f"Tham số không đúng: {error}", f"Wrong parameter: {error}"),
            (f"Các tham số có thể dùng: {names}.", f"The parameters are: {names}."),
        ) from None


def parse_body(body: bytes, kind: type[T]) -> T:
    """A JSON body as a struct. Raises Refusal."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        fields = ", ".join(f.name + ("" if f.required else "?") for f in msgspec.structs.fields(kind))  # type: ignore[arg-type]
        raise Refusal(
            400,
            (f"Nội dung không đúng: {error}", f"Wrong content: {error}"),
            (f"Gửi một đối tượng JSON có các trường: {fields}.", f"Send a JSON object with the fields: {fields}."),
        ) from None


def parse_time(text: str | None, name: str) -> int | None:
    """ISO 8601 with a zone, in milliseconds UTC; None for None. Raises Refusal."""
    if text is None:
        return None
    ms = _milliseconds(text)
    if ms is None:
        quoted = f"{name}={text[:40]!r}"
        raise Refusal(
            400,
            (f"{quoted} không phải thời điểm có múi giờ.", f"{quoted} is not a time with a zone."),
            (
                "Viết như 2026-11-22T07:00:00Z hoặc 2026-11-22T14:00:00+07:00.",
                "Write it like 2026-11-22T07:00:00Z or 2026-11-22T14:00:00+07:00.",
            ),
        )
    return ms


def _milliseconds(text: str) -> int | None:
    try:
        # an unescaped + in an address arrives as a space
        moment = datetime.fromisoformat(_LOST_PLUS.sub(r"+\1", text))
        ms = round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
    return ms if moment.tzinfo is not None and 0 <= ms < MAX_MS else None


def parse_span(text: str) -> int:
    """`30s`, `15m`, `1h`, `7d` in milliseconds. Raises Refusal."""
    match = _SPAN.fullmatch(text)
    span = 0 if match is None else int(match[1]) * _SPAN_MS[match[2]]
    if not 0 < span <= MAX_SPAN_MS:
        raise Refusal(
            400,
            (f"{text[:20]!r} không phải khoảng thời gian.", f"{text[:20]!r} is not a span of time."),
            ("Viết như 30s, 15m, 1h hoặc 7d; tối đa 3660d.", "Write it like 30s, 15m, 1h or 7d; at most 3660d."),
        )
    return span


class _Spanned(Protocol):
    @property
    def start(self) -> str | None: ...
    @property
    def stop(self) -> str | None: ...


def parse_span_of(query: _Spanned, now: int) -> tuple[int, int]:
    """From `start`, else a day before the end, to before `stop`, else now; ms. Raises Refusal."""
    stop = parse_time(query.stop, "stop") or now + 1
    start = parse_time(query.start, "start")
    start = stop - DAY_MS if start is None else start
    if start >= stop:
        raise Refusal(
            400,
            ("Thời điểm bắt đầu phải trước thời điểm kết thúc.", "The start must be before the stop."),
            ("Đổi start hoặc stop.", "Change start or stop."),
        )
    return start, stop


def parse_day(text: str) -> date:
    """A day such as 2026-01-31. Raises Refusal."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        quoted = f"day={text[:20]!r}"
        raise Refusal(
            400,
            (f"{quoted} không phải ngày.", f"{quoted} is not a day."),
            ("Viết như 2026-01-31.", "Write it like 2026-01-31."),
        ) from None


def known(name: str, names: Iterable[str], what: tuple[str, str]) -> None:
    """Refuse a name that is not among `names`, with those that were probably meant."""
    all_names = list(names)
    if name in all_names:
        return
    close = nearest(name, all_names, 3) or all_names[:3]
    raise Refusal(
        404,
        (f"Không có {what[0]} {name[:40]!r}.", f"There is no {what[1]} {name[:40]!r}."),
        (f"Có phải bạn muốn: {', '.join(close)}?", f"Did you mean: {', '.join(close)}?"),
    )


def station(context: Context, name: str) -> Box:
    """A box that measures. Raises Refusal."""
    known(name, [each for each, box in context.fleet.items() if box.medium is not None], ("trạm", "station"))
    return context.fleet[name]


def iso(ms: int | None) -> str | None:
    """Milliseconds UTC as ISO 8601 in UTC, to the millisecond."""
    if ms is None:
        return None
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
