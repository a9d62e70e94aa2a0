"""The limits of one quantity: what each quality test is told in the collector's file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

_Positive = Annotated[float, Meta(gt=0)]
_Unset = msgspec.UnsetType
Months = Annotated[
    str, Meta(pattern="^(1[0-2]|[1-9])(-(1[0-2]|[1-9]))?$", title="a month such as 4, or months such as 11-2")
]
_Span = Annotated[tuple[float, float], Meta(description="[low, high]: outside of it a value is suspect")]


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Attenuated(_Strict, frozen=True, kw_only=True):
    """A signal that hardly moves, though it is not flat: a fouled or dying sensor.

    Judged only where values came without a gap through the whole window.
    """

    window_s: Annotated[float, Meta(ge=60, le=604_800, description="Seconds, cut into sixtieths")]
    by: Annotated[Literal["range", "deviation"], Meta(description="Highest less lowest, or standard deviation")] = (
        "range"
    )
    suspect_below: _Positive
    fail_below: _Positive | None = None

    def __post_init__(self) -> None:
        if self.fail_below is not None and self.fail_below > self.suspect_below:
            raise ValueError(f"fail_below ({self.fail_below:g}) is above suspect_below ({self.suspect_below:g})")


class Neighbours(_Strict, frozen=True, kw_only=True):
    """A value far from the median of what other stations of the same medium say is suspect."""

    within_km: _Positive
    within_s: Annotated[float, Meta(gt=0, le=3600)] = 600
    """A neighbour's value counts if it is at most so much older or younger."""
    least: Annotated[int, Meta(ge=2, description="With fewer neighbours there is no telling")]
    absolute: Annotated[_Positive, Meta(description="Further from the median than this, in the quantity's unit, and")]
    relative: Annotated[_Positive, Meta(description="further than this part of the median, such as 0.5")]


class Twin(_Strict, frozen=True, kw_only=True):
    """Two sensors of one station that say different things in the same minute are both suspect."""

    absolute: Annotated[_Positive, Meta(description="Further apart than this, in the quantity's unit, and")]
    relative: Annotated[_Positive, Meta(description="further than this part of their mean, such as 0.7")]


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Limits of one quantity in its registered unit; a key left out keeps its default, null switches its test off."""

    suspect_low: float | _Unset | None = msgspec.UNSET
    """Below this a value is suspect."""
    suspect_high: float | _Unset | None = msgspec.UNSET
    """Above this a value is suspect."""
    climatology: dict[Months, _Span] | _Unset | None = msgspec.UNSET
    """Months, in local time: what is usual then. Months that are not named are not judged."""
    spike_suspect: _Positive | _Unset | None = msgspec.UNSET
    """A value that stands out from both neighbours by more is suspect."""
    spike_fail: _Positive | _Unset | None = msgspec.UNSET
    """A value that stands out from both neighbours by more fails."""
    rate_per_min: _Positive | _Unset | None = msgspec.UNSET
    """A value that moved faster since its neighbour, per minute, is suspect."""
    flat_suspect_s: _Positive | _Unset | None = msgspec.UNSET
    """A value that has not moved for so many seconds is suspect."""
    flat_fail_s: _Positive | _Unset | None = msgspec.UNSET
    """A value that has not moved for so many seconds fails."""
    flat_tolerance: Annotated[float, Meta(ge=0)] | _Unset = msgspec.UNSET
    """How far a value may be from where it began and still count as not moved."""
    attenuated: Attenuated | _Unset | None = msgspec.UNSET
    gap_s: _Positive | _Unset | None = msgspec.UNSET
    """A longer time without a sample is a gap; it is told, but flags no value."""
    neighbours: Neighbours | _Unset | None = msgspec.UNSET
    twin: Twin | _Unset | None = msgspec.UNSET
    """Said of the first of the two (`pm2_5`), it holds for both."""

    def over(self, other: Limits) -> Limits:
        """These limits, and those of `other` where these say nothing."""
        given = {f: getattr(self, f) for f in self.__struct_fields__ if getattr(self, f) is not msgspec.UNSET}
        return msgspec.structs.replace(other, **given) if given else other

    def spans(self) -> Iterator[tuple[int, tuple[float, float]]]:
        """Every month (1 to 12) that the climatology names, with low and high."""
        for months, span in (self.climatology or {}).items():
            first, _, last = months.partition("-")
            count = (int(last or first) - int(first)) % 12 + 1
            yield from (((int(first) + i - 1) % 12 + 1, span) for i in range(count))

    def crossed(self) -> str:
        """Say which two limits leave one of them without effect; empty if none do."""
        for lower, upper in (
            ("suspect_low", "suspect_high"),
            ("spike_suspect", "spike_fail"),
            ("flat_suspect_s", "flat_fail_s"),
        ):
            low, high = getattr(self, lower), getattr(self, upper)
            if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
                return f"{lower} ({low:g}) is above {upper} ({high:g})"
        months = set[int]()
        for month, (low, high) in self.spans():
            if low > high:
                return f"climatology of month {month}: {low:g} is above {high:g}"
            if month in months:
                return f"climatology names month {month} twice"
            months.add(month)
        return ""
