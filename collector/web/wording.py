"""The words, signs and numbers of the page: Vietnamese first, English beside it."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from collector.alerts.desk import Alert
from collector.alerts.match import normal
from collector.live_box import DeviceState, LatestReading
from collector.local_time import LOCAL
from collector.notices import Notice
from collector.standards.table import Limit
from edge_agent.contract.quantities import BY_NAME


class Words(NamedTuple):
    """A sign and its meaning; a state is never shown by its colour alone."""

    sign: str
    vi: str
    en: str


STATES = {
    "online": Words("●", "hoạt động", "online"),
    "late": Words("◐", "chậm", "late"),
    "offline": Words("○", "mất kết nối", "offline"),
    "never": Words("–", "chưa thấy", "not seen yet"),
}
FLAGS = {
    1: Words("✓", "đạt", "pass"),
    2: Words("·", "chưa đánh giá", "not evaluated"),
    3: Words("?", "nghi ngờ", "suspect"),
    4: Words("✕", "không đạt", "fail"),
    9: Words("∅", "thiếu", "missing"),
}
"""QARTOD's flags."""
EVENTS = {
    "plates": Words("", "lượt biển số", "plate passes"),
    "readings": Words("", "lần đo", "samples"),
    "wifi": Words("", "lượt đếm Wi-Fi", "Wi-Fi counts"),
    "health": Words("", "báo cáo của thiết bị", "reports of the box"),
}
STATUS = {1: Words("⚙", "đang hiệu chuẩn", "calibrating"), 2: Words("⚠", "thiết bị lỗi", "fault")}
"""What an instrument was doing that was not measuring."""
KINDS = {
    "exact": Words("=", "Khớp đúng", "Exact match"),
    "wildcard": Words("*", "Khớp mẫu", "Pattern match"),
    "lookalike": Words("≈", "Gần giống, chưa xác nhận", "Look-alike, not confirmed"),
}
DOUBTS = {
    "low_confidence": Words("!", "độ tin cậy thấp", "low confidence"),
    "weak_character": Words("!", "có ký tự không chắc", "uncertain character"),
    "invalid": Words("!", "không đúng mẫu biển số", "not a valid plate"),
    "repaired": Words("!", "đã sửa theo quy tắc", "repaired by rule"),
    "rendered": Words("!", "hình dựng", "rendered"),
}
COLOURS = {
    "white": Words("", "nền trắng", "white"),
    "yellow": Words("", "nền vàng", "yellow"),
    "blue": Words("", "nền xanh", "blue"),
    "red": Words("", "nền đỏ", "red"),
    "unknown": Words("", "chưa rõ màu", "colour unknown"),
}
ROLE_NAMES = {
    "technician": Words("", "Kỹ thuật viên", "Technician"),
    "officer": Words("", "Cán bộ môi trường", "Environmental officer"),
    "police": Words("", "Công an", "Police"),
    "operator": Words("", "Vận hành", "Operator"),
}
MEDIA = {
    "air": Words("", "Không khí", "Air"),
    "drinking_water": Words("", "Nước sinh hoạt", "Drinking water"),
    "wastewater": Words("", "Nước thải", "Wastewater"),
    "seawater": Words("", "Nước biển", "Seawater"),
}

CERTAINTIES = {
    "certain": Words("!", "giới hạn chắc chắn", "certain limit"),
    "likely": Words("?", "giới hạn chưa được xác nhận", "limit not confirmed"),
    "unsure": Words("?", "giới hạn không chắc", "limit unsure"),
    "superseded": Words("?", "quy chuẩn đã được thay thế", "superseded regulation"),
}
AVERAGINGS = {
    "sample": Words("", "từng giá trị", "each value"),
    "1h": Words("", "trung bình 1 giờ", "1-hour mean"),
    "8h": Words("", "trung bình 8 giờ", "8-hour mean"),
    "24h": Words("", "trung bình 24 giờ", "24-hour mean"),
    "month": Words("", "trung bình tháng", "monthly mean"),
    "year": Words("", "trung bình năm", "yearly mean"),
}


