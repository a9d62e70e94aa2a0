"""One file to real servers: pyftpdlib, Debian's vsftpd and sshd; and what is said when one does not do its part."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from authority import Authority
from disks import fill, small_disk
from file_servers import Ssh, files_of, ftp, ftp_server, ftps, vsftpd
from ports import free_port
from servers import Server as Running

from collector.regulator.login import log_in
from collector.regulator.push import PushError, Session, deliver, levels
from collector.regulator.settings import Server

NAME = "AG_PQ01_KHI001_20261122083000.txt"
FOLDER = "/in/KHI001/2026/11/22"
CONTENT = b"PM2,5\t28.6\tug/Nm3\t20261122083000\t00\r\n"


@contextmanager
def logged_in(server: Server) -> Iterator[Session]:
    session = log_in(server)
    try:
        yield session
    finally:
        session.close()


def push(server: Server, content: bytes = CONTENT, folder: str = FOLDER) -> bool:
    with logged_in(server) as session:
        return deliver(session, folder, NAME, content)


def error_of(work: Callable[[], object]) -> PushError:
    with pytest.raises(PushError) as caught:
        work()
    return caught.value


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "department")


@contextmanager
def a_server(kind: str, folder: Path, authority: Authority) -> Iterator[tuple[Server, Path, str]]:
    """Settings for a running server, its folder, and what its paths begin with."""
    files = folder / "files"
    certificate = authority.issue("department", "IP:127.0.0.1")
    if kind == "ftp":
        with ftp_server(folder) as running:
            yield ftp(folder, running.port), files, ""
    elif kind == "ftps":
        with ftp_server(folder, "--certificate", *certificate) as running:
            yield ftps(folder, running.port, authority.ca), files, ""
    elif kind == "vsftpd":
        with vsftpd(folder) as running:
            yield ftp(folder, running.port, user="anonymous"), files, ""
    elif kind == "vsftpd with TLS":
        with vsftpd(folder, certificate) as running:
            yield ftps(folder, running.port, authority.ca, user="anonymous"), files, ""
    else:
        ssh = Ssh(folder)
        with ssh.server() as running:
            yield ssh.settings(running.port), ssh.files, str(ssh.files)


@pytest.mark.parametrize("kind", ["ftp", "ftps", "vsftpd", "vsftpd with TLS", "sftp"])
def test_a_file_comes_to_its_place_once_and_whole(kind: str, tmp_path: Path, authority: Authority) -> None:
    with a_server(kind, tmp_path, authority) as (server, files, root):
        with logged_in(server) as session:
            assert deliver(session, root + FOLDER, NAME, CONTENT)
            assert deliver(session, root + FOLDER, NAME.replace("0830", "0835"), CONTENT), "the folder is there now"
        place = FOLDER.removeprefix("/")
        assert files_of(files)[f"{place}/{NAME}"] == CONTENT
        written = (files / place / NAME).stat().st_mtime_ns
        assert push(server, folder=root + FOLDER) is False, "another login finds it"
        assert (files / place / NAME).stat().st_mtime_ns == written

        (files / place / NAME).write_bytes(b"")  # as a power cut leaves a file that was renamed and not yet on disk
        (files / place / f"{NAME}.part").write_bytes(CONTENT + b"what an earlier try left")
        if kind.startswith("vsftpd"):
            for file in (files / place).iterdir():
                os.chown(file, (files / place).stat().st_uid, -1)
        assert push(server, folder=root + FOLDER)
        assert files_of(files)[f"{place}/{NAME}"] == CONTENT
        assert len(files_of(files)) == 2, "nothing else is left"


def test_the_final_name_appears_by_a_rename_alone(tmp_path: Path) -> None:
    with ftp_server(tmp_path) as running:
        push(ftp(tmp_path, running.port))
        said = [line for line in running.log.read_text().splitlines() if "<- STOR" in line or "<- RNTO" in line]
    stored, renamed = said
    assert f"{NAME}.part" in stored
    assert NAME in renamed and ".part" not in renamed


def test_a_server_that_dies_in_the_middle_of_a_file(tmp_path: Path) -> None:
    port = free_port()
    server = ftp(tmp_path, port)
    with ftp_server(tmp_path, "--die-in", "1", port=port):
        error = error_of(lambda: push(server))
    assert error.kind == "broken" and "hung up in the middle" in str(error)
    (half,) = files_of(tmp_path / "files").items()
    assert half == (f"{FOLDER[1:]}/{NAME}.part", CONTENT[: len(CONTENT) // 2])
    with ftp_server(tmp_path, port=port):
        assert push(server)
    assert files_of(tmp_path / "files") == {f"{FOLDER[1:]}/{NAME}": CONTENT}


def test_a_server_that_answers_no_more(tmp_path: Path) -> None:
    with ftp_server(tmp_path, "--hang-in", "1") as running:
        started = time.monotonic()
        error = error_of(lambda: push(ftp(tmp_path, running.port, timeout_s=0.4)))
    assert error.kind == "unreachable" and "did not answer within 0.4 s" in str(error)
    assert time.monotonic() - started < 3


@contextmanager
def stopped(running: Running) -> Iterator[None]:
    """The server and the processes that it started for sessions stand still."""
    whole = psutil.Process(running.process.pid)
    family = [whole, *whole.children(recursive=True)]
    for process in family:
        process.suspend()
    try:
        yield
    finally:
        for process in family:
            process.resume()


@pytest.mark.parametrize("kind", ["ftp", "sftp"])
def test_a_call_that_waits_can_be_cut_off(kind: str, tmp_path: Path) -> None:
    ssh = Ssh(tmp_path) if kind == "sftp" else None
    with ftp_server(tmp_path) if ssh is None else ssh.server() as running:
        server: Server = ftp(tmp_path, running.port) if ssh is None else ssh.settings(running.port)
        with logged_in(server) as session, stopped(running):
            threading.Timer(0.2, session.abort).start()
            started = time.monotonic()
            assert error_of(lambda: session.size("/x")).kind == "broken"
            assert time.monotonic() - started < 2, "before its time limit of 3 s"


def test_an_sftp_server_that_stops_answering(tmp_path: Path) -> None:
    ssh = Ssh(tmp_path)
    with ssh.server() as running:
        server = ssh.settings(running.port, timeout_s=0.5)
        with logged_in(server) as session, stopped(running):
            error = error_of(lambda: session.size("/x"))
        assert error.kind == "unreachable" and "did not answer within 0.5 s" in str(error)


def test_nobody_there(tmp_path: Path) -> None:
    for server in (ftp(tmp_path, free_port()), Ssh(tmp_path).settings(free_port())):
        error = error_of(lambda server=server: log_in(server))  # type: ignore[misc]
        assert error.kind == "unreachable" and f"127.0.0.1:{server.port}" in str(error)
    assert "name is not known here" in str(error_of(lambda: log_in(ftp(tmp_path, 21, host="no.such.invalid"))))


def test_a_refused_login(tmp_path: Path) -> None:
    with ftp_server(tmp_path) as running:
        server = ftp(tmp_path, running.port)
        Path(server.password_file).write_text("wrong\n")
        error = error_of(lambda: log_in(server))
        assert error.kind == "login" and "refuses the login of pq (530" in str(error)
        Path(server.password_file).unlink()
        assert "password_file: No such file" in str(error_of(lambda: log_in(server)))
    ssh = Ssh(tmp_path)
    with ssh.server() as running:
        stranger = ssh._key("stranger")
        server_ = ssh.settings(running.port, key_file=str(stranger))
        error = error_of(lambda: log_in(server_))
        assert error.kind == "login" and "refuses the login" in str(error)
        lost = ssh.settings(running.port, key_file=str(tmp_path / "lost"))
        assert "key_file: No such file" in str(error_of(lambda: log_in(lost)))


def test_a_server_with_another_key_is_not_trusted(tmp_path: Path) -> None:
    ssh = Ssh(tmp_path)
    port = free_port()
    server = ssh.settings(port)
    ssh.change_host_key()
    with ssh.server(port) as running:
        error = error_of(lambda: push(server))
        assert error.kind == "host_key" and "has another key" in str(error) and "SHA256:" in str(error)
        assert "Accepted" not in running.log.read_text(), "nobody has logged in"
        unreadable = ssh.settings(port, host_key="ssh-ed25519 " + "A" * 68)
        assert error_of(lambda: push(unreadable)).kind == "host_key"
    assert files_of(ssh.files) == {}


def test_a_certificate_that_is_not_trusted(tmp_path: Path, authority: Authority) -> None:
    stranger = Authority(tmp_path / "stranger")
    other_name = authority.issue("other", "DNS:ftp.example")
    for certificate, why in (
        (stranger.issue("s", "IP:127.0.0.1"), "local issuer"),
        (other_name, "IP address mismatch"),
    ):
        with ftp_server(tmp_path, "--certificate", *certificate) as running:
            error = error_of(lambda: push(ftps(tmp_path, running.port, authority.ca)))
            assert error.kind == "tls" and "is not trusted" in str(error) and why in str(error)
            assert " PASS " not in running.log.read_text(), "the password was not sent"
    with ftp_server(tmp_path) as running:
        error = error_of(lambda: push(ftps(tmp_path, running.port, authority.ca)))
        assert error.kind == "tls" and "has no TLS for us (500" in str(error)
        assert "<- PASS" not in running.log.read_text()
    (tmp_path / "no.pem").write_text("no certificate")
    assert "must be PEM" in str(error_of(lambda: push(ftps(tmp_path, running.port, tmp_path / "no.pem"))))


def test_a_full_server(tmp_path: Path) -> None:
    with ftp_server(tmp_path, "--quota") as running:
        error = error_of(lambda: push(ftp(tmp_path, running.port)))
    assert (
        error.kind == "full"
        and "(552 Disk quota exceeded (w).); its disk or our quota is full: tell the department" in str(error)
    )


@pytest.mark.parametrize("kind", ["vsftpd", "sftp"])
def test_a_full_disk(kind: str, tmp_path: Path, authority: Authority) -> None:
    with small_disk(tmp_path / "files", 1) as disk, a_server(kind, tmp_path, authority) as (server, files, root):
        assert push(server, folder=root + FOLDER)
        assert files == disk and shutil.disk_usage(files).total < 2**21, "never the machine's own disk"
        fill(files / "filling")
        with logged_in(server) as session:
            error = error_of(lambda: deliver(session, root + FOLDER, "next.txt", CONTENT))
        assert error.kind == "full" and "tell the department" in str(error), str(error)
        (files / "filling").unlink()
        with logged_in(server) as session:
            assert deliver(session, root + FOLDER, "next.txt", CONTENT)
        assert files_of(files)[f"{FOLDER[1:]}/next.txt"] == CONTENT


def test_a_folder_that_may_not_be_written_concerns_its_station_alone(tmp_path: Path) -> None:
    with vsftpd(tmp_path) as running:
        (tmp_path / "files" / "locked").mkdir(mode=0o555)
        error = error_of(lambda: push(ftp(tmp_path, running.port, user="anonymous"), folder="/locked/KHI001"))
        assert error.kind == "refused" and "may anonymous write there?" in str(error)


def test_the_folders_above() -> None:
    assert levels("/a/b") == ["/a", "/a/b"]
    assert levels("a/b") == ["a", "a/b"]
    assert levels("./a") == ["./a"]
    assert levels("") == levels(".") == []
