"""The Flux texts that a 2.x server keeps: the five-minute means, and queries to begin with. See docs/officers.md."""

from __future__ import annotations

from typing import Any

from collector.provisioning.steps import averaged

_SINCE = "|> range(start: v.timeRangeStart, stop: v.timeRangeStop)"
_PIVOT = '|> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'


def _of(measurement: str, fields: str, *rest: str) -> str:
    wanted = " or ".join(f'r._field == "{field}"' for field in fields.split())
    chosen = f'|> filter(fn: (r) => r._measurement == "{measurement}" and ({wanted}))'
    return "\n  ".join(['from(bucket: "BUCKET")', _SINCE, chosen, *rest])


QUESTIONS = {
    "Giá trị PM2.5 mới nhất / newest PM2.5": _of("air", "pm2_5 pm2_5_flag", "|> last()", _PIVOT),
    "PM2.5 theo giờ, độ phủ / hourly PM2.5, coverage": _of("air_1h", "pm2_5 pm2_5_coverage pm2_5_flag", _PIVOT),
    "VN_AQI ngày / daily VN_AQI": _of("aqi_24h", "aqi"),
    "Giá trị nghi ngờ, không đạt / suspect, failed": _of(
        "air", "pm2_5_flag", "|> filter(fn: (r) => r._value == 3 or r._value == 4)", "|> count()"
    ),
    "pH nước thải / wastewater pH": _of("wastewater", "ph ph_flag", _PIVOT),
    "Clo dư / free chlorine": _of("drinking_water", "free_chlorine free_chlorine_flag", _PIVOT),
    "Oxy hòa tan nước biển / dissolved oxygen at sea": _of("seawater_1h", "dissolved_oxygen", "|> min()"),
}
"""Title: text; BUCKET stands for the bucket's name."""


def mean_task(medium: str, bucket: str, means: str) -> str:
    """The task that makes the five-minute means of usable samples of a medium, again for the last three hours."""
    parts = [f'option task = {{name: "{medium}_5m", every: 5m, offset: 1m}}']
    for quantity in averaged(medium):
        flag = f"{quantity}_flag"
        own = f'r._field == "{quantity}" or r._field == "{flag}"'
        fields = f'fieldFn: (r) => ({{"{quantity}": r.{quantity}}})'
        parts.append(
            f'from(bucket: "{bucket}")\n'
            "  |> range(start: -3h)\n"
            f'  |> filter(fn: (r) => r._measurement == "{medium}" and ({own}))\n'
            f"  {_PIVOT}\n"
            f"  |> filter(fn: (r) => exists r.{quantity} and exists r.{flag} and r.{flag} <= 2)\n"
            f'  |> aggregateWindow(every: 5m, fn: mean, column: "{quantity}", createEmpty: false, timeSrc: "_start")\n'
            f'  |> set(key: "_measurement", value: "{medium}_5m")\n'
            f'  |> to(bucket: "{means}", tagColumns: ["station", "site"], {fields})\n'
            f'  |> yield(name: "{quantity}")'
        )
    return "\n\n".join(parts) + "\n"


def dashboard_view(title: str, flux: str) -> dict[str, Any]:
    """A cell of a dashboard: a table with the answer."""
    return {
        "name": title,
        "properties": {
            "type": "table",
            "shape": "chronograf-v2",
            "queries": [{"text": flux, "editMode": "advanced", "name": ""}],
            "colors": [],
            "note": "",
            "showNoteWhenEmpty": False,
            "tableOptions": {"verticalTimeAxis": True, "wrapping": "truncate", "fixFirstColumn": True},
            "fieldOptions": [],
            "timeFormat": "YYYY-MM-DD HH:mm:ss",
            "decimalPlaces": {"isEnforced": False, "digits": 2},
        },
    }
