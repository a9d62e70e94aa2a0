"""The regulator's files byte for byte, what a cycle says of a quantity, and the settings of both."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from regulated import AIR, CYCLE, MINUTE, NOON, SEA, SERVER, regulated
from test_collector_commands import settings_file

from collector.__main__ import main
from collector.regulator import files
from collector.regulator.cycles import Outcome, outcomes
from collector.regulator.maker import make_files
from collector.regulator.settings import Ftp, Parameter, RegulatorSettings, Sftp, Station
from collector.settings import read
from collector.stores import ReadingRow
from edge_agent.contract.events import Status

HALF_PAST_EIGHT = NOON - 3 * 3_600_000 - 1_800_000
MEASURING, CALIBRATING, FAULT = Status


def rows(*samples: tuple[float | None, int, int], start: int = NOON, step: int = MINUTE) -> list[ReadingRow]:
    """Samples (value, flag, status), one a minute."""
    return [ReadingRow(at=start + i * step, value=v, flag=f, status=s) for i, (v, f, s) in enumerate(samples)]


def outcome(*samples: tuple[float | None, int, int], quantity: str = "pm2_5", how: str = "mean") -> Outcome:
    return outcomes(quantity, rows(*samples), [NOON], CYCLE, how)[NOON]  # type: ignore[arg-type]


def test_the_example_of_the_circular_byte_for_byte() -> None:
    water = Station(
        code="NUO001",
        facility="ABCD",
        server="department",
        parameters={
            "water_temperature": Parameter(symbol="Temp", unit="oC", decimals=1),
            "ph": Parameter(symbol="pH", unit="-", decimals=2),
            "cod": Parameter(symbol="COD", unit="mg/L", decimals=1),
            "tss": Parameter(symbol="TSS", unit="mg/L", decimals=1),
            "flow": Parameter(symbol="Flow", unit="m3/h", decimals=1),
        },
    )
    said = {
        "water_temperature": Outcome(28.6, MEASURING),
        "ph": Outcome(7.12, MEASURING),
        "cod": Outcome(41.2, MEASURING),
        "tss": Outcome(18.0, CALIBRATING),
        "flow": Outcome(12.4, FAULT),
    }
    server = msgspec.structs.replace(SERVER, province="HN", line_end="lf")
    at = files.stamp(server, HALF_PAST_EIGHT - CYCLE, CYCLE)
    assert files.name(server, water, at) == "HN_ABCD_NUO001_20261122083000.txt"
    expected = (
        b"Temp\t28.6\toC\t20261122083000\t00\n"
        b"pH\t7.12\t-\t20261122083000\t00\n"
        b"COD\t41.2\tmg/L\t20261122083000\t00\n"
        b"TSS\t18.0\tmg/L\t20261122083000\t01\n"
        b"Flow\t12.4\tm3/h\t20261122083000\t02\n"
    )
    assert files.content(server, water, at, said) == expected
    crlf = msgspec.structs.replace(server, line_end="crlf")
    assert files.content(crlf, water, at, said) == expected.replace(b"\n", b"\r\n")


def test_symbols_and_units_stand_as_the_department_writes_them_in_utf_8() -> None:
    station = msgspec.structs.replace(
        AIR,
        parameters={
            "pm2_5": Parameter(symbol="PM2,5", unit="µg/Nm³", decimals=0),
            "humidity": Parameter(symbol="RH", unit="", decimals=1),
        },
    )
    at = files.stamp(SERVER, NOON, CYCLE)
    said = {"pm2_5": Outcome(23.5, MEASURING), "humidity": Outcome(80.0, MEASURING)}
    assert files.content(SERVER, station, at, said) == (
        "PM2,5\t24\tµg/Nm³\t20261122120500\t00\r\nRH\t80.0\t\t20261122120500\t00\r\n".encode()
    )


@pytest.mark.parametrize(
    ("value", "decimals", "factor", "text"),
    [
        (0.05, 1, 1, "0.1"), (2.675, 2, 1, "2.68"), (-0.04, 1, 1, "0.0"), (-12.25, 1, 1, "-12.3"),
        (1234.5, 0, 1, "1235"), (1145.0, 3, 0.001, "1.145"), (0.0000001, 6, 1, "0.000000"), (1e9, 1, 1, "1000000000.0"),
    ],
)  # fmt: skip
def test_numbers_have_a_point_and_as_many_decimals_as_set(
    value: float, decimals: int, factor: float, text: str
) -> None:
    one = msgspec.structs.replace(
        AIR, parameters={"co": Parameter(symbol="CO", unit="x", decimals=decimals, factor=factor)}
    )
    line = files.content(SERVER, one, files.stamp(SERVER, NOON, CYCLE), {"co": Outcome(value, MEASURING)})
    assert line.split(b"\t")[1] == text.encode()


@pytest.mark.parametrize(
    ("stamp", "cycle", "name", "folder"),
    [
        # 16:55 UTC is 23:55 on the island
        ("end", NOON + 12 * 3_600_000 - CYCLE, "20261123000000", "/in/KHI001/2026/11/23"),
        ("begin", NOON + 12 * 3_600_000 - CYCLE, "20261122235500", "/in/KHI001/2026/11/22"),
        ("begin", NOON + 12 * 3_600_000, "20261123000000", "/in/KHI001/2026/11/23"),
        # midnight in UTC is seven in the morning
        ("end", NOON - 5 * 3_600_000 - CYCLE, "20261122070000", "/in/KHI001/2026/11/22"),
        # 2027-12-31 23:55, and 29 February 2028
        ("end", 1_830_272_400_000 - CYCLE, "20280101000000", "/in/KHI001/2028/01/01"),
        ("begin", 1_835_370_000_000, "20280229000000", "/in/KHI001/2028/02/29"),
    ],
)
def test_names_and_folders_change_at_the_islands_midnight(stamp: str, cycle: int, name: str, folder: str) -> None:
    server = msgspec.structs.replace(SERVER, stamp=stamp)
    at = files.stamp(server, cycle, CYCLE)
    assert files.name(server, AIR, at) == f"AG_PQ01_KHI001_{name}.txt"
    assert files.folder(server, AIR, at) == folder


def test_the_value_is_the_mean_of_what_is_usable_or_the_last_of_it() -> None:
    samples = ((10.0, 1, 0), (20.0, 2, 0), (900.0, 4, 0), (400.0, 3, 0), (None, 9, 0))
    assert outcome(*samples) == (15.0, MEASURING)
    assert outcome(*samples, how="last") == (20.0, MEASURING)


def test_the_value_is_a_mean_as_all_averages_make_it() -> None:
    north = ((350.0, 1, 0), (10.0, 1, 0))
    assert outcome(*north, quantity="wind_direction").value == pytest.approx(0, abs=1e-9)
    gauge = rows((7.0, 1, 0), (7.2, 1, 0), (7.6, 1, 0), start=NOON - MINUTE)
    assert outcomes("rain", gauge, [NOON], CYCLE, "mean")[NOON].value == pytest.approx(0.6)


def test_the_status_is_that_of_the_instrument_in_the_whole_cycle() -> None:
    assert outcome((10.0, 1, 0), (99.0, 2, 1)) == (10.0, CALIBRATING), "a calibration is told, and not in the mean"
    assert outcome((10.0, 1, 0), (99.0, 2, 1), (None, 9, 2)) == (10.0, FAULT)
    assert outcome((4.0, 2, 1), (7.0, 4, 1)) == (5.5, CALIBRATING), "what it gave meanwhile, under its status"
    assert outcome((4.0, 2, 2), how="last") == (4.0, FAULT)
    assert outcome((None, 9, 2)) == (None, FAULT)
    assert outcome((900.0, 4, 0)) == (None, MEASURING), "what fails is no value of an instrument that measures"
    assert outcome((10.0, 1, 7)) == (10.0, FAULT), "an unknown code is no reason to believe"


def test_what_is_missing_has_no_line_or_one_with_status_02_and_no_value() -> None:
    samples = {"pm2_5": rows((10.0, 1, 0)), "co": rows((None, 9, 0))}
    (left_out,) = make_files(regulated(), "air-01", [NOON], samples)
    assert left_out.content == b"PM2,5\t10.0\tug/Nm3\t20261122120500\t00\r\n"
    faulty = regulated(msgspec.structs.replace(SERVER, missing="fault"))
    (with_line,) = make_files(faulty, "air-01", [NOON], samples)
    assert with_line.content == left_out.content + b"CO\t\tmg/Nm3\t20261122120500\t02\r\n"
    assert make_files(regulated(), "air-01", [NOON], {"co": samples["co"]}) == [], "no file without a line"
    assert make_files(faulty, "air-01", [NOON + CYCLE], samples) == [], "no file without a sample"


GOOD = """
regulator:
  servers:
    department:
      {kind: ftp, host: h, user: u, password_file: f, province: AG, folder: "/{station}/{yyyy}/{MM}/{dd}", stamp: end,
       missing: leave_out, line_end: crlf}
  stations:
    air-01:
      code: KHI001
      facility: PQ01
      server: department
      parameters:
        pm2_5: {symbol: "PM2,5", unit: ug/Nm3, decimals: 1}
        co: {symbol: CO, unit: mg/Nm3, decimals: 2, factor: 0.001}
