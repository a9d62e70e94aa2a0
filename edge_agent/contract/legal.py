"""Limits that law or a licence sets, as files give them. Days are local, UTC+7; a limit holds on its last day too."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edge_agent.contract.nearest import meant
from edge_agent.contract.quantities import BY_NAME, conversion, units_for

Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", title="a day such as 2026-01-31")]
Certainty = Literal["certain", "likely", "unsure", "superseded"]
"""How sure a figure is. `superseded`: of a regulation that was replaced, shown until the new figures are filled in."""
Averaging = Literal["sample", "1h", "8h", "24h", "month", "year"]

Mistake = tuple[tuple[str | int, ...], str, str]
"""Path below the limit, what is wrong, what to do."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a value must not leave, and from when to when."""

    averaging: Annotated[
        Averaging, Meta(description="Of what the limit speaks: every single sample, or the mean of 1h, 8h, 24h, ...")
    ]
    low: Annotated[float | None, Meta(description="A lower value breaks the limit.")] = None
    high: Annotated[float | None, Meta(description="A higher value breaks the limit.")] = None
    unit: Annotated[str, Meta(description="Unit of `low` and `high`.")]
    since: Annotated[Day | None, Meta(description="First day on which it holds; of a licence's limit its own.")] = None
    until: Annotated[Day | None, Meta(description="Last day on which it holds; left out, it has no end yet.")] = None

    def in_registry_unit(self, quantity: str) -> tuple[float | None, float | None]:
        """Lowest and highest allowed value in the quantity's own unit."""
        factor, offset = conversion(quantity, self.unit)
        low, high = (None if bound is None else bound * factor + offset for bound in (self.low, self.high))
        return low, high

    def mistakes(self, quantity: str) -> Iterator[Mistake]:
        """What no schema can say of a limit of this quantity."""
        if quantity not in BY_NAME:
            yield (), f"{quantity} is not a quantity", meant(quantity, BY_NAME)
        elif self.unit not in units_for(quantity):
            message = f"{quantity} cannot be given in {self.unit}"
            yield ("unit",), message, f"give one of: {', '.join(units_for(quantity))}"
        for key in ("low", "high"):
            bound = getattr(self, key)
            if bound is not None and not math.isfinite(bound):
                yield (key,), f"{bound} is no limit", "write a number, or leave the key out"
        if self.low is None and self.high is None:
            yield (), "neither low nor high is given", "write the limit's figure under `low` or `high`"
        elif self.low is not None and self.high is not None and self.low > self.high:
            yield ("low",), f"low ({self.low:g}) is above high ({self.high:g})", "exchange them"
        yield from day_mistakes(self.since, self.until)


class Licence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A site's environmental licence: the figures that bind it, whatever the general table says."""

    number: Annotated[str, Meta(min_length=1, max_length=80, description="As it stands on the licence.")]
    since: Annotated[Day, Meta(description="First day of the licence.")]
    until: Annotated[Day | None, Meta(description="Last day of the licence.")] = None
    certainty: Annotated[
        Certainty, Meta(description="unsure for figures that are not read off the licence: they alarm nobody.")
    ] = "certain"
    limits: Annotated[dict[str, tuple[Bounds, ...]], Meta(min_length=1, description="Quantity: its limits.")]

    def mistakes(self) -> Iterator[Mistake]:
        """What no schema can say."""
        yield from day_mistakes(self.since, self.until)
        for quantity, limits in self.limits.items():
            for index, bounds in enumerate(limits):
                for below, message, hint in bounds.mistakes(quantity):
                    yield ("limits", quantity, index, *below), message, hint


def day_mistakes(since: str | None, until: str | None) -> Iterator[Mistake]:
    """Days that are none, or an end before its beginning."""
    for key, text in (("since", since), ("until", until)):
        if text is None:
            continue
        try:
            date.fromisoformat(text)
        except ValueError as error:
            yield (key,), f"{text} is no day: {error}", "write year-month-day, such as 2026-01-31"
    if since is not None and until is not None and until < since:
        yield ("until",), f"ends on {until}, before it begins on {since}", "exchange the days"
