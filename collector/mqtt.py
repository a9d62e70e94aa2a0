"""MQTT clients of the collector, made from its settings."""

from __future__ import annotations

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from collector.settings import BrokerSettings, SettingsError
from edge_agent.contract.broker import TlsFileError, tls_context


def make_client(broker: BrokerSettings, password: str | None, client_id: str) -> mqtt.Client:
    """A client that is not yet connected. Raises SettingsError where a file of `broker.tls` cannot be used."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=True)
    client.username_pw_set(broker.user, password)
    if broker.tls is not None:
        try:
            client.tls_set_context(tls_context(broker.tls))
        except TlsFileError as error:
            raise SettingsError(str(error)) from error
    return client
