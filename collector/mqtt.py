"""MQTT clients of the collector, made from its settings."""

from __future__ import annotations

import os
import socket

from paho.mqtt.enums import CallbackAPIVersion

from collector.mqtt_client import Client
from collector.settings import BrokerSettings, SettingsError
from edge_agent.contract.broker import TlsFileError, read_certificate, tls_context
from edge_agent.contract.device import COLLECTOR, is_collector
from edge_agent.contract.topics import ALL_UP, UP_KINDS, up

HEARD_BY_ALL = ("status", "answer")
"""Kinds that every collector hears, though they share the others: whether a box is there, and answers to orders of
which nobody else knows. Brokers keep the last status of a box for whoever subscribes, but not for a group."""


def make_client(broker: BrokerSettings, password: str | None, client_id: str) -> Client:
    """A client that is not yet connected.

    Raises SettingsError where a file of `broker.tls` cannot be used, or the certificate is a box's.
    """
    client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=True)
    client.username_pw_set(broker.user, password)
    if broker.tls is not None:
        try:
            client.tls_set_context(tls_context(broker.tls))
            if broker.tls.certificate is not None and password is None:
                _check_name(broker.tls.certificate)
        except TlsFileError as error:
            raise SettingsError(str(error)) from error
    return client


def _check_name(certificate: str) -> None:
    """Refuse a certificate by which the broker would take the collector for a box, and let it hear nothing."""
    name = read_certificate(certificate).name
    if not is_collector(name):
        raise SettingsError(
            f"broker.tls.certificate: {certificate} is the certificate of {name!r}, which is no collector: "
            f"the broker would let it hear nothing\n  put in one that was made for {COLLECTOR}, {COLLECTOR}-2 ..."
        )


def subscriptions(share: str | None) -> list[tuple[str, int]]:
    """What a collector subscribes to, with the quality of service.

    In a group each kind by itself, as a message that fits two subscriptions of one client would come twice.
    """
    if share is None:
        return [(ALL_UP, 1)]
    return [(up("+", kind) if kind in HEARD_BY_ALL else f"$share/{share}/{up('+', kind)}", 1) for kind in UP_KINDS]


def this_collector(broker: BrokerSettings) -> str:
    """What tells this process from all other collectors: its client id, among others."""
    return f"{broker.user}-{socket.gethostname()[:64]}-{os.getpid()}"


def keep_alive_s(broker: BrokerSettings) -> int:
    """So often the broker hears of the collector; after half as much again it gives its share to the others."""
    return 30 if broker.share is None else 8
