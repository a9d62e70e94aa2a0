"""Limits: the table, licences, and exceedances with their evidence."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from collector.averages.periods import HOUR
from collector.database import open_database
from collector.standards.exceedances import Change, Exceedances, Finding
from collector.standards.judge import Mean, end_of, means, samples
from collector.standards.table import Limit, Standards, read_limits, zone_mistakes
from collector.stores import ReadingRow
from edge_agent.contract.device import Box, Medium, Position
from edge_agent.contract.fleet import read_fleet
from edge_agent.contract.legal import Bounds, Licence

FLEET = Path(__file__).parent.parent / "firmware_configs"
MIDNIGHT = int(datetime(2026, 11, 19, 17, tzinfo=UTC).timestamp() * 1000)
"""00:00 of 2026-11-20 on the island."""


def box(medium: Medium, *, zone: str | None = None, licence: Licence | None = None) -> Box:
    return Box(device="here", type="t", site="s", label="l", position=Position(lat=10, lon=104), medium=medium,
               camera=False, access_point=False, zone=zone, licence=licence)  # fmt: skip


def limits(quantity: str, day: str, **of: object) -> list[str]:
    rows, mistakes = read_limits(FLEET)
    assert not mistakes
    standards = Standards(rows, [box(**of)])  # type: ignore[arg-type]
    found = [each for each in standards.of("here", date.fromisoformat(day)) if each.quantity == quantity]
    return [f"{each.averaging} {each} {each.certainty}" for each in found]


def test_the_limit_of_fine_dust_changed_at_the_turn_of_the_year() -> None:
    assert limits("pm2_5", "2025-12-31", medium="air") == ["24h ≤ 50 µg/m3 certain", "year ≤ 25 µg/m3 certain"]
    assert limits("pm2_5", "2026-01-01", medium="air") == ["24h ≤ 45 µg/m3 certain", "year ≤ 25 µg/m3 certain"]


def test_uncertain_and_superseded_figures_say_so() -> None:
    assert limits("free_chlorine", "2026-11-22", medium="drinking_water") == ["sample 0.2-1 mg/L likely"]
    assert limits("ammonium", "2025-06-30", medium="drinking_water") == ["sample ≤ 0.3 mg/L certain"]
    assert limits("ammonium", "2025-07-01", medium="drinking_water") == [], "the figure of 2024 is not known"
    assert limits("dissolved_oxygen", "2026-11-22", medium="seawater", zone="bathing") == ["sample ≥ 4 mg/L superseded"]
    assert limits("dissolved_oxygen", "2026-11-22", medium="seawater") == [], "without a zone nothing is assumed"


def test_a_licence_goes_over_the_table() -> None:
    licence = Licence(
        number="12/GPMT", since="2024-01-01", until="2027-12-31",
        limits={"cod": (Bounds(averaging="24h", high=0.09, unit="g/L"),
                        Bounds(averaging="24h", high=60, unit="mg/L", since="2026-06-01"))},
    )  # fmt: skip
    of = {"medium": "wastewater", "zone": "qcvn40-2011-a", "licence": licence}
    assert limits("cod", "2026-05-31", **of) == ["24h ≤ 90 mg/L certain"]
    assert limits("cod", "2026-06-01", **of) == ["24h ≤ 90 mg/L certain", "24h ≤ 60 mg/L certain"]
    assert limits("cod", "2028-01-01", **of) == []
    assert limits("tss", "2026-06-01", **of) == ["sample ≤ 50 mg/L likely"], "the rest is the table's"


def test_mistakes_in_the_table_are_named_with_their_place(tmp_path: Path) -> None:
    good = "medium: air, averaging: 24h, unit: µg/m3, since: 2026-01-01, source: s, certainty: certain"
    (tmp_path / "limits.yaml").write_text(
        f"limits:\n  - {{quantity: pm2_5, high: 45, {good}}}\n  - {{quantity: pm25, high: 45, {good}}}\n"
        f"  - {{quantity: pm10, {good}}}\n  - {{quantity: so2, high: 1, low: 2, {good}}}\n"
        f"  - {{quantity: co, high: 1, {good.replace('µg/m3', 'mg/L')}}}\n"
        f"  - {{quantity: no2, high: 1, {good.replace('01-01', '02-30')}}}\n"
        f"  - {{quantity: o3, high: 1, until: 2025-01-01, {good}}}\n"
    )
    rows, mistakes = read_limits(tmp_path)
    assert [row.quantity for row in rows] == ["pm2_5"]
    assert [(each.line, each.path) for each in mistakes] == [
        (3, "limits[1]"), (4, "limits[2]"), (5, "limits[3].low"), (6, "limits[4].unit"), (7, "limits[5].since"),
        (8, "limits[6].until"),
    ]  # fmt: skip
    assert "pm2_5" in mistakes[0].hint, "what was probably meant"


def test_a_zone_that_no_limit_knows_is_named() -> None:
    rows, _ = read_limits(FLEET)
    (mistake,) = zone_mistakes(
        FLEET, rows, [box("seawater", zone="bathin"), box("seawater", zone="bathing"), box("air")]
    )
    assert mistake.path == "station.zone" and "'bathin'" in mistake.message and "bathing" in mistake.hint


def test_the_fleets_files_name_zones_that_exist() -> None:
    boxes, _ = read_fleet(FLEET)
    assert zone_mistakes(FLEET, read_limits(FLEET)[0], boxes.values()) == []


PH = Limit(quantity="ph", averaging="sample", low=6, high=8.5, since="2020-01-01", until=None, source="s",
           certainty="certain")  # fmt: skip
DUST = Limit(quantity="pm2_5", averaging="24h", low=None, high=45, since="2026-01-01", until=None, source="s",
             certainty="certain")  # fmt: skip


def row(minute: int, value: float | None, flag: int = 1, status: int = 0) -> ReadingRow:
    return ReadingRow(at=MIDNIGHT + minute * 60_000, value=value, flag=flag, status=status)


def test_only_usable_samples_are_judged() -> None:
    rows = [row(0, 7), row(1, 9, flag=3), row(2, 9, flag=4), row(3, 9, status=1), row(4, None, flag=9), row(5, 8.5)]
    (finding,) = samples("here", MIDNIGHT, [PH, DUST], rows)
    assert finding.evidence is None
    (finding,) = samples("here", MIDNIGHT, [PH], rows[1:5])
    assert not finding.judged, "nothing usable, nothing judged"
    (finding,) = samples("here", MIDNIGHT, [PH], [*rows, row(6, 8.6), row(7, 5), row(8, 8.7), row(9, 7)])
    assert finding.evidence is not None
    assert (finding.evidence.beyond, finding.evidence.of, finding.evidence.worst) == (3, 6, 5)
    assert finding.evidence.worst_at == MIDNIGHT + 7 * 60_000


def test_a_mean_on_the_limit_keeps_it_and_one_with_too_little_data_says_nothing() -> None:
    at = [finding.evidence for finding in means("here", [DUST, PH], Mean("24h", MIDNIGHT, 45.0, 1, 100))]
    assert at == [None]
    (finding,) = means("here", [DUST], Mean("24h", MIDNIGHT, 45.1, 2, 30.0))
    assert finding.evidence is not None and finding.evidence.coverage == 30.0
    (finding,) = means("here", [DUST], Mean("24h", MIDNIGHT, 99, 3, 30.0))
    assert finding.evidence is None and not finding.judged
    assert list(means("here", [DUST], Mean("1h", MIDNIGHT, 99, 1, 100))) == []
    new_year = int(datetime(2025, 12, 31, 17, tzinfo=UTC).timestamp() * 1000)
    assert len(list(means("here", [DUST], Mean("24h", new_year, 99, 1, 100)))) == 1, "a local day of 2026"
    assert list(means("here", [DUST], Mean("24h", new_year - 1, 99, 1, 100))) == []


@pytest.mark.parametrize(("day", "days"), [("2028-02-01", 29), ("2026-02-01", 28), ("2026-12-01", 31)])
def test_months_end_where_the_calendar_says(day: str, days: int) -> None:
    start = int(datetime.fromisoformat(f"{day}T00:00:00+07:00").timestamp() * 1000)
    assert end_of("month", start) == start + days * 24 * HOUR


def found(hour: int, worst: float | None) -> Finding:
    start = MIDNIGHT + hour * HOUR
    rows = [row(hour * 60, 7)] if worst is None else [row(hour * 60, worst), row(hour * 60 + 50, worst)]
    (finding,) = samples("here", start, [PH], rows)
    return finding


@pytest.fixture
def kept(engine: Engine) -> Exceedances:
    return Exceedances(engine, lambda _station: [PH])


def seen(kept: Exceedances) -> list[tuple[int, int | None, float, int]]:
    """Events as (first hour, last hour or None, worst, periods)."""
    return [
        ((e.opened - MIDNIGHT) // HOUR, None if e.closed is None else (e.closed - MIDNIGHT) // HOUR, e.worst,
         len(e.evidence))
        for e in kept.events(0, MIDNIGHT + 10_000 * HOUR)
    ]  # fmt: skip


def test_an_event_opens_goes_on_and_closes(kept: Exceedances) -> None:
    assert kept.enter([found(0, None)]) == []
    (opened,) = kept.enter([found(1, 9.0)])
    assert opened.evidence is not None and opened.evidence.worst == 9.0
    assert kept.enter([found(1, 9.0)]) == [], "judged again, nothing new"
    assert kept.enter([found(2, 9.5)]) == []
    assert seen(kept) == [(1, None, 9.5, 2)]
    assert kept.events(0, MIDNIGHT + 10 * HOUR, open_only=True)
    (closed,) = kept.enter([found(3, None)])
    assert closed.evidence is None
    assert seen(kept) == [(1, 2, 9.5, 2)]
    assert kept.events(0, MIDNIGHT + 10 * HOUR, open_only=True) == []
    assert kept.events(0, MIDNIGHT + 10 * HOUR, stations=["there"]) == []


def test_late_data_join_split_and_remove_events(kept: Exceedances) -> None:
    kept.enter([found(1, 9.0), found(3, 9.2), found(4, None)])
    assert seen(kept) == [(3, 3, 9.2, 1), (1, 1, 9.0, 1)]
    assert kept.enter([found(2, 9.1)]) == [], "it joins what was known"
    assert seen(kept) == [(1, 3, 9.2, 3)]
    kept.enter([found(2, None)])
    assert len(seen(kept)) == 2
    kept.enter([found(1, None), found(3, None)])
    assert seen(kept) == []


def test_samples_that_are_flagged_afterwards_take_their_evidence_back(kept: Exceedances) -> None:
    kept.enter([found(1, 9.0), found(2, None)])
    bad = list(samples("here", MIDNIGHT + HOUR, [PH], [row(60, 9.0, flag=4), row(110, 9.0, flag=4)]))
    (change,) = kept.enter(bad)
    assert change.evidence is None and seen(kept) == []
    kept.enter([found(5, 9.0)])
    kept.enter([Finding(station="here", limit=PH, at=MIDNIGHT + 6 * HOUR, evidence=None, judged=False)])
    assert seen(kept) == [(5, None, 9.0, 1)], "an hour without data does not end it"


def test_no_event_stays_open_under_a_limit_that_ended_or_is_not_there_any_more(engine: Engine) -> None:
    in_force = [PH]
    kept = Exceedances(engine, lambda _station: in_force)
    kept.enter([found(1, 9.0)])
    assert seen(kept) == [(1, None, 9.0, 1)]
    ended = msgspec.structs.replace(PH, until="2026-11-20", note="replaced")
    in_force[:] = [ended]
    assert seen(kept) == [(1, None, 9.0, 1)], "given a last day it is the same limit"
    late = msgspec.structs.replace(found(0, 9.1), limit=ended)
    assert kept.enter([late]) == [Change(station="here", limit=ended, at=late.at, evidence=late.evidence)]
    (event,) = kept.events(0, MIDNIGHT + 10 * HOUR, open_only=True)
    assert (event.limit, len(event.evidence)) == (ended, 2), "told as it is written now"
    in_force.clear()
    assert kept.events(0, MIDNIGHT + 10 * HOUR, open_only=True) == []
    assert seen(kept) == [(0, 1, 9.1, 2)]
    stricter = msgspec.structs.replace(PH, high=8.0)
    in_force[:] = [stricter]
    assert seen(kept) == [(0, 1, 9.1, 2)], "another limit says nothing of it"


@given(st.permutations(range(12)), st.lists(st.sampled_from([None, 9.0, 5.5]), min_size=12, max_size=12))
def test_the_order_in_which_hours_are_judged_does_not_matter(order: list[int], worst: list[float | None]) -> None:
    whole, mixed = (Exceedances(open_database("sqlite://"), lambda _station: [PH]) for _ in range(2))
    whole.enter([found(hour, value) for hour, value in enumerate(worst)])
    for hour in order:
        mixed.enter([found(hour, worst[hour])])
    assert seen(mixed) == seen(whole)
    beyond = "".join("x" if value else " " for value in worst)
    assert len(seen(whole)) == len(beyond.split())


def test_a_licence_whose_figures_are_examples_is_unsure() -> None:
    licence = Licence(number="example", since="2024-01-01", certainty="unsure",
                      limits={"cod": (Bounds(averaging="24h", high=60, unit="mg/L"),)})  # fmt: skip
    assert limits("cod", "2026-06-01", medium="wastewater", licence=licence) == ["24h ≤ 60 mg/L unsure"]
    boxes, _ = read_fleet(FLEET)
    licences = [box.licence for box in boxes.values() if box.licence is not None]
    assert len(licences) == 4 and {each.certainty for each in licences} == {"unsure"}
