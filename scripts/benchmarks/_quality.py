"""How fast readings are judged on one core, with every test of the stream on."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from collector.quality import Quality, QualitySettings
from edge_agent.contract.events import Readings
from edge_agent.contract.packs import Block, decode_pack, encode_pack
from edge_agent.contract.quantities import BY_NAME
from scripts.benchmarks._island import SIX, box, samples
from scripts.benchmarks.figure import Line

STATIONS = 16
HOURS = 12
TWIN = {"absolute": 10, "relative": 0.7}
RENAMED = {"pm1": "pm2_5_b"}
"""So that one block holds a twin, dust and humidity: no companion is left out."""


def everything() -> QualitySettings:
    """Every test on, for each of the six quantities."""
    each = {
        "suspect_low": 0.1,
        "suspect_high": 900,
        "climatology": {"1-12": [0, 2000]},
        "spike_suspect": 100,
        "spike_fail": 300,
        "rate_per_min": 50,
        "flat_suspect_s": 21_600,
        "flat_fail_s": 86_400,
        "attenuated": {"window_s": 10_800, "suspect_below": 0.01},
        "neighbours": {"within_km": 10, "least": 3, "absolute": 500, "relative": 0.5},
        "gap_s": 660,
    }
    quantities = {RENAMED.get(name, name): each for name in SIX}
    quantities["pm2_5"] = each | {"twin": TWIN}
    stations = {_name(i): {"formula": "koehler", "kappa": 0.4, "density": 1.65} for i in range(STATIONS)}
    return msgspec.convert({"quantities": quantities, "humidity_correction": stations}, QualitySettings)


def judging() -> Sequence[Line]:
    """Values a second of processor time: a block of each station at once, of 60 samples of six or of one."""
    whole, single = _rate(60), _rate(1)
    return (
        Line(name="flags, blocks of 60 samples of six, every test on", value=whole, unit="values/s", at_least=200_000),
        Line(name="  the tests that are on by default", value=_rate(60, QualitySettings()), unit="values/s"),
        Line(name="  one sample of six of each station, every test on", value=single, unit="values/s"),
        Line(name="  the tests that are on by default", value=_rate(1, QualitySettings()), unit="values/s"),
    )


def _rate(size: int, settings: QualitySettings | None = None) -> float:
    fleet = {_name(i): box(_name(i), lat=10.2 + i / 100, lon=103.96 + i % 3 / 100) for i in range(STATIONS)}
    quality = Quality(settings or everything(), fleet)
    day = {name: _blocks(name, size) for name in fleet}
    batches = [[(name, day[name][i]) for name in fleet] for i in range(len(day[_name(0)]))]
    began = time.process_time()
    for batch in batches:
        quality.judge_all(batch)
        quality.keep()
    spent = time.process_time() - began
    return sum(len(block.at) * len(block.quantities) for batch in batches for _, block in batch) / spent


def _blocks(station: str, size: int) -> list[Block]:
    minutes = HOURS * 60 if size > 1 else 180
    found: list[Block] = []
    whole = samples(minutes, station=station)
    for first in range(0, minutes, size):
        found += decode_pack("readings", _pack(first, whole[first : first + size])).blocks
    names = tuple(BY_NAME[RENAMED.get(name, name)].number for name in SIX)
    return [msgspec.structs.replace(block, quantities=names) for block in found]


def _pack(first: int, part: Sequence[Readings]) -> bytes:
    return encode_pack(7, "readings", [(first + i + 1, sample) for i, sample in enumerate(part)])


def _name(i: int) -> str:
    return f"air-{i + 1:02}"