"""


def check(folder: Path, text: str, capsys: pytest.CaptureFixture[str]) -> str:
    file = settings_file(folder)
    file.write_text(file.read_text() + text)
    main(["check", str(file)])
    shown = capsys.readouterr()
    return shown.out + shown.err


def test_good_settings_are_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path, GOOD, capsys) == "no mistakes\n"
    settings, _ = read(tmp_path / "collector.yaml")
    assert settings is not None and settings.regulator is not None
    assert isinstance(settings.regulator.servers["department"], Ftp)
    assert list(settings.regulator.stations["air-01"].parameters) == ["pm2_5", "co"]


@pytest.mark.parametrize("key", ["province: AG, ", "stamp: end,", "missing: leave_out, ", "line_end: crlf"])
def test_what_the_circular_leaves_open_must_be_said(
    tmp_path: Path, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = check(tmp_path, GOOD.replace(key, ""), capsys)
    assert f"missing key '{key.split(':', maxsplit=1)[0]}'" in said
    assert "there is no server" not in said  # there is one, with a mistake


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("    air-01:", "    air-1:", "there is no station 'air-1' in the fleet\n  did you mean 'air-01'?"),
        ("pm2_5: {", "pm25: {", "'pm25' is not a quantity\n  did you mean 'pm2_5'?"),
        ('symbol: "PM2,5", ', "", "missing key 'symbol'"),
        ("unit: ug/Nm3, ", "", "missing key 'unit'"),
        (", decimals: 1", "", "missing key 'decimals'"),
        ("server: department", "server: departement", "there is no server 'departement'\n  did you mean 'department'?"),
        ("symbol: CO", 'symbol: "PM2,5"', "'PM2,5' is the symbol of pm2_5 too"),
        ("symbol: CO", 'symbol: "C\\tO"', "expected text without TAB"),
        (", factor: 0.001", "", "co is measured in µg/m3, and mg/Nm3 is another unit\n  add `factor: 0.001`"),
        ("code: KHI001", "code: KHI/001", "expected letters, digits and _ . -"),
        ("{station}/{yyyy}", "{station}/{yyy}", "folder holds {yyy}; known are {province}"),
        ("kind: ftp,", "kind: sftp, host_key: x,", "expected a host key such as"),
        ("kind: ftp,", "kind: ftps,", "missing key 'ca'"),
        ("regulator:\n", "regulator:\n  keep_days: 30\n", "expected a whole number from 60 to 3660"),
        ("regulator:\n", "regulator:\n  cycle_s: 290\n", "cycle_s 290 does not divide an hour"),
    ],
)  # fmt: skip
def test_every_mistake_has_its_place_and_cure(
    tmp_path: Path, old: str, new: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert old in GOOD
    said = check(tmp_path, GOOD.replace(old, new, 1), capsys)
    assert says in said
    assert "collector.yaml:" in said and "regulator" in said


def test_two_stations_never_share_names_of_files_and_a_server_has_one_way_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twin = msgspec.structs.replace(SEA, code="KHI001", facility="PQ01")
    wrong = list(regulated(stations={"air-01": AIR, "sea-01": twin}).mistakes([]))
    assert [(path, message) for path, message, _ in wrong] == [
        (("stations", "sea-01", "code"), "gives files the same names as those of air-01")
    ]
    key = "ssh-ed25519 " + "A" * 68
    for way in ("key_file: k, ", ""):
        text = GOOD.replace("kind: ftp,", f"kind: sftp, host_key: {key}, {way}")
        text = text if way else text.replace("password_file: f, ", "")
        assert "one of password_file and key_file must be given, and not both" in check(tmp_path, text, capsys)


def test_the_settings_in_the_docs_make_the_file_in_the_docs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parent.parent / "docs" / "regulator.md").read_text()
    _, settings, _, shown, *_ = text.split("```")
    assert check(tmp_path, settings.removeprefix("yaml"), capsys) == "no mistakes\n"
    read_, _mistakes = read(tmp_path / "collector.yaml")
    assert read_ is not None and read_.regulator is not None
    samples = {"pm2_5": rows((28.6, 1, 0)), "co": rows((1150.0, 1, 0))}
    samples = {q: [msgspec.structs.replace(r, at=HALF_PAST_EIGHT - CYCLE) for r in each] for q, each in samples.items()}
    (file,) = make_files(read_.regulator, "air-01", [HALF_PAST_EIGHT - CYCLE], samples)
    assert file.name in text
    assert file.content.decode().replace("\r\n", "\n") == shown.lstrip("\n")
    for struct in (*RegulatorSettings.__struct_fields__, *Sftp.__struct_fields__):
        assert f"`{struct}" in text or f"  {struct}:" in text, f"{struct} is not explained"
