"""How either side proves the broker, and what is said when it cannot be reached."""

from __future__ import annotations

import socket
import ssl
from typing import Annotated

import msgspec
from msgspec import Meta

FilePath = Annotated[str, Meta(min_length=1, max_length=255)]


class TlsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the broker proves itself, and we to the broker if we have a certificate of our own."""

    ca: Annotated[FilePath, Meta(description="File with the authority's certificate that signed the broker's")]
    certificate: Annotated[FilePath | None, Meta(description="Our own certificate, if the broker asks")] = None
    key: Annotated[FilePath | None, Meta(description="Key of our own certificate")] = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            given, lacking = ("certificate", "key") if self.key is None else ("key", "certificate")
            raise ValueError(f"{given} is given without {lacking}; they work only together")


class TlsFileError(Exception):
    """A file of `broker.tls` cannot be used; the text names it and says what to do."""


def tls_context(settings: TlsSettings) -> ssl.SSLContext:
    """What the connection is made with. Raises TlsFileError."""
    at = f"broker.tls.ca: {settings.ca}"
    try:
        context = ssl.create_default_context(cafile=settings.ca)
        if settings.certificate is not None:
            at = f"broker.tls.certificate and key: {settings.certificate}, {settings.key}"
            context.load_cert_chain(settings.certificate, settings.key)
    except OSError as error:  # ssl.SSLError is one
        raise TlsFileError(f"{at}: {error.strerror or error}\n  the files must be PEM, and readable by us") from error
    return context


def why_unreachable(error: BaseException | None) -> str:
    """What keeps a connection from being made, and what to look at."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not satisfy broker.tls.ca ({error.verify_message})"
    if isinstance(error, ssl.SSLError | ConnectionResetError):  # a port without TLS hangs up during the handshake
        return f"no TLS ({error.strerror}); is it the port for TLS, 8883 as a rule?"
    if isinstance(error, socket.gaierror):
        return f"the name is not known here ({error.strerror})"
    return str(getattr(error, "strerror", None) or error)
