"""Station settings: mistakes that no schema can name."""

from __future__ import annotations

import msgspec
import pytest

from edge_agent.station.settings import StationSettings, driver_structs, mistakes

GOOD = {
    "medium": "air",
    "lines": {"dust": {"kind": "serial", "port": "/dev/ttyS1"}, "plc": {"kind": "tcp", "host": "10.0.0.5"}},
    "sensors": {
        "a": {"driver": "pms5003", "line": "dust"},
        "b": {"driver": "modbus", "line": "plc", "registers": {"no2": {"address": 0, "unit": "ppb"}}},
    },
}


@pytest.mark.parametrize(
    ("path", "value", "place", "text"),
    [
        ("sensors.a.line", "dist", "sensors.a.line", "no line is called dist"),
        ("sensors.a.line", "plc", "sensors.a.line", "pms5003 cannot talk over plc, which is tcp"),
        ("sensors.c", {"driver": "sds011", "line": "dust"}, "sensors.c.line", "cannot share dust with a"),
        ("sensors.b.registers.no2.unit", "mg/L", "sensors.b.registers.no2.unit", "cannot be given in mg/L"),
        ("sensors.b.registers.no3", {"address": 9}, "sensors.b.registers.no3", "not a quantity"),
        ("sensors.b.registers.pm10", {"address": 9}, "sensors.b", "pm10 is already given by a"),
        ("sensors.b.registers.no2.scale", 0, "sensors.b.registers.no2.scale", "leaves nothing"),
        (
            "sensors.b.registers.no2",
            {"address": 65535, "type": "int32"},
            "sensors.b.registers.no2.address",
            "beyond 65535",
        ),
        ("sensors.a.rename", {"pm10": "pm11"}, "sensors.a.rename.pm10", "pm11 is not a quantity"),
        ("sensors.a.rename", {"pm25": "pm2_5"}, "sensors.a.rename.pm25", "does not give pm25"),
        ("sensors.a.rename", {"pm10": "ph"}, "sensors.a.rename.pm10", "ph in pH"),
        (
            "sensors.c",
            {"driver": "modbus", "line": "dust", "address": 0, "registers": {"orp": {"address": 0}}},
            "sensors.c.address",
            "every slave at once",
        ),
        ("sensors.a.sleep", True, "sensors.a.warm_up_s", "too few"),
        ("lines.bus", {"kind": "serial", "port": "/dev/ttyS1"}, "lines.bus.port", "already the line dust"),
    ],
)
def test_mistakes_are_placed(path: str, value: object, place: str, text: str) -> None:
    tree = msgspec.json.decode(msgspec.json.encode(GOOD))
    *above, last = path.split(".")
    node = tree
    for key in above:
        node = node[key]
    node[last] = value
    found = mistakes(msgspec.convert(tree, StationSettings))
    assert any(".".join(map(str, where)) == place and text in what for where, what, _ in found), found
    assert all(hint for _, _, hint in found)


def test_good_settings_have_no_mistakes() -> None:
    assert mistakes(msgspec.convert(GOOD, StationSettings)) == []


@pytest.mark.parametrize(
    ("driver", "quantity"),
    [
        ("aqua_troll", "ph"),
        ("atlas_ezo", "ph"),
        ("nmea_weather", "humidity"),
        ("wxt530", "humidity"),
        ("yosemitech", "ph"),
        ("ysi_exo", "ph"),
    ],
)
def test_a_quantity_that_stands_twice_is_named(driver: str, quantity: str) -> None:
    (struct,) = (each for each in driver_structs() if each.__struct_config__.tag == driver)
    model = {"model": "ph"} if driver == "yosemitech" else {}
    sensor = msgspec.convert({"driver": driver, "line": "bus", "values": [quantity] * 2, **model}, struct)
    assert [(path, message) for path, message, _ in sensor.mistakes()] == [
        (("values", 1), f"{quantity} stands here twice")
    ]
