"""What `edge-agent sensors` prints of a scan and of a reading."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edge_agent.contract.events import Status
from edge_agent.contract.quantities import BY_NAME
from edge_agent.station.conversation import Answer
from edge_agent.station.registers import named
from edge_agent.station.sensor import Sensor, Speed
from edge_agent.station.settings import SerialLine, stored_as

if TYPE_CHECKING:
    from edge_agent.station.found import Found
    from edge_agent.station.reading import Reading
    from edge_agent.station.scan import Scan

MAX_BYTES = 32
"""Bytes on one line of a transcript."""
MAX_PLACES = 40
"""Values of an unknown slave that are listed."""

NOTHING = """\
Nothing answers on {place}. What to look at, the most frequent first:
  1. Power: is the instrument on (12 or 24 V at its own terminals), with its ground joined to the adapter's?
  2. A and B (D+ and D-) exchanged: swap the two wires; nothing breaks. Makers do not agree which is which.
  3. Another speed or address: see the instrument's menu or label; then --baud, --addresses 1-247, --timeout 1.
  4. Is something else asking on this line (a logger, a PLC, the agent itself)? Stop it: one master alone.
  5. Long cable: 120 ohm at both ends and nowhere else. A sensor with RX and TX: cross them.
Không có thiết bị nào trả lời trên {place}. Kiểm tra theo thứ tự:
  1. Nguồn: thiết bị đã có điện chưa (12 hoặc 24 V tại đầu dây của nó), đã nối chung mass với bộ chuyển đổi chưa?
  2. Dây A và B (D+ và D-) bị ngược: đổi hai dây cho nhau, không hỏng gì cả.
  3. Tốc độ hoặc địa chỉ khác: xem menu hoặc nhãn máy; rồi dùng --baud, --addresses 1-247, --timeout 1.
  4. Có thiết bị khác đang hỏi trên dây này (logger, PLC, chính agent)? Tắt nó đi: chỉ được một master.
  5. Dây dài: điện trở 120 ohm ở hai đầu. Cảm biến có RX và TX: nối chéo."""


def of_scan(scan: Scan, place: str) -> Iterator[str]:
    """What was found, and what else was noticed."""
    if scan.found:
        yield f"{place}: {len(scan.found)} found · tìm thấy {len(scan.found)}"
    for found in scan.found:
        yield ""
        yield f"{found.name}   {where(found)}: {found.why}"
        yield from (f"  {text}" for text in _values(found.sensor, found.answer))
        if found.trouble:
            yield f"  ! {found.trouble}"
        yield from _meanings(found)
    for speed, heard in scan.babble.items():
        if not scan.found:
            yield f"heard at {speed}, and no driver understands it: {_readable(heard[-MAX_BYTES:])}"
    if scan.babble and not scan.found:
        yield "another master or logger on this line? Stop it and scan again; or no driver knows the sensor yet"
        yield "có master hoặc logger khác đang dùng dây này? Tắt nó rồi quét lại; hoặc chưa có driver cho cảm biến này"
    if garbled := [f"{speed or place} ({times} times)" for speed, times in scan.garbled.items() if times]:
        yield f"damaged answers at {', '.join(garbled)}: two instruments of one address? noise, shield, parity?"
        yield "câu trả lời bị hỏng: hai máy trùng địa chỉ? nhiễu, chưa nối vỏ chống nhiễu, sai parity?"
    if scan.impossible:
        yield f"the adapter cannot be set to · bộ chuyển đổi không hỗ trợ: {', '.join(map(str, scan.impossible))}"
    if scan.found or scan.babble or garbled or scan.impossible:
        yield ""


def where(found: Found) -> str:
    """The speed and the address of what was found."""
    line = found.line
    at = str(Speed(line.baud, line.format)) if isinstance(line, SerialLine) else f"{line.host}:{line.port}"
    return at if found.address is None else f"{at}, address {found.address}"


def _meanings(found: Found) -> Iterator[str]:
    if found.driver:
        return
    yield f"  {found.registers} registers answer; those that hold something, the likeliest meaning first:"
    for best, others in found.places[:MAX_PLACES]:
        more = f"   (or {'; '.join(map(str, others))})" if others else ""
        yield f"  function {best.function}, {named(best.address, best.width)}: {best}{more}"
    if len(found.places) > MAX_PLACES:
        yield f"  and {len(found.places) - MAX_PLACES} more"


def of_reading(reading: Reading) -> Iterator[str]:
    """Everything that is to be said of a reading."""
    for direction, data in reading.transcript.said:
        for start in range(0, len(data), MAX_BYTES):
            yield f"{direction} {_readable(data[start : start + MAX_BYTES])}"
    if reading.answer is not None:
        yield from _values(reading.sensor, reading.answer, reading)
        if reading.answer.complaint:
            yield f"! {reading.answer.complaint}"
    else:
        yield f"! {reading.error}"
    yield from (f"? {text}" for text in reading.suggestions())


def _values(sensor: Sensor | None, answer: Answer | None, reading: Reading | None = None) -> Iterator[str]:
    """A line for each value: quantity, value, unit, status, and what is wrong with it."""
    if sensor is None or answer is None:
        return
    for value in answer.values:
        known = BY_NAME[stored_as(sensor, value.quantity)]
        number = "-" if value.value is None else f"{value.value:.{known.decimals}f}"
        doubt = reading.doubt(value) if reading else ""
        text = f"{known.name:28}{number:>10} {known.unit:6} {Status(value.status).name.lower()}"
        yield f"{text}   {doubt}" if doubt else text


def _readable(data: bytes) -> str:
    """Bytes as hex, and as text where most of them are."""
    text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)
    return f"{data.hex(' ')}   {text}" if text.count(".") * 3 < len(data) or len(data) > 8 else data.hex(" ")