def clock(ms: int | None, now: int) -> str:
    """Local time of day, with the date where it is not today's."""
    if ms is None:
        return "–"
    moment, today = (datetime.fromtimestamp(t / 1000, LOCAL) for t in (ms, now))
    return moment.strftime("%H:%M:%S" if moment.date() == today.date() else "%d/%m/%Y %H:%M:%S")


def date(ms: int) -> str:
    """Local day and time to the minute."""
    return datetime.fromtimestamp(ms / 1000, LOCAL).strftime("%d/%m/%Y %H:%M")


def lateness(state: DeviceState) -> Words:
    """How late a box is, in the largest unit that fits."""
    minutes = state.late_s // 60
    for size, vi, en in ((1440, "ngày", "d"), (60, "giờ", "h"), (1, "phút", "min")):
        if minutes >= size:
            return Words("", f"trễ {minutes // size} {vi}", f"{minutes // size} {en} late")
    return Words("", "trễ dưới 1 phút", "under 1 min late") if state.late_s else Words("", "", "")


def room(state: DeviceState) -> Words:
    """For how long the box's outbox has room; nothing while that is not known."""
    if state.days_left is None:
        return Words("", "", "")
    if state.days_left >= 365:
        return Words("", "bộ nhớ còn đủ hơn một năm", "room for more than a year")
    days = f"{state.days_left:.1f}" if state.days_left < 10 else f"{state.days_left:.0f}"
    vi, en = f"bộ nhớ còn đủ {days.replace('.', ',')} ngày", f"room for {days} days"
    if state.runs_short:
        return Words("⚠", f"{vi}, sau đó mất dữ liệu: nối lại mạng", f"{en}, then data are lost: reconnect it")
    return Words("", vi, en)


def value(reading: LatestReading) -> str:
    """The value at its quantity's resolution, with a comma as Vietnamese readers write it."""
    return "–" if reading.value is None else number(reading.quantity, reading.value)


def number(quantity: str, value: float) -> str:
    """A value of a quantity at its resolution, with a comma as Vietnamese readers write it."""
    return f"{value:,.{BY_NAME[quantity].decimals}f}".translate({ord(","): ".", ord("."): ","})


def bounds(limit: Limit) -> str:
    """What a limit allows."""
    unit_ = unit(BY_NAME[limit.quantity].unit)
    low, high = (None if bound is None else f"{bound:g}".replace(".", ",") for bound in (limit.low, limit.high))
    allowed = f"{low} – {high}" if low and high else f"≤ {high}" if high else f"≥ {low}"
    return f"{allowed} {unit_}".strip()


def unit(name: str) -> str:
    """The unit as people write it; pH has none."""
    return "" if name == "pH" else name.replace("m3", "m³").replace("m2", "m²")


def percent(share: float) -> str:
    """A share of 1 in per cent, never rounded up to certainty."""
    return f"{min(int(share * 100), 100)} %"


def marked(alert: Alert) -> list[tuple[str, str | None]]:
    """The plate of an alert by character, with the character that is looked for where it is another one."""
    watched = {difference.position: difference.watched for difference in alert.differences}
    return [(character, watched.get(i)) for i, character in enumerate(alert.compared)]


def repaired(text: str, raw: str) -> bool:
    """Whether the text is not what the reader saw."""
    return normal(text) != normal(raw)


def notice(found: Notice) -> Words:
    """What a notice about a site or about all of them says."""
    silent = f"{len(found.boxes)}/{found.of}"
    if found.place == "centre":
        return Words(
            "!",
            f"{silent} thiết bị ở khắp nơi im lặng: kiểm tra máy chủ MQTT và mạng trung tâm",
            f"{silent} boxes everywhere say nothing: is the broker up, and the centre's network?",
        )
    return Words(
        "!",
        f"{found.name}: {silent} thiết bị im lặng; kiểm tra nguồn điện và đường truyền của điểm này",
        f"{silent} boxes of this site say nothing: are its power and link up?",
    )
