"""Servers that files are pushed to: pyftpdlib, Debian's vsftpd and sshd, each with a folder of its own.

with ftp_server(tmp_path) as server: ... server.port, folder tmp_path / "files"
"""

from __future__ import annotations

import contextlib
import getpass
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ports import free_port
from servers import Server, _folder, _program, _running

from collector.regulator.settings import Ftp, Ftps, Sftp

PASSWORD = "secret"
FORM = {
    "province": "AG", "folder": "/in/{station}/{yyyy}/{MM}/{dd}", "stamp": "end", "missing": "leave_out",
    "line_end": "crlf", "timeout_s": 3.0, "files_per_minute": 6000.0,
}  # fmt: skip
"""What a server's settings need besides the way to it."""


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder: path, content."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def password_file(folder: Path, password: str = PASSWORD) -> str:
    """A secret's file."""
    file = folder / "password"
    file.write_text(password + "\n")
    return str(file)


def ftp(folder: Path, port: int, **changes: object) -> Ftp:
    """Settings for `ftp_server`."""
    way = {"host": "127.0.0.1", "port": port, "user": "pq", "password_file": password_file(folder)}
    return Ftp(**{**FORM, **way, **changes})  # type: ignore[arg-type]


def ftps(folder: Path, port: int, ca: Path, **changes: object) -> Ftps:
    """Settings for a server with TLS."""
    way = {"host": "127.0.0.1", "port": port, "user": "pq", "password_file": password_file(folder), "ca": str(ca)}
    return Ftps(**{**FORM, **way, **changes})  # type: ignore[arg-type]


@contextlib.contextmanager
def ftp_server(
    folder: Path, *options: str | Path, port: int | None = None, files: Path | None = None
) -> Iterator[Server]:
    """The FTP server of `ftp_server.py` with these options."""
    port = port or free_port()
    files = files or folder / "files"
    files.mkdir(exist_ok=True)
    program = [sys.executable, str(Path(__file__).parent / "ftp_server.py"), str(port), str(files)]
    with _running("ftp", [*program, *map(str, options)], port, _folder(folder, "ftp")) as server:
        yield server


@contextlib.contextmanager
def vsftpd(folder: Path, certificate: tuple[Path, Path] | None = None) -> Iterator[Server]:
    """Debian's vsftpd, where user `anonymous` may write into `files/in`; with TLS it takes nothing else."""
    if os.getuid():
        pytest.skip("vsftpd changes its user, which needs root")
    port, home, files = free_port(), _folder(folder, "vsftpd"), folder / "files"
    (files / "in").mkdir(parents=True, exist_ok=True)
    files.chmod(0o755)  # its root must not be writable
    (home / "empty").mkdir(exist_ok=True)
    lines = {
        "listen": "YES", "listen_address": "127.0.0.1", "listen_port": port, "background": "NO",
        "anonymous_enable": "YES", "no_anon_password": "YES", "anon_root": files, "write_enable": "YES",
        "anon_upload_enable": "YES", "anon_mkdir_write_enable": "YES", "anon_other_write_enable": "YES",
        "anon_world_readable_only": "NO", "anon_umask": "022",
        "secure_chroot_dir": home / "empty", "seccomp_sandbox": "NO", "xferlog_enable": "YES",
        "vsftpd_log_file": home / "transfers.log", "ftp_username": "ftp",
    }  # fmt: skip
    if certificate is not None:
        lines |= {"ssl_enable": "YES", "allow_anon_ssl": "YES", "force_anon_logins_ssl": "YES"}
        lines |= {"force_anon_data_ssl": "YES", "rsa_cert_file": certificate[0], "rsa_private_key_file": certificate[1]}
    config = home / "vsftpd.conf"
    config.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
    subprocess.run(["chown", "ftp", str(files / "in")], check=True)
    with _running("vsftpd", [_program("vsftpd"), str(config)], port, home) as server:
        yield server


class Ssh:
    """Keys of an SFTP server and its user; the server runs as the user that runs the tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = _folder(folder, "sshd")
        self.files = folder / "files"
        self.files.mkdir(exist_ok=True)
        self.key = self._key("user")
        self.change_host_key()

    def _key(self, name: str) -> Path:
        file = self.folder / name
        file.unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)
        return file

    def change_host_key(self) -> None:
        """Give the server another key, as an impostor has."""
        self._key("host")

    @property
    def host_key(self) -> str:
        """The server's public key as it stands in settings."""
        return " ".join((self.folder / "host.pub").read_text().split()[:2])

    def settings(self, port: int, **changes: object) -> Sftp:
        """Settings for the server."""
        way = {"host": "127.0.0.1", "port": port, "user": getpass.getuser(), "key_file": str(self.key)}
        form = {**FORM, "folder": f"{self.files}{FORM['folder']}", "host_key": self.host_key}
        return Sftp(**{**form, **way, **changes})  # type: ignore[arg-type]

    @contextlib.contextmanager
    def server(self, port: int | None = None) -> Iterator[Server]:
        """Debian's sshd, for files alone."""
        port = port or free_port()
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where root's sshd gives up its rights
        config = self.folder / "sshd_config"
        config.write_text(
            f"ListenAddress 127.0.0.1\nHostKey {self.folder}/host\nAuthorizedKeysFile {self.key}.pub\n"
            "PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"
            "Subsystem sftp internal-sftp\nForceCommand internal-sftp\nMaxStartups 100\n"
        )
        command = [_program("sshd"), "-D", "-e", "-f", str(config), "-p", str(port)]
        with _running("sshd", command, port, self.folder) as server:
            yield server
