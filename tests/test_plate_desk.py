"""The plate desk: an event makes one sighting and its alerts once, and personal data goes in time."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from city import DAY, FLEET, HOUR, NOON, jpeg, plate
from sqlalchemy import Engine, func, select

from collector.alerts.desk import ALERTS, Forgotten, PlateDesk
from collector.alerts.sightings import SIGHTINGS, parse_identity
from collector.alerts.watchlist import WatchlistError
from edge_agent.contract.runs import MAX_NUMBER

CAMERA = FLEET["cam-01"]


@pytest.fixture
def desk(engine: Engine) -> PlateDesk:
    return PlateDesk(engine)


def watch(desk: PlateDesk, pattern: str, expires: int = NOON + DAY, now: int = NOON) -> int:
    return desk.watchlist.add(pattern=pattern, reason="xe mất cắp", officer="CA-0417", expires=expires, now=now).id


def rows(engine: Engine) -> tuple[int, int]:
    """How many sightings and alerts are kept."""
    with engine.connect() as connection:
        tables = (SIGHTINGS, ALERTS)
        counts = [connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables]
    return counts[0], counts[1]


def test_one_alert_for_each_pass_and_entry(desk: PlateDesk, engine: Engine) -> None:
    first, second = watch(desk, "68A-123.45"), watch(desk, "68A*")
    watch(desk, "51K*")
    alerts = desk.take(CAMERA, 7, [(1, plate()), (2, plate("29B112345"))], NOON)
    assert [(alert.entry.id, alert.kind, alert.seen.id) for alert in alerts] == [
        (first, "exact", "cam-01.7.1"),
        (second, "wildcard", "cam-01.7.1"),
    ]
    assert desk.alerts() == alerts[::-1]
    assert rows(engine) == (2, 2)


def test_redelivery_doubles_nothing(desk: PlateDesk, engine: Engine) -> None:
    watch(desk, "68A12345")
    assert len(desk.take(CAMERA, 7, [(1, plate())], NOON)) == 1
    assert desk.take(CAMERA, 7, [(1, plate())], NOON + 1) == []
    # a pack that holds old and new, and one number twice
    assert len(desk.take(CAMERA, 7, [(1, plate()), (2, plate()), (2, plate())], NOON + 2)) == 1
    assert rows(engine) == (2, 2)
    # the same number of a new outbox is another event
    assert len(desk.take(CAMERA, 8, [(1, plate())], NOON + 3)) == 1


def test_the_number_of_an_alert_that_was_deleted_is_not_given_again(desk: PlateDesk) -> None:
    watch(desk, "68A12345")
    (old,) = desk.take(CAMERA, 7, [(1, plate(at=NOON - 40 * DAY))], NOON)
    desk.forget(NOON - DAY, NOON - 30 * DAY)
    (new,) = desk.take(CAMERA, 7, [(2, plate())], NOON)
    assert desk.alerts_after(old.id, 10) == [new]


def test_a_new_desk_on_the_same_file_knows_what_was_taken(desk: PlateDesk, engine: Engine) -> None:
    watch(desk, "68A12345")
    desk.take(CAMERA, 7, [(1, plate())], NOON)
    again = PlateDesk(engine)
    assert again.take(CAMERA, 7, [(1, plate())], NOON) == []
    assert len(again.take(CAMERA, 7, [(2, plate())], NOON)) == 1


def test_an_entry_that_comes_later_does_not_reach_back(desk: PlateDesk) -> None:
    desk.take(CAMERA, 7, [(1, plate())], NOON)
    watch(desk, "68A12345")
    assert desk.take(CAMERA, 7, [(1, plate())], NOON) == []
    # but a pass that is delivered late is alerted late
    late = desk.take(CAMERA, 7, [(2, plate(at=NOON - 3 * HOUR))], NOON)
    assert [(alert.seen.at, alert.raised) for alert in late] == [(NOON - 3 * HOUR, NOON)]


def test_entries_end(desk: PlateDesk) -> None:
    watch(desk, "68A12345", expires=NOON + HOUR)
    assert len(desk.take(CAMERA, 7, [(1, plate())], NOON)) == 1
    assert desk.take(CAMERA, 7, [(2, plate())], NOON + HOUR) == []  # expired, though the matcher was made before
    entry = watch(desk, "68A12345", now=NOON + HOUR)
    assert len(desk.take(CAMERA, 7, [(3, plate())], NOON + HOUR)) == 1
    assert desk.watchlist.remove(entry, NOON + HOUR) is not None
    assert desk.take(CAMERA, 7, [(4, plate())], NOON + HOUR) == []
    assert desk.watchlist.remove(entry, NOON + HOUR) is None
    assert desk.watchlist.entries(NOON + HOUR) == []
    assert [entry.active(NOON + HOUR) for entry in desk.watchlist.entries()] == [False, False]


@pytest.mark.parametrize(
    ("reason", "officer", "expires"),
    [(" ", "CA-0417", NOON + DAY), ("xe", "", NOON + DAY), ("xe", "CA", NOON), ("xe", "CA", NOON + 367 * DAY)],
)
def test_an_entry_needs_reason_officer_and_end(desk: PlateDesk, reason: str, officer: str, expires: int) -> None:
    with pytest.raises(WatchlistError):
        desk.watchlist.add(pattern="68A12345", reason=reason, officer=officer, expires=expires, now=NOON)


def test_an_entry_is_watched_for_after_a_clock_that_ran_ahead_is_put_right(desk: PlateDesk) -> None:
    watch(desk, "68A12345", expires=NOON + DAY)
    assert desk.take(CAMERA, 7, [(1, plate())], NOON + 2 * DAY) == []
    assert len(desk.take(CAMERA, 7, [(2, plate())], NOON)) == 1


def test_doubtful_reads_are_marked(desk: PlateDesk) -> None:
    watch(desk, "68A12345")
    (alert,) = desk.take(CAMERA, 7, [(1, plate())], NOON)
    assert alert.doubts == ()
    doubtful = plate(
        raw="6BA12345",
        confidence=0.5,
        char_confidence=(99, 30, 99, 99, 99, 99, 99, 99),
        valid=False,
        rendered=True,
    )
    (alert,) = desk.take(CAMERA, 7, [(2, doubtful)], NOON)
    assert alert.doubts == ("low_confidence", "weak_character", "invalid", "repaired", "rendered")
    assert alert.kind == "lookalike"
    assert [(d.position, d.read, d.watched) for d in alert.differences] == [(1, "B", "8")]
    assert alert.compared == "6BA12345"
    assert alert.seen.characters[1] == ("8", 30)


def test_everything_of_a_read_is_kept(desk: PlateDesk) -> None:
    read = plate("29MĐ112345", raw="29-MD1 123.45", colour="blue", layout="two", classes=("moto_electric", "car"))
    desk.take(CAMERA, 7, [(1, read)], NOON + 5)
    (seen,) = desk.plates()
    assert (seen.text, seen.raw, seen.confidence, seen.valid) == (read.text, read.raw, read.confidence, True)
    assert (seen.at, seen.first, seen.last, seen.received) == (read.at, read.first, read.last, NOON + 5)
    for name in ("char_confidence", "classes", "colour", "layout", "quad", "frame_size", "frames", "rendered"):
        assert getattr(seen.details, name) == getattr(read, name)
    assert desk.picture(seen.id) == read.jpeg


@pytest.mark.parametrize(
    "identity", ["", "cam-01", "cam-01.7.99", "cam-01.7.1;--", "cam-01.٧.1", "cam-01.7." + "9" * 30]
)
def test_pictures_that_are_not_there(desk: PlateDesk, identity: str) -> None:
    desk.take(CAMERA, 7, [(1, plate())], NOON)
    assert desk.picture(identity) is None


def test_the_largest_identity_has_its_picture(desk: PlateDesk) -> None:
    read = plate()
    desk.take(CAMERA, MAX_NUMBER, [(MAX_NUMBER, read)], NOON)
    assert desk.picture(desk.plates()[0].id) == read.jpeg


def test_what_is_no_jpeg_is_not_shown(desk: PlateDesk) -> None:
    desk.take(CAMERA, 7, [(1, plate(jpeg=b"<svg onload=alert(1)>"))], NOON)
    assert desk.picture("cam-01.7.1") is None
    assert parse_identity("cam-01.7.1") == ("cam-01", 7, 1)


def test_search(desk: PlateDesk) -> None:
    reads = [plate("68A12345"), plate("68A99999", at=NOON + HOUR), plate("51K12345", at=NOON + 2 * HOUR)]
    desk.take(CAMERA, 7, list(enumerate(reads)), NOON)

    def texts(**filters: object) -> list[str]:
        return [seen.text for seen in desk.plates(**filters)]

    assert texts() == ["51K12345", "68A99999", "68A12345"]
    assert texts(pattern="68A-*") == ["68A99999", "68A12345"]
    assert texts(pattern="??K12345") == ["51K12345"]
    assert texts(pattern="68A%") == texts(pattern="68A_____") == []
    assert texts(start=NOON + HOUR, stop=NOON + 2 * HOUR) == ["68A99999"]
    assert texts(limit=1) == ["51K12345"]
    assert texts(camera="cam-02") == texts(site="elsewhere") == []


def test_a_clock_that_runs_ahead_keeps_nothing_longer(desk: PlateDesk, engine: Engine) -> None:
    watch(desk, "68A12345")
    desk.take(CAMERA, 7, [(1, plate(at=NOON + 400 * DAY)), (2, plate("29B112345", at=NOON + 400 * DAY))], NOON)
    assert desk.forget(NOON, NOON) == Forgotten(sightings=0, hits=0)
    assert desk.forget(NOON + 1, NOON) == Forgotten(sightings=1, hits=0)
    assert desk.forget(NOON + 1, NOON + 1) == Forgotten(sightings=0, hits=1)
    assert rows(engine) == (0, 0)


def test_personal_data_is_forgotten_hits_later(desk: PlateDesk, engine: Engine, tmp_path: Path) -> None:
    watch(desk, "68A12345")
    picture = jpeg("29B112345", 320)
    reads = [
        plate(at=NOON - 40 * DAY),  # a hit
        plate("29B112345", at=NOON - 40 * DAY, jpeg=picture),
        plate(at=NOON),
        plate("29B112345", at=NOON),
    ]
    desk.take(CAMERA, 7, list(enumerate(reads)), NOON)
    before = NOON - 30 * DAY
    assert desk.forget(before, NOON - 365 * DAY) == Forgotten(sightings=1, hits=0)
    assert rows(engine) == (3, 2)
    assert desk.picture("cam-01.7.1") is None
    assert desk.picture("cam-01.7.0") is not None
    assert desk.forget(before, before) == Forgotten(sightings=0, hits=1)
    assert rows(engine) == (2, 1)
    assert desk.forget(before, before) == Forgotten(sightings=0, hits=0)
    # the bytes of the picture are gone from the file too, not only its row
    engine.dispose()
    if engine.dialect.name != "sqlite":
        return  # the server's own affair
    with sqlite3.connect(tmp_path / "collector.sqlite") as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert picture[300:400] not in (tmp_path / "collector.sqlite").read_bytes()
