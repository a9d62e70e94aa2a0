"""The box's own certificate: whether it is this box's, and a fault while there is still time before it ends."""

from __future__ import annotations

import asyncio

from edge_agent.clock import Now, now_ms
from edge_agent.contract.broker import TlsFileError, read_certificate
from edge_agent.errors import ConfigError
from edge_agent.health import Health
from edge_agent.settings import BrokerSettings

PART = "certificate"
LOOK_S = 3600.0


def check_name(device: str, broker: BrokerSettings) -> None:
    """Raise ConfigError for another's certificate, where the certificate alone says to the broker who we are."""
    if broker.tls is None or broker.tls.certificate is None or broker.password_file is not None:
        return
    try:
        name = read_certificate(broker.tls.certificate).name
    except TlsFileError as error:
        raise ConfigError(f"broker.tls.certificate: {error}") from error
    if name != device:
        raise ConfigError(
            f"broker.tls.certificate: {broker.tls.certificate} is the certificate of {name!r}, and this is {device}: "
            f"the broker would take nothing from us\n  put in the one that was made for {device}"
        )


async def watch(file: str, health: Health, now: Now = now_ms, look_s: float = LOOK_S) -> None:
    """Report the certificate in `file` as a fault 30 days before it ends, and after."""
    while True:
        try:
            trouble = read_certificate(file).trouble(now())
        except TlsFileError as error:
            trouble = str(error).replace("\n ", ";")
        if trouble is None:
            health.clear(PART)
        else:
            health.fault(PART, trouble if file in trouble else f"{file} {trouble}")
        await asyncio.sleep(look_s)
