"""Sessions at FTP servers, plain or with TLS."""

from __future__ import annotations

import ftplib
import io
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from collector.regulator.push import PushError, levels
from collector.regulator.settings import Ftp, Ftps

_UNKNOWN = ("500", "501", "502", "504")
"""Replies to a command that the server does not have."""
_FULL = ("451", "452", "552")
"""451, a local error, is what some servers say of a full disk."""


class FtpSession:
    """See `Session`."""

    def __init__(self, server: Ftp | Ftps, password: str) -> None:
        """Connect and log in. Raises PushError."""
        self._at = f"{server.host}:{server.port}"
        self._user = server.user
        self._timeout_s = server.timeout_s
        self._folders: set[str] = set()
        if isinstance(server, Ftps):
            self._ftp: ftplib.FTP = _Tls(context=_context(server), timeout=server.timeout_s)
        else:
            self._ftp = ftplib.FTP(timeout=server.timeout_s)  # noqa: S321 - what some departments offer
        try:
            with self._explained("TLS" if isinstance(self._ftp, _Tls) else "login"):
                self._ftp.connect(server.host, server.port)
                if isinstance(self._ftp, _Tls):
                    self._ftp.auth()
            with self._explained("login"):
                self._ftp.login(server.user, password)
                if isinstance(self._ftp, _Tls):
                    self._ftp.prot_p()
                self._ftp.voidcmd("TYPE I")  # sizes are asked for, and they are those of bytes
        except PushError:
            self._ftp.close()
            raise

    def size(self, path: str) -> int | None:
        """Ask for a file's size; a server without the command says nothing."""
        size = None
        with self._explained(path):
            try:
                size = self._ftp.size(path)
            except ftplib.error_perm as error:
                if str(error)[:3] not in ("550", *_UNKNOWN):
                    raise
        return size

    def make_folder(self, path: str) -> None:
        """Make what is missing; servers answer alike to what exists and what is forbidden, so writing tells."""
        if path in self._folders:
            return
        with self._explained(path):
            for level in levels(path):
                with suppress(ftplib.error_perm):
                    self._ftp.mkd(level)
        self._folders.add(path)

    def write(self, path: str, content: bytes) -> None:
        """Upload, and compare the size where the server tells it."""
        with self._explained(path):
            self._ftp.storbinary(f"STOR {path}", io.BytesIO(content))
        there = self.size(path)
        if there not in (None, len(content)):
            raise PushError("broken", f"{self._at} confirmed {path}, but has {there} of {len(content)} bytes")

    def rename(self, old: str, new: str) -> None:
        """Rename."""
        with self._explained(new):
            self._ftp.rename(old, new)

    def delete(self, path: str) -> None:
        """Delete."""
        with self._explained(path):
            self._ftp.delete(path)

    def close(self) -> None:
        """Say good-bye if the server still listens."""
        with suppress(*ftplib.all_errors, AttributeError):
            self._ftp.quit()
        self._ftp.close()

    def abort(self) -> None:
        """Cut the connection."""
        if self._ftp.sock is not None:
            with suppress(OSError):
                self._ftp.sock.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except ssl.SSLCertVerificationError as error:
            cure = "is `ca` what signed it, and is `host` the name in it?"
            raise PushError(
                "tls", f"the certificate of {self._at} is not trusted: {error.verify_message}; {cure}"
            ) from error
        except ssl.SSLError as error:
            raise PushError("tls", f"{self._at} speaks no TLS that we can use: {error.reason or error}") from error
        except socket.gaierror as error:
            raise PushError("unreachable", f"{self._at}: the name is not known here ({error.strerror})") from error
        except TimeoutError as error:
            raise PushError("unreachable", f"{self._at} did not answer within {self._timeout_s:g} s") from error
        except (EOFError, ConnectionResetError, ConnectionAbortedError, BrokenPipeError) as error:
            raise PushError("broken", f"{self._at} hung up in the middle ({what})") from error
        except OSError as error:
            raise PushError("unreachable", f"{self._at}: {error.strerror or error}") from error
        except ftplib.Error as error:
            raise self._refusal(what, str(error)) from error

    def _refusal(self, what: str, reply: str) -> PushError:
        if reply.startswith(_FULL):
            cure = "its disk or our quota is full: tell the department"
            return PushError("full", f"{self._at} does not take {what} ({reply}); {cure}")
        if what == "TLS" and not reply.startswith("421"):
            return PushError("tls", f"{self._at} has no TLS for us ({reply}); is it the right port?")
        if what == "login" or reply.startswith("530"):
            cure = "are `user` and the password in `password_file` still those that the department gave?"
            return PushError("login", f"{self._at} refuses the login of {self._user} ({reply}); {cure}")
        if reply.startswith("421"):
            return PushError("broken", f"{self._at} ends the connection ({reply})")
        return PushError("refused", f"{self._at} refuses {what} ({reply}); may {self._user} write there?")


class _Tls(ftplib.FTP_TLS):
    """Data connections continue the TLS session of the control connection; many servers take no others."""

    def ntransfercmd(self, cmd: str, rest: Any = None) -> tuple[socket.socket, int | None]:
        connection, size = ftplib.FTP.ntransfercmd(self, cmd, rest)  # noqa: S321
        assert isinstance(self.sock, ssl.SSLSocket)
        wrapped = self.context.wrap_socket(connection, server_hostname=self.host, session=self.sock.session)
        return wrapped, size


def _context(server: Ftps) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=server.ca)
    except OSError as error:  # ssl.SSLError is one
        raise PushError("tls", f"ca: {error.strerror or error}: {server.ca}; the file must be PEM") from error
