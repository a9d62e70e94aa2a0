"""The server of the store answers badly, or says yes to what it has not got."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from scripts.fault_matrix.faults import Moment, fault
from scripts.fault_matrix.faulty_http import WRITES, Fault, FaultyHttp
from scripts.fault_matrix.stage import Stage

SLOW_S = (0.5, 6.0)


def proxies(stage: Stage) -> Sequence[FaultyHttp]:
    """What stands before the store, if it is a server."""
    return [] if stage.store.proxy is None else [stage.store.proxy]


def _spoil(proxy: FaultyHttp, moment: Moment, spoilt: Fault) -> None:
    """Spoil every request, or those that write alone."""
    proxy.fault = spoilt if moment.chance.random() < 0.5 else replace(spoilt, where=WRITES)
    moment.hold()
    proxy.fault = None


@fault(proxies)
def answer_503(proxy: FaultyHttp, moment: Moment) -> None:
    """Service unavailable; sometimes it has stored all the same."""
    _spoil(proxy, moment, Fault(kind="status", status=503, stored=moment.chance.random() < 0.5))


@fault(proxies)
def answer_429(proxy: FaultyHttp, moment: Moment) -> None:
    """Too many requests, come again in two seconds."""
    _spoil(proxy, moment, Fault(kind="status", status=429, headers={"Retry-After": "2"}))


@fault(proxies)
def answer_slowly(proxy: FaultyHttp, moment: Moment) -> None:
    """The answers are late."""
    _spoil(proxy, moment, Fault(kind="slow", seconds=moment.chance.uniform(*SLOW_S)))


@fault(proxies)
def answer_half(proxy: FaultyHttp, moment: Moment) -> None:
    """The answers break off."""
    _spoil(proxy, moment, Fault(kind="half"))


@fault(proxies)
def say_yes_and_store_nothing(proxy: FaultyHttp, moment: Moment) -> None:
    """Success, and nothing is written."""
    _spoil(proxy, moment, Fault(kind="false_success", where=WRITES))


@fault(proxies)
def reset_the_store(proxy: FaultyHttp, moment: Moment) -> None:
    """Connections are reset, after it has stored or before."""
    _spoil(proxy, moment, Fault(kind="reset", stored=moment.chance.random() < 0.5))
