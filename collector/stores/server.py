"""A server that stores, by HTTP: connections that stay open, a time limit, and what its refusals mean.

Nothing is tried again here: whoever writes does that, and may write the same as often as it likes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError, ReadTimeoutError

from collector.stores import RejectedError, StoreError

TIMEOUT_S = 10
LONGEST_REST_S = 60
"""A server is left alone as long as it asks, but no longer than this."""
CLOCKS_S = 3600
"""A server whose clock is further from ours than this refuses nothing for good: it may take now for the future."""
THREADS = 8
"""So many may ask at once without a new connection each."""
LINES, FORM = "text/plain; charset=utf-8", "application/x-www-form-urlencoded"


class Server:
    """One server at `url`. Errors are StoreError, and RejectedError where the same request would fail again."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        self.url = url.rstrip("/")
        self._headers = dict(headers or {})
        self._pool = urllib3.PoolManager(retries=False, maxsize=THREADS)
        self._rests_until = 0.0
        self._said = (time.time(), time.monotonic())

    def now(self) -> float:
        """Seconds since 1970 by its clock, as its last answer told; before the first answer by ours."""
        clock, then = self._said
        return clock + time.monotonic() - then

    def clocks_apart(self) -> str:
        """How far apart its clock and ours are, where that is far: then one is wrong, and nobody knows which."""
        hours = (self.now() - time.time()) / 3600
        if abs(hours) * 3600 < CLOCKS_S:
            return ""
        side = "ahead of" if hours > 0 else "behind"
        return f"its clock is {abs(hours):.0f} h {side} the collector's: set both right; nothing is given up before"

    def leave_alone(self) -> None:
        """Raise StoreError while the server rests, as it has asked for."""
        left = self._rests_until - time.monotonic()
        if left > 0:
            raise StoreError(f"{self.url} asked for a rest, of which {left:.0f} s are left")

    def write(self, path: str, lines: bytes) -> None:
        """Send lines, unless the server rests."""
        self.leave_alone()
        self.ask(path, lines, LINES)

    def ask(self, path: str, body: bytes = b"", kind: str = FORM) -> bytes:
        """The answer to a POST."""
        headers = {**self._headers, "Content-Type": kind}
        try:
            response = self._pool.request("POST", self.url + path, body=body, headers=headers, timeout=TIMEOUT_S)
        except HTTPError as error:
            raise unanswered(self.url, error) from error
        with suppress(KeyError, ValueError):
            self._said = (parsedate_to_datetime(response.headers["Date"]).timestamp(), time.monotonic())
        if response.status >= 300:
            rest = seconds(response.headers.get("Retry-After"))
            self._rests_until = time.monotonic() + rest
            lines = body if kind == LINES else b""
            refused = refusal(self.url, response.status, response.data, lines, rest)
            if isinstance(refused, RejectedError) and (apart := self.clocks_apart()):
                raise StoreError(f"{refused}; {apart}")
            raise refused
        return bytes(response.data)

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()


def seconds(retry_after: str | None) -> float:
    """How long a server is to be left alone, by its header: seconds or a date; within bounds, 0 if it says nothing."""
    if not retry_after:
        return 0.0
    try:
        rest = float(retry_after)
    except ValueError:
        try:
            rest = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except ValueError:
            return 0.0
    return min(max(rest, 0.0), LONGEST_REST_S) if rest == rest else 0.0  # noqa: PLR0124 - "nan" is a float


def unanswered(url: str, error: HTTPError) -> StoreError:
    """No answer, or half of one; what was sent may be stored or not."""
    if isinstance(error, ReadTimeoutError):
        cure = f"nothing within {TIMEOUT_S} s: is it overloaded, or its disk full? Its own log says more"
    else:
        reason = "no connection" if isinstance(error, NewConnectionError) else str(error)
        cure = f"{reason}: does it run, and is the address right? (VictoriaMetrics ends when its disk is full)"
    return StoreError(f"{url} does not answer: {cure}")


def refusal(url: str, status: int, answer: bytes | str | None, lines: bytes = b"", rest_s: float = 0.0) -> StoreError:
    """What a server's answer means; where it names one of our lines, that line is said.

    Only lines can be refused for good, and only in InfluxDB's own words (`error` in 1.x, `code` in 2.x): whatever else
    stands at that address, such as a proxy or the same server that expects TLS now, says nothing about points.

    Servers repeat lines that they refuse, and errors are kept and shown to technicians: not so if they hold plates.
    """
    text = answer.decode(errors="replace") if isinstance(answer, bytes) else answer or ""
    said = _json_object(text)
    text = str(said.get("message") or said.get("error") or text)[:500].strip()
    number = said.get("line")
    if isinstance(number, int) and 0 < number <= lines.count(b"\n") + 1:
        line = lines.split(b"\n")[number - 1].decode()
        text += f"; line {number} is {line[:300]!r}"
    if status not in _WITHOUT_LINES and b'plate="' in lines:
        text = "its words are left out, as they may hold a plate"
    if "no space left" in text:
        text += "; make room, and start it again if it goes on refusing (InfluxDB 1.x does)"
    if rest_s:
        text += f"; it asks to be left alone for {rest_s:.0f} s"
    if lines and status in (400, 422) and not said.keys().isdisjoint({"error", "code"}):
        return RejectedError(f"{url} answers {status}: {text}")
    return StoreError(f"{url} answers {status}: {text}{_ADVICE.get(status, '')}")


_WITHOUT_LINES = (401, 403, 404)
_BUSY = "; it has too much to do, starts, or its disk is full: its own log says more"
_ADVICE = {
    400: "; is the store there, and is it http or https?",
    401: "; check user or token",
    403: "; check the rights of user or token",
    404: "; check database, bucket, organisation",
    413: "; let it take larger requests (InfluxDB 1.x: max-body-size)",
    429: _BUSY,
    500: "; its own log says more, such as a full disk",
    502: "; something stands before it and does not reach it",
    503: _BUSY,
    504: "; something stands before it and does not reach it",
}


def _json_object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
