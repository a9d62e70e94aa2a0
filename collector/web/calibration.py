"""The API by which a technician tells a station, from afar, that a sensor is under calibration."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from aiohttp import web

from collector.web.context import CONTEXT, Refusal, json, who
from collector.web.guard import audit
from collector.web.query import parse_body, parse_span, station
from edge_agent.contract.events import MAX_CALIBRATION_S, Calibrate

DEFAULT = "2h"


class NewCalibration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"span": "for"}):
    """Body of `POST /api/v1/devices/<device>/calibration`."""

    sensor: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    action: Literal["start", "end"]
    span: Annotated[str, msgspec.Meta(max_length=8)] = DEFAULT
    """How long it lasts unless it is ended before, such as `30m`; for `start` alone."""


async def calibrate(request: web.Request) -> web.Response:
    """Begin, prolong or end a calibration; answers when the box has done so, in its own words."""
    context, device = request.app[CONTEXT], request.match_info["device"]
    station(context, device)
    asked = parse_body(await request.read(), NewCalibration)
    seconds = _seconds(asked.span) if asked.action == "start" else 0
    about = {"device": device, "sensor": asked.sensor, "seconds": seconds}
    await audit(request, who(request), f"calibration.{asked.action}", about)
    try:
        answer = await context.commands.ask(
            device, Calibrate(sensor=asked.sensor, seconds=seconds), by=who(request).name
        )
    except TimeoutError:
        raise Refusal(
            504,
            (
                f"{device} không trả lời; theo những gì hệ thống biết thì chưa có gì thay đổi.",
                f"{device} does not answer; as far as is known nothing was changed.",
            ),
            (
                "Xem trạm có trực tuyến không rồi thử lại, hoặc làm tại trạm: edge-agent calibrate.",
                "See whether the box is online and try again, or calibrate at the box: edge-agent calibrate.",
            ),
        ) from None
    if not answer.ok:
        raise Refusal(
            409,
            (f"{device}: {answer.vi}.", f"{device}: {answer.en}."),
            ("Không có gì thay đổi; sửa lại rồi gửi lần nữa.", "Nothing was changed; correct it and send it again."),
        )
    return json({**about, "action": asked.action, "said": {"vi": answer.vi, "en": answer.en}})


def _seconds(span: str) -> int:
    seconds = parse_span(span) // 1000
    if seconds > MAX_CALIBRATION_S:
        most = MAX_CALIBRATION_S // 3600
        raise Refusal(
            400,
            (f"Một lần hiệu chuẩn kéo dài tối đa {most} giờ.", f"A calibration lasts at most {most} hours."),
            ("Bắt đầu lại khi cần lâu hơn.", "Begin it again if it takes longer."),
        )
    return seconds
