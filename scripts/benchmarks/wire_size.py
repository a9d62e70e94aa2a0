"""Bytes a reading on the wire, beside the same data as JSON, SenML-CBOR and line protocol."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import cbor2

from edge_agent.contract.events import Readings
from edge_agent.contract.packs import encode_pack
from edge_agent.contract.quantities import BY_NAME
from scripts.benchmarks._island import SIX, samples, values
from scripts.benchmarks.figure import Figure, Line

OUTBOX, NUMBER = 0x9E3779B1, 1_234_567

_BASE_NAME, _BASE_TIME, _NAME, _UNIT, _VALUE, _TIME = -2, -3, 0, 1, 2, 6
"""Labels of SenML in CBOR (RFC 8428, table 4)."""


def measure() -> Figure:
    """Measure one sample of six quantities, and a pack of an hour's sixty."""
    peers: dict[str, Callable[[Sequence[Readings]], bytes]] = {
        "JSON objects": _json,
        "SenML-CBOR": _senml,
        "line protocol": _line_protocol,
    }
    lines = []
    for count, at_most in ((1, 9.0), (60, 1.6)):
        hour = samples(count)
        readings = count * len(SIX)
        ours = len(encode_pack(OUTBOX, "readings", [(NUMBER + i, sample) for i, sample in enumerate(hour)])) / readings
        what = "one sample of six" if count == 1 else f"pack of {count} samples of six"
        lines.append(
            Line(name=what, value=ours, unit="bytes a reading", at_most=at_most, compare=f"{ours * readings:.0f} bytes")
        )
        for name, encode in peers.items():
            size = len(encode(hour)) / readings
            lines.append(
                Line(name=f"  as {name}", value=size, unit="bytes a reading", compare=f"{size / ours:.1f} times ours")
            )
    note = "Ours holds the event numbers for the receipt; the others do not."
    return Figure(title="Size on the wire", lines=lines, note=note)


def _json(hour: Sequence[Readings]) -> bytes:
    objects = [{"device": "air-01", "time": sample.at, **values(sample)} for sample in hour]
    return json.dumps(objects if len(objects) > 1 else objects[0], separators=(",", ":")).encode()


def _senml(hour: Sequence[Readings]) -> bytes:
    records: list[dict[int, Any]] = []
    for sample in hour:
        for name, value in values(sample).items():
            record = {_NAME: name, _UNIT: BY_NAME[name].unit, _VALUE: value}
            if records:
                seconds = (sample.at - hour[0].at) / 1000
                record |= {_TIME: seconds} if seconds else {}
            else:
                record |= {_BASE_NAME: "air-01:", _BASE_TIME: sample.at / 1000}
            records.append(record)
    return cbor2.dumps(records, canonical=True)


def _line_protocol(hour: Sequence[Readings]) -> bytes:
    return "\n".join(
        "air,site=duong-dong,station=air-01 "
        + ",".join(f"{name}={value}" for name, value in values(sample).items())
        + f" {sample.at}000000"
        for sample in hour
    ).encode()
