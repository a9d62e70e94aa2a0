"""The collector's own certificates, for broker, database and page: days left in /metrics, and a warning in time."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable

from collector.settings import BrokerSettings, PostgresqlSettings, Settings
from edge_agent.contract.broker import TlsFileError, read_certificate

log = logging.getLogger(__name__)

LOOK_S = 6 * 3600.0


def own_certificates(settings: Settings) -> dict[str, str]:
    """The files by what they are for."""
    files = {"web": settings.web.certificate}
    for use, other in (("broker", settings.broker), ("database", settings.database)):
        if isinstance(other, BrokerSettings | PostgresqlSettings) and other.tls is not None:
            files[use] = other.tls.certificate
    return {use: file for use, file in files.items() if file is not None}


async def run(files: dict[str, str], counters: Counter[str], now: Callable[[], int], look_s: float = LOOK_S) -> None:
    """Look at the certificates for ever, at once and then every `look_s` seconds."""
    while True:
        for use, file in files.items():
            try:
                certificate = read_certificate(file)
            except TlsFileError as error:
                log.warning("%s.certificate: %s", use, error)
                continue
            counters[f'certificate_days_left{{use="{use}"}}'] = certificate.days_left(now())
            if trouble := certificate.trouble(now()):
                log.warning("%s.certificate: %s %s", use, file, trouble)
        await asyncio.sleep(look_s)
