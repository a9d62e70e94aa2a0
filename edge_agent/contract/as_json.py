"""Events as plain values for people: names instead of numbers, values instead of ticks, pictures by their size."""

from __future__ import annotations

from typing import Any

import msgspec

from edge_agent.contract.events import KIND_OF, Event, PlateRead, Readings, Status, WifiUsage
from edge_agent.contract.quantities import BY_NUMBER


def as_json(event: Event) -> dict[str, Any]:
    """A dict that JSON can carry."""
    kind = KIND_OF[type(event)]
    if isinstance(event, Readings):
        return {"kind": kind, "at": event.at, "readings": dict(_named(reading) for reading in event.readings)}
    plain: dict[str, Any] = {"kind": kind, **{name: getattr(event, name) for name in event.__struct_fields__}}
    if isinstance(event, PlateRead):
        plain["jpeg"] = f"{len(event.jpeg)} bytes"
    if isinstance(event, WifiUsage):
        plain["clients"] = [
            {"pseudonym": client.pseudonym.hex(), "rx": client.rx, "tx": client.tx, "signal": client.signal}
            for client in event.clients
        ]
    return dict(msgspec.to_builtins(plain))


def _named(reading: Any) -> tuple[str, Any]:
    quantity = BY_NUMBER.get(reading.quantity)
    if quantity is None:
        return f"quantity {reading.quantity}", reading.ticks
    value = None if reading.ticks is None else quantity.value(reading.ticks)
    if reading.status == Status.MEASURING:
        return quantity.name, value
    codes = {status.value: status.name.lower() for status in Status}
    return quantity.name, {"value": value, "status": codes.get(reading.status, reading.status)}
