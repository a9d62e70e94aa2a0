"""Sessions at SFTP servers."""

from __future__ import annotations

import io
import logging
import socket
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import paramiko

from collector.regulator.push import PushError, levels
from collector.regulator.settings import Sftp

logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # it logs with traceback what it raises as well
_REPLIES = (OSError, PermissionError, FileNotFoundError)
"""What paramiko makes of the server's replies; other kinds of OSError come from the network."""


class SftpSession:
    """See `Session`."""

    def __init__(self, server: Sftp, password: str | None) -> None:
        """Connect, look at the server's key, log in. Raises PushError."""
        self._at = f"{server.host}:{server.port}"
        self._user = server.user
        self._timeout_s = server.timeout_s
        self._folders: set[str] = set()
        self._client = paramiko.SSHClient()
        self._client.set_missing_host_key_policy(paramiko.RejectPolicy())
        try:
            with self._explained("login"):
                self._trust(server)
                self._client.connect(
                    server.host,
                    server.port,
                    server.user,
                    password=password,
                    key_filename=server.key_file,
                    allow_agent=False,
                    look_for_keys=False,
                    timeout=server.timeout_s,
                    banner_timeout=server.timeout_s,
                    auth_timeout=server.timeout_s,
                    channel_timeout=server.timeout_s,
                )
                self._sftp = self._client.open_sftp()
                self._sftp.get_channel().settimeout(server.timeout_s)
        except PushError:
            self._client.close()
            raise

    def _trust(self, server: Sftp) -> None:
        kind, encoded = server.host_key.split(" ")
        try:
            key = paramiko.PKey.from_type_string(kind, b64decode(encoded))
        except (ValueError, paramiko.SSHException) as error:
            raise PushError("host_key", f"`host_key` of {self._at} cannot be read: {error}") from error
        where = server.host if server.port == 22 else f"[{server.host}]:{server.port}"
        self._client.get_host_keys().add(where, kind, key)

    def size(self, path: str) -> int | None:
        """Ask for a file's size."""
        size: int | None = None
        with self._explained(path), suppress(FileNotFoundError):
            size = self._sftp.stat(path).st_size
        return size

    def make_folder(self, path: str) -> None:
        """Make what is missing; what cannot be made is seen when something is written there."""
        if path in self._folders:
            return
        with self._explained(path):
            for level in levels(path):
                try:
                    self._sftp.mkdir(level)
                except OSError as error:
                    if type(error) not in _REPLIES:
                        raise
        self._folders.add(path)

    def write(self, path: str, content: bytes) -> None:
        """Upload, and compare the size."""
        with self._explained(path):
            self._sftp.putfo(io.BytesIO(content), path, confirm=True)

    def rename(self, old: str, new: str) -> None:
        """Rename."""
        with self._explained(new):
            self._sftp.rename(old, new)

    def delete(self, path: str) -> None:
        """Delete."""
        with self._explained(path):
            self._sftp.remove(path)

    def close(self) -> None:
        """Log out."""
        self._client.close()

    def abort(self) -> None:
        """Cut the connection."""
        self._client.close()

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except paramiko.BadHostKeyException as error:
            raise self._other_key(error.key.fingerprint) from error
        except paramiko.AuthenticationException as error:
            cure = "is the key or password still the one that the department knows?"
            raise PushError("login", f"{self._at} refuses the login of {self._user} ({error}); {cure}") from error
        except paramiko.SSHException as error:
            if "not found in known_hosts" in str(error):
                raise self._other_key("of another type") from error
            raise PushError("broken", f"{self._at}: {error}") from error
        except socket.gaierror as error:
            raise PushError("unreachable", f"{self._at}: the name is not known here ({error.strerror})") from error
        except TimeoutError as error:
            raise PushError("unreachable", f"{self._at} did not answer within {self._timeout_s:g} s") from error
        except (EOFError, ConnectionResetError, ConnectionAbortedError, BrokenPipeError) as error:
            raise PushError("broken", f"{self._at} hung up in the middle ({what})") from error
        except OSError as error:
            raise self._refusal(what, error) from error

    def _other_key(self, key: str) -> PushError:
        text = f"{self._at} has another key ({key}) than `host_key`: either it was changed, or this is not the server"
        return PushError("host_key", f"{text}; ask the department before you change the setting")

    def _refusal(self, what: str, error: OSError) -> PushError:
        if what == "login" and error.filename:
            return PushError("login", f"key_file: {error.strerror}: {error.filename}")
        transport = self._client.get_transport()
        if what == "login" or transport is None or not transport.is_active():
            return PushError("unreachable" if what == "login" else "broken", f"{self._at}: {error.strerror or error}")
        if isinstance(error, PermissionError | FileNotFoundError):
            return PushError("refused", f"{self._at} refuses {what} ({error.strerror}); may {self._user} write there?")
        # the protocol has no word for a full disk
        cure = "most often its disk or our quota is full: tell the department"
        return PushError("full", f"{self._at} does not take {what} ({error.strerror or error}); {cure}")
