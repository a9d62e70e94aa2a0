"""Events as points: names, values, identity, and what must not leave."""

from __future__ import annotations

import numpy as np
import pytest
from frames import MINUTE, T0, box

from collector import points
from collector.points import Frame
from collector.quality import Quality
from edge_agent.contract.events import (
    Calibration,
    Fault,
    Heartbeat,
    PlateRead,
    Reading,
    Readings,
    WifiClient,
    WifiUsage,
)
from edge_agent.contract.packs import Pack, decode_pack, encode_pack
from edge_agent.contract.quantities import BY_NAME

PH, TEMPERATURE = BY_NAME["ph"], BY_NAME["water_temperature"]
SEA = box("sea-01", medium="seawater")


def plate(**more: object) -> PlateRead:
    given = {
        "at": T0, "text": "51K12345", "raw": "51KI2345", "confidence": 0.9, "char_confidence": (90,) * 8, "valid": True,
        "classes": ("car", "car_new"), "colour": "white", "layout": "one", "quad": (0,) * 8, "frame_size": (1920, 1080),
        "frames": 5, "first": T0 - 1500, "last": T0 + 500, "jpeg": b"a face, perhaps",
    }  # fmt: skip
    return PlateRead(**{**given, **more})


def pack(kind: str, *events: object, first: int = 1) -> Pack:
    """Over the wire and back."""
    return decode_pack(kind, encode_pack(7, kind, [(first + i, event) for i, event in enumerate(events)]))


def readings(*samples: tuple[int, float | None, float | None], status: int = 0) -> Pack:
    return pack(
        "readings",
        *(
            Readings(
                at=T0 + minute * MINUTE,
                readings=(
                    Reading(PH.number, None if ph is None else PH.ticks(ph), status),
                    Reading(TEMPERATURE.number, None if t is None else TEMPERATURE.ticks(t)),
                ),
            )
            for minute, ph, t in samples
        ),
    )


def frames(of: Pack, quality: Quality) -> list[Frame]:
    (block,) = of.blocks
    return points.readings(SEA, block, quality.judge(SEA.device, block))


def test_readings_by_column_with_flags_and_no_status_where_all_is_plain():
    (frame,) = frames(readings((0, 8.1, 28.5), (1, None, 28.51)), Quality())
    assert (frame.measurement, frame.tags) == ("seawater", {"station": "sea-01", "site": "an-thoi"})
    assert list(frame.fields) == ["ph", "ph_flag", "water_temperature", "water_temperature_flag"]
    assert frame.at.tolist() == [T0, T0 + MINUTE]
    np.testing.assert_array_equal(frame.fields["ph"], [8.1, np.nan])
    assert frame.fields["ph_flag"].tolist() == [1, 9]
    assert frame.fields["water_temperature"].tolist() == [28.5, 28.51]
    assert frame.offset_ns is None  # two sensors polled in one millisecond are one point


def test_status_is_a_code_beside_the_value():
    (frame,) = frames(readings((0, 8.1, 28.5), status=1), Quality())
    assert frame.fields["ph_status"].tolist() == [1]
    assert "water_temperature_status" not in frame.fields


def test_revisions_are_points_with_nothing_but_the_flag():
    quality = Quality()
    frames(readings((0, 8, 28), (1, 8, 28), (2, 11, 35)), quality)
    _, revised = frames(readings((3, 8, 28)), quality)
    assert revised.at.tolist() == [T0 + 2 * MINUTE]
    assert {name: column.tolist() for name, column in revised.fields.items()} == {
        "ph_flag": [4],
        "water_temperature_flag": [4],
    }


def test_a_box_that_measures_nothing_sends_no_readings():
    (block,) = readings((0, 8, 28)).blocks
    with pytest.raises(ValueError, match="cam-01"):
        points.readings(box("cam-01"), block, Quality().judge("cam-01", block))


def test_quantities_that_only_a_newer_registry_knows_make_no_point():
    sample = Readings(at=T0, readings=(Reading(60_000, 5),))
    assert frames(pack("readings", sample), Quality()) == []


def test_plates_without_picture_and_apart_by_number():
    frame = points.events(box("cam-01"), pack("plates", plate(), plate(text="29A00001", raw="29A00001"), first=999_999))
    assert (frame.measurement, frame.tags) == ("plates", {"camera": "cam-01", "site": "an-thoi"})
    assert frame.fields["plate"] == ["51K12345", "29A00001"]
    assert frame.fields["repaired"].tolist() == [True, False]
    assert frame.fields["classes"] == ["car car_new", "car car_new"]
    assert frame.fields["seconds"].tolist() == [2, 2]
    assert frame.offset_ns.tolist() == [999_000, 0]
    assert not any(isinstance(value, bytes) for column in frame.fields.values() for value in list(column))


def test_wifi_holds_totals_and_no_client():
    clients = tuple(WifiClient(pseudonym=bytes([i] * 8), rx=1, tx=2, signal=s) for i, s in enumerate([-40, -60, None]))
    usage = WifiUsage(at=T0, seconds=60, rx=2**63 - 1, tx=7, clients=clients, leases=9)
    empty = WifiUsage(at=T0 + 1, seconds=60, rx=0, tx=0, clients=(), leases=0)
    frame = points.events(box("ap-01"), pack("wifi", usage, empty))
    assert frame.tags == {"access_point": "ap-01", "site": "an-thoi"}
    assert frame.fields["clients"].tolist() == [3, 0]
    assert frame.fields["rx"].tolist() == [2**63 - 1, 0]
    np.testing.assert_array_equal(frame.fields["signal"], [-50, np.nan])
    assert set(frame.fields) == {"clients", "rx", "tx", "seconds", "leases", "signal"}


def test_health_says_faults_and_counters_as_text():
    beat = Heartbeat(
        at=T0, uptime_s=60, rss_kb=30_000, cpu_ms=500, outbox_events=3, outbox_bytes=999, oldest=T0 - 90_000,
        disk_free_mb=100, counters={"dust.wrong_checksum": 2, "dust.silence": 1},
        faults=(Fault(part="line dust", text="unplugged", since=T0),),
        calibrating=(Calibration(sensor="no2", since=T0, until=T0 + 60_000, by="minh"),
                     Calibration(sensor="o3", since=2**62, until=2**62, by="minh")),
    )  # fmt: skip
    calm = Heartbeat(
        at=T0 + 1, uptime_s=0, rss_kb=0, cpu_ms=0, outbox_events=0, outbox_bytes=0, oldest=None, disk_free_mb=0,
        counters={}, faults=(),
    )  # fmt: skip
    frame = points.events(box("air-01", medium="air"), pack("health", beat, calm))
    assert frame.tags == {"device": "air-01", "site": "an-thoi"}
    assert frame.fields["faults"] == ["line dust: unplugged", None]
    assert frame.fields["calibrating"] == ["no2 since 2026-05-28T20:26Z, o3 since 4611686018427387904 ms", None]
    assert frame.fields["fault_count"].tolist() == [1, 0]
    assert frame.fields["counters"] == ["dust.silence 1, dust.wrong_checksum 2", None]
    np.testing.assert_array_equal(frame.fields["waiting_s"], [90, np.nan])
