"""MQTT clients of the collector: made from its settings, and what is said when they cannot connect."""

from __future__ import annotations

import socket
import ssl

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from collector.settings import BrokerSettings, SettingsError, TlsSettings


def make_client(broker: BrokerSettings, password: str | None, client_id: str) -> mqtt.Client:
    """A client that is not yet connected. Raises SettingsError where a file of `broker.tls` cannot be used."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=True)
    client.username_pw_set(broker.user, password)
    if broker.tls is not None:
        client.tls_set_context(_tls(broker.tls))
    return client


def _tls(settings: TlsSettings) -> ssl.SSLContext:
    at = f"broker.tls.ca: {settings.ca}"
    try:
        context = ssl.create_default_context(cafile=settings.ca)
        if settings.certificate is not None:
            at = f"broker.tls.certificate and key: {settings.certificate}, {settings.key}"
            context.load_cert_chain(settings.certificate, settings.key)
    except OSError as error:  # ssl.SSLError is one
        cure = "the files must be PEM, and readable by the collector"
        raise SettingsError(f"{at}: {error.strerror or error}\n  {cure}") from error
    return context


def why(error: BaseException | None) -> str:
    """What keeps a connection from being made, and what to look at."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not satisfy broker.tls.ca ({error.verify_message})"
    if isinstance(error, ssl.SSLError | ConnectionResetError):  # a port without TLS hangs up during the handshake
        return f"no TLS ({error.strerror}); is it the port for TLS, 8883 as a rule?"
    if isinstance(error, socket.gaierror):
        return f"the name is not known here ({error.strerror})"
    return str(getattr(error, "strerror", None) or error)
