"""How either side proves the broker, and itself to the broker; and what is said when it cannot be reached."""

from __future__ import annotations

import logging
import socket
import ssl
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from edge_agent.contract.secret_file import warn_if_exposed

FilePath = Annotated[str, Meta(min_length=1, max_length=255)]
WARN_DAYS = 30
"""So long before a certificate ends it is said."""
_DAY_MS = 86_400_000


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
    """A certificate or key cannot be used; the text names the file and says what to do."""


class Certificate(NamedTuple):
    """What concerns us of a certificate; times in milliseconds UTC."""

    name: str
    """Its common name: with `use_identity_as_username` the user name at the broker."""
    begins: int
    ends: int

    def days_left(self, now: int) -> int:
        """Whole days until it ends; negative when it has ended."""
        return (self.ends - now) // _DAY_MS

    def trouble(self, now: int) -> str | None:
        """What is wrong with its time, or soon will be; None while it is well."""
        if now < self.begins:
            return f"holds only from {_day(self.begins)} on; is our clock right?"
        if self.ends <= now:
            return f"ended on {_day(self.ends)}; the broker takes nothing from us until it is replaced"
        days = self.days_left(now)
        return f"ends on {_day(self.ends)}, in {days} days; replace it before" if days < WARN_DAYS else None


def read_certificate(file: str) -> Certificate:
    """The first certificate of a PEM file. Raises TlsFileError."""
    try:
        Path(file).open("rb").close()  # OpenSSL does not say why it cannot open a file
        # all that the standard library has for a certificate which no peer sent; its own tests rest on it
        said = ssl._ssl._test_decode_cert(file)  # type: ignore[attr-defined]
        begins, ends = (int(ssl.cert_time_to_seconds(said[key])) * 1000 for key in ("notBefore", "notAfter"))
    except (OSError, ValueError, KeyError) as error:
        raise _unusable(file, error, _NO_CERTIFICATE) from error
    names = [value for part in said["subject"] for key, value in part if key == "commonName"]
    return Certificate(name=names[0] if names else "", begins=begins, ends=ends)


def tls_context(settings: TlsSettings) -> ssl.SSLContext:
    """What the connection is made with. Raises TlsFileError."""
    try:
        context = ssl.create_default_context(cafile=settings.ca)
    except OSError as error:  # ssl.SSLError is one
        raise _unusable(f"broker.tls.ca: {settings.ca}", error, _NO_CERTIFICATE) from error
    load_own(context, settings)
    if settings.key is not None:
        warn_if_exposed(settings.key)
    return context


def load_own(context: ssl.SSLContext, settings: TlsSettings) -> None:
    """Take our own certificate as it is on the disk now, for the connections to come. Raises TlsFileError."""
    if settings.certificate is not None and settings.key is not None:
        load_pair(context, settings.certificate, settings.key, at="broker.tls")


def load_pair(context: ssl.SSLContext, certificate: str, key: str, *, at: str) -> None:
    """Take a certificate and its key, which are set below `at`. Raises TlsFileError."""
    try:
        read_certificate(certificate)
    except TlsFileError as error:
        raise TlsFileError(f"{at}.certificate: {error}") from error
    try:
        Path(key).open("rb").close()
        context.load_cert_chain(certificate, key, password="")  # without one OpenSSL would ask at the terminal
    except OSError as error:  # ssl.SSLError is one
        other = getattr(error, "reason", None) == "KEY_VALUES_MISMATCH"
        raise _unusable(f"{at}.key: {key}", error, f"is not the key of {certificate}" if other else _NO_KEY) from error


_NO_CERTIFICATE, _NO_KEY = "holds no certificate", "holds no key, or one that is locked by a passphrase"


def _unusable(at: str, error: Exception, of_ssl: str) -> TlsFileError:
    said = getattr(error, "strerror", None) if not isinstance(error, ssl.SSLError) else of_ssl
    return TlsFileError(f"{at}: {said or error}\n  the files must be PEM, belong together, and be readable by us")


_REFUSED = {
    "CERTIFICATE_REQUIRED": "it asks for a certificate and we have none: set broker.tls.certificate and key",
    "UNKNOWN_CA": "it does not know the authority that signed our certificate: have a new one made by the broker's",
    "CERTIFICATE_EXPIRED": "our certificate has ended: have a new one made (or our clock is wrong, or the broker's)",
    "CERTIFICATE_REVOKED": "our certificate was revoked: have a new one made if this machine is to go on",
    "BAD_CERTIFICATE": "our certificate is damaged or its key another's: have a new one made",
    "CERTIFICATE_UNKNOWN": "it does not take our certificate: its own log says why",
    "UNSUPPORTED_CERTIFICATE": "our certificate is not one for clients: have a new one made",
}
"""What a broker's alert about our certificate means, by the end of OpenSSL's name for it."""


def why_unreachable(error: BaseException | None) -> str:
    """What keeps a connection from being made, and what to look at."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not satisfy broker.tls.ca ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        for alert, meaning in _REFUSED.items():
            if str(error.reason).endswith(f"ALERT_{alert}"):
                return meaning
    if isinstance(error, ssl.SSLError | ConnectionResetError):  # a port without TLS hangs up during the handshake
        return f"no TLS ({error.strerror}); is it the port for TLS, 8883 as a rule?"
    if isinstance(error, socket.gaierror):
        return f"the name is not known here ({error.strerror})"
    return str(getattr(error, "strerror", None) or error)


HUNG_UP = "it hung up before it let us in: does it ask for a certificate, or is it full? Its own log says why"
"""What is said where a broker ends the connection without a word."""


class _Errors(logging.Handler):
    def __init__(self, tell: Callable[[BaseException], None]) -> None:
        super().__init__(logging.ERROR)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, ssl.SSLError):
            self._tell(error)


def tell_refusals(client: Any, tell: Callable[[BaseException], None]) -> None:
    """Tell errors of TLS on paho's connection, from its thread.

    Under TLS 1.3 a broker refuses our certificate only after the handshake; paho says so to its logger and nobody else.
    """
    logger = logging.Logger("paho", logging.ERROR)  # of this client alone
    logger.addHandler(_Errors(tell))
    client.enable_logger(logger)


def _day(ms: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(ms // 1000))
