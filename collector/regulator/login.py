"""Logging in at a server of the settings, whatever its kind."""

from __future__ import annotations

from collector.regulator.ftp import FtpSession
from collector.regulator.push import PushError, Session
from collector.regulator.settings import Server, Sftp
from edge_agent.contract.secret_file import SecretFileError, read_secret


def log_in(server: Server) -> Session:
    """Connect and log in, with the secret that stands in its file now. Blocks; raises PushError."""
    try:
        password = None if server.password_file is None else read_secret(server.password_file)
    except SecretFileError as error:
        raise PushError("login", f"password_file: {error}") from error
    if isinstance(server, Sftp):
        from collector.regulator.sftp import SftpSession  # paramiko is loaded only where it is used

        return SftpSession(server, password)
    assert password is not None
    return FtpSession(server, password)
